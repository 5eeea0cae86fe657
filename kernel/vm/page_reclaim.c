/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clean cached pages given back when memory is short: a clock over the caches and over each one's pages. A page that
 * was used since the hand last passed (its REFERENCED flag, or the accessed bit of a mapping) is spared once.
 *
 * Called inside page allocations, so any cache's lock may be the caller's own: locks of caches are only tried.
 */
#include "kernel/base/error.h"
#include "kernel/vm/page_cache_internal.h"

static struct mutex caches_lock;
static struct list caches = LIST_INITIALIZER(caches); /* caches_lock */
static atomic_flag caches_ready = ATOMIC_FLAG_INIT;
static atomic_bool caches_usable;

static void reclaim_prepare(void)
{
    if (likely(atomic_load_explicit(&caches_usable, memory_order_acquire)))
        return;
    if (!atomic_flag_test_and_set(&caches_ready)) {
        mutex_init(&caches_lock, "page caches", 0);
        atomic_store_explicit(&caches_usable, true, memory_order_release);
    }
    while (!atomic_load_explicit(&caches_usable, memory_order_acquire))
        ;
}

void reclaim_add(struct page_cache *cache)
{
    reclaim_prepare();
    mutex_lock(&caches_lock);
    list_add_last(&caches, &cache->all_link);
    mutex_unlock(&caches_lock);
}

void reclaim_remove(struct page_cache *cache)
{
    mutex_lock(&caches_lock);
    list_remove(&cache->all_link);
    mutex_unlock(&caches_lock);
}

static bool reclaim_page_free(const struct page *page)
{
    return atomic_load(&page->reference.count) == 1;
}

/* True when the page was freed. Cache locked. */
static bool reclaim_page(struct page_cache *cache, struct page *page)
{
    if (page_flag_test(page, PAGE_FLAG_BUSY | PAGE_FLAG_DIRTY) || !page_flag_test(page, PAGE_FLAG_UPTODATE))
        return false;
    if (page_flag_test(page, PAGE_FLAG_REFERENCED)) {
        page_flag_clear(page, PAGE_FLAG_REFERENCED);
        return false;
    }
    if (!reclaim_page_free(page)) {
        if (list_empty(&cache->areas) || area_mapping_test_accessed(cache, page))
            return false;
        area_mapping_unmap_page(cache, page);
        /* A store through a mapping comes after mark_dirty: look again now that none is left. */
        if (!reclaim_page_free(page) || page_flag_test(page, PAGE_FLAG_BUSY | PAGE_FLAG_DIRTY))
            return false;
    }
    page_cache_detach(cache, page);
    page_release(page);
    return true;
}

/* Turns the cache's hand once around at most. */
static size_t reclaim_cache(struct page_cache *cache, size_t target)
{
    size_t freed = 0;

    for (unsigned int lap = 0; lap < 2 && freed < target; lap++) {
        struct page_chunk *chunk = page_chunk_from(cache, lap == 0 ? cache->reclaim_hand : 0);
        while (chunk && freed < target) {
            uint64_t number = chunk->number;
            struct page *pages[CHUNK_PAGES];
            unsigned int count = 0;
            for (unsigned int i = 0; i < CHUNK_PAGES; i++)
                if (chunk->pages[i])
                    pages[count++] = chunk->pages[i];
            for (unsigned int i = 0; i < count; i++) /* the last one freed takes the chunk with it */
                freed += reclaim_page(cache, pages[i]);
            cache->reclaim_hand = number + 1;
            chunk = page_chunk_from(cache, number + 1);
        }
    }
    return freed;
}

static size_t reclaim_pages(size_t target_pages)
{
    size_t freed = 0;

    write_back_kick();
    mutex_lock(&caches_lock);
    /* Twice: the first turn may only have taken the marks away. */
    for (unsigned int turn = 0; turn < 2 && freed < target_pages; turn++) {
        struct page_cache *cache;
        struct list passed = LIST_INITIALIZER(passed);
        while (!list_empty(&caches) && freed < target_pages) {
            cache = list_first(&caches, struct page_cache, all_link);
            list_remove(&cache->all_link);
            list_add_last(&passed, &cache->all_link);
            if (cache->page_count == 0 || !mutex_try_lock(&cache->lock))
                continue;
            freed += reclaim_cache(cache, target_pages - freed);
            mutex_unlock(&cache->lock);
        }
        list_move_all(&caches, &passed);
    }
    mutex_unlock(&caches_lock);
    return freed;
}

int reclaim_start(void)
{
    reclaim_prepare();
    return page_register_reclaimer("page cache", reclaim_pages);
}
