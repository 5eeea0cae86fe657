/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dirty pages back to their source: fsync, and a thread that writes what has been dirty for a while, or at once when
 * much is.
 *
 *   clean --page_cache_mark_dirty--> dirty --page_cache_write_back--> BUSY --page_cache_complete--> clean
 *
 * A page is taken from dirty to BUSY under cache->lock, its shared mappings made read-only in the same step: a program's
 * next store faults and marks it dirty again. Caches with dirty pages are on dirty_caches (dirty_lock); the thread counts
 * itself into cache->users before it leaves that lock, and page_cache_destroy() waits for the users.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vm/page_cache_internal.h"
#include "xen/machine/clock.h"

#define WRITE_BACK_DELAY_NS 3000000000ull
#define WRITE_BACK_THROTTLE_NS 100000000ull

static struct spinlock dirty_lock = SPINLOCK_INITIALIZER("dirty caches", 0);
static struct list dirty_caches = LIST_INITIALIZER(dirty_caches); /* dirty_lock */
static _Atomic uint64_t dirty_total;
static atomic_bool write_back_urgent;
static struct wait_queue write_back_wanted, write_back_progress;
static uint64_t dirty_limit;

void write_back_enlist(struct page_cache *cache)
{
    spinlock_lock(&dirty_lock);
    bool first = list_empty(&dirty_caches);
    if (!list_linked(&cache->dirty_link))
        list_add_last(&dirty_caches, &cache->dirty_link);
    spinlock_unlock(&dirty_lock);
    if (first && dirty_limit != 0)
        wait_queue_wake_all(&write_back_wanted, 0);
}

void write_back_forget(struct page_cache *cache)
{
    spinlock_lock(&dirty_lock);
    list_remove(&cache->dirty_link);
    spinlock_unlock(&dirty_lock);
}

uint64_t page_cache_dirty_total(void)
{
    return atomic_load_explicit(&dirty_total, memory_order_relaxed);
}

void page_cache_set_dirty(struct page_cache *cache, struct page *page)
{
    assert(mutex_held(&cache->lock));
    if (!cache->source || !cache->source->write_pages)
        return;
    struct page_chunk *chunk = page_chunk_from(cache, page->index / CHUNK_PAGES);
    uint16_t bit = (uint16_t)(1u << page->index % CHUNK_PAGES);
    page_flag_set(page, PAGE_FLAG_DIRTY);
    if (chunk->dirty & bit)
        return;
    chunk->dirty |= bit;
    atomic_fetch_add(&dirty_total, 1);
    if (cache->dirty_count++ == 0)
        write_back_enlist(cache);
}

void page_cache_set_clean(struct page_cache *cache, struct page *page)
{
    struct page_chunk *chunk = page_chunk_from(cache, page->index / CHUNK_PAGES);
    uint16_t bit = (uint16_t)(1u << page->index % CHUNK_PAGES);

    page_flag_clear(page, PAGE_FLAG_DIRTY);
    if (!(chunk->dirty & bit))
        return;
    chunk->dirty &= (uint16_t)~bit;
    cache->dirty_count--;
    atomic_fetch_sub(&dirty_total, 1);
}

void page_cache_mark_dirty(struct page *page)
{
    struct page_cache *cache = read_once(page->owner);

    if (!cache || !cache->source)
        return;
    /* The read-modify-write orders the caller's stores before it: write-back clears the flag before it reads the bytes. */
    if (atomic_fetch_or(&page->flags, PAGE_FLAG_DIRTY) & PAGE_FLAG_DIRTY)
        return;
    mutex_lock(&cache->lock);
    if (page->owner == cache)
        page_cache_set_dirty(cache, page);
    mutex_unlock(&cache->lock);
}

/* The next dirty page at or after *index and at most `last`; NULL: none. */
static struct page *write_back_next(struct page_cache *cache, uint64_t *index, uint64_t last)
{
    struct page_chunk *chunk = page_chunk_from(cache, *index / CHUNK_PAGES);

    for (; chunk && chunk->number * CHUNK_PAGES <= last; chunk = page_chunk_next(chunk)) {
        uint64_t base = chunk->number * CHUNK_PAGES;
        uint16_t dirty = chunk->dirty;
        if (*index > base)
            dirty &= (uint16_t)(0xffffu << (*index - base));
        if (dirty == 0)
            continue;
        *index = base + (unsigned int)__builtin_ctz(dirty);
        return *index <= last ? chunk->pages[*index - base] : NULL;
    }
    return NULL;
}

/* Takes the run of dirty pages that starts at `index` to BUSY. */
static size_t write_back_collect(struct page_cache *cache, uint64_t index, uint64_t last, struct page **pages)
{
    size_t count = 0;
    struct page *page;

    while (count < PAGE_CACHE_BATCH && index <= last && (page = page_cache_lookup(cache, index)) &&
           page_flag_test(page, PAGE_FLAG_DIRTY) && !page_flag_test(page, PAGE_FLAG_BUSY)) {
        page_flag_set(page, PAGE_FLAG_BUSY);
        page_cache_set_clean(cache, page);
        if (!list_empty(&cache->areas))
            area_mapping_write_protect(cache, page);
        if (index == cache->size_bytes / PAGE_SIZE) /* what mappings wrote behind the end stays out of the file */
            memset((char *)page_address(page) + cache->size_bytes % PAGE_SIZE, 0, PAGE_SIZE - cache->size_bytes % PAGE_SIZE);
        pages[count++] = page;
        index++;
    }
    return count;
}

void page_cache_write_back(struct page_cache *cache, uint64_t first, uint64_t last, bool wait)
{
    struct page *pages[PAGE_CACHE_BATCH];
    uint64_t index = first;

    for (;;) {
        mutex_lock(&cache->lock);
        struct page *page = write_back_next(cache, &index, last);
        if (!page) {
            mutex_unlock(&cache->lock);
            return;
        }
        if (page_flag_test(page, PAGE_FLAG_BUSY)) {
            if (wait) {
                page_cache_wait_unlock(cache, page);
            } else {
                mutex_unlock(&cache->lock);
                index++;
            }
            continue;
        }
        size_t count = write_back_collect(cache, index, last, pages);
        mutex_unlock(&cache->lock);
        if (count > 0)
            cache->source->write_pages(cache, pages, count);
        index += count;
        if (dirty_limit != 0)
            wait_queue_wake_all(&write_back_progress, 0);
    }
}

/* Waits for I/O on pages of [first, last]. */
static void page_cache_wait_range(struct page_cache *cache, uint64_t first, uint64_t last)
{
    mutex_lock(&cache->lock);
    struct page_chunk *chunk = page_chunk_from(cache, first / CHUNK_PAGES);
    while (chunk && chunk->number * CHUNK_PAGES <= last) {
        uint64_t number = chunk->number + 1;
        for (unsigned int i = 0; i < CHUNK_PAGES; i++) {
            uint64_t index = chunk->number * CHUNK_PAGES + i;
            if (!chunk->pages[i] || index < first || index > last || !page_flag_test(chunk->pages[i], PAGE_FLAG_BUSY))
                continue;
            page_cache_wait_unlock(cache, chunk->pages[i]);
            mutex_lock(&cache->lock);
            number--; /* the chunk may be gone meanwhile: look it up again */
            break;
        }
        chunk = page_chunk_from(cache, number);
    }
    mutex_unlock(&cache->lock);
}

int page_cache_synchronize(struct page_cache *cache, uint64_t first_byte, uint64_t last_byte)
{
    uint64_t first = first_byte >> PAGE_SHIFT, last = last_byte >> PAGE_SHIFT;

    if (!cache->source || !cache->source->write_pages)
        return 0;
    page_cache_write_back(cache, first, last, true);
    page_cache_wait_range(cache, first, last);
    return atomic_exchange(&cache->write_error, 0);
}

void write_back_kick(void)
{
    if (page_cache_dirty_total() == 0 || dirty_limit == 0)
        return;
    atomic_store(&write_back_urgent, true);
    wait_queue_wake_all(&write_back_wanted, 0);
}

void write_back_throttle(void)
{
    if (likely(page_cache_dirty_total() <= dirty_limit) || dirty_limit == 0)
        return;
    write_back_kick();
    /* With an end: the caller may hold what the write-back needs. */
    WAIT_UNTIL(&write_back_progress, page_cache_dirty_total() <= dirty_limit, clock_monotonic_ns() + WRITE_BACK_THROTTLE_NS,
               WAIT_UNINTERRUPTIBLE);
}

static struct page_cache *write_back_take(void)
{
    struct page_cache *cache = NULL;

    spinlock_lock(&dirty_lock);
    if (!list_empty(&dirty_caches)) {
        cache = list_first(&dirty_caches, struct page_cache, dirty_link);
        list_remove(&cache->dirty_link);
        atomic_fetch_add(&cache->users, 1);
    }
    spinlock_unlock(&dirty_lock);
    return cache;
}

static bool write_back_has_work(void)
{
    spinlock_lock(&dirty_lock);
    bool work = !list_empty(&dirty_caches);
    spinlock_unlock(&dirty_lock);
    return work;
}

static void write_back_round(void)
{
    struct page_cache *cache;
    unsigned int limit = 1024; /* caches that stay dirty come round again in the next round */

    while (limit-- > 0 && (cache = write_back_take())) {
        page_cache_write_back(cache, 0, UINT64_MAX, false);
        mutex_lock(&cache->lock);
        if (cache->dirty_count > 0)
            write_back_enlist(cache);
        mutex_unlock(&cache->lock);
        atomic_fetch_sub(&cache->users, 1);
    }
}

static void write_back_thread(void *argument)
{
    for (;;) {
        WAIT_UNTIL(&write_back_wanted, write_back_has_work(), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        WAIT_UNTIL(&write_back_wanted, atomic_load(&write_back_urgent), clock_monotonic_ns() + WRITE_BACK_DELAY_NS,
                   WAIT_UNINTERRUPTIBLE);
        atomic_store(&write_back_urgent, false);
        write_back_round();
    }
}

int write_back_start(void)
{
    struct page_statistics statistics;
    struct thread *thread;

    wait_queue_init(&write_back_wanted);
    wait_queue_init(&write_back_progress);
    page_statistics_get(&statistics);
    dirty_limit = maximum(statistics.total_pages / 5, (uint64_t)64);
    int error = thread_create(&thread, "write-back", write_back_thread, NULL);
    if (error != 0)
        return error;
    thread_start(thread);
    thread_release(thread);
    return 0;
}
