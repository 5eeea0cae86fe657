/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cached pages by number: look-up, creation, reading them in, and the end of I/O.
 *
 * Pages hang in a tree of chunks of 16 neighbours, so that fault-around and write-back find runs with one descent.
 * cache->lock is a mutex: it is held over the descent, over the choice of pages to read and over changes of mappings
 * (so that a page that leaves the cache is mapped nowhere), never over I/O nor over a copy to or from a program.
 * page->flags are atomic: page_cache_complete() comes from any context and only clears BUSY and wakes `ready`.
 *
 * Lock order: address_space->lock, cache->lock, address_space->page_lock.
 */
#include "kernel/vm/page_cache.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vm/file_doors.h"
#include "kernel/vm/page_cache_internal.h"

#define READ_WINDOW_RANDOM 4u

void page_cache_init(struct page_cache *cache, const struct page_source *source, void *owner, uint64_t size_bytes)
{
    memset(cache, 0, sizeof(*cache));
    mutex_init(&cache->lock, "page cache", 0);
    cache->size_bytes = size_bytes;
    cache->source = source;
    cache->owner = owner;
    list_init(&cache->areas);
    list_init(&cache->all_link);
    list_init(&cache->dirty_link);
    wait_queue_init(&cache->ready);
    if (source)
        reclaim_add(cache);
}

void page_cache_destroy(struct page_cache *cache)
{
    if (cache->source)
        reclaim_remove(cache);
    mutex_lock(&cache->lock);
    page_cache_drop(cache, 0, UINT64_MAX);
    file_doors_forget_locked(cache);
    assert(cache->page_count == 0);
    assert(list_empty(&cache->areas));
    mutex_unlock(&cache->lock);
    write_back_forget(cache); /* without pages nobody lists it again */
    while (atomic_load(&cache->users) != 0) /* the last completion is between clearing BUSY and its return */
        thread_yield();
}

struct page_chunk *page_chunk_from(const struct page_cache *cache, uint64_t number)
{
    struct tree_node *node = cache->chunks.root;
    struct page_chunk *best = NULL;

    while (node) {
        struct page_chunk *chunk = tree_entry(node, struct page_chunk, node);
        if (chunk->number == number)
            return chunk;
        if (chunk->number > number)
            best = chunk;
        node = chunk->number > number ? node->left : node->right;
    }
    return best;
}

struct page_chunk *page_chunk_next(const struct page_chunk *chunk)
{
    struct tree_node *node = tree_next(&chunk->node);

    return node ? tree_entry(node, struct page_chunk, node) : NULL;
}

struct page *page_cache_lookup(const struct page_cache *cache, uint64_t index)
{
    struct tree_node *node = cache->chunks.root;
    uint64_t number = index / CHUNK_PAGES;

    while (node) {
        struct page_chunk *chunk = tree_entry(node, struct page_chunk, node);
        if (chunk->number == number)
            return chunk->pages[index % CHUNK_PAGES];
        node = chunk->number > number ? node->left : node->right;
    }
    return NULL;
}

int page_cache_insert(struct page_cache *cache, uint64_t index, struct page *pages, size_t count)
{
    struct tree_node **link = &cache->chunks.root, *parent = NULL;
    struct page_chunk *chunk = NULL;
    uint64_t number = index / CHUNK_PAGES;

    while (*link) {
        parent = *link;
        chunk = tree_entry(parent, struct page_chunk, node);
        if (chunk->number == number)
            break;
        link = number < chunk->number ? &parent->left : &parent->right;
    }
    if (!*link) {
        chunk = memory_allocate_zeroed(sizeof(*chunk));
        if (!chunk)
            return -ENOMEM;
        chunk->number = number;
        tree_insert(&cache->chunks, &chunk->node, parent, link);
    }
    unsigned int slot = index % CHUNK_PAGES, present = chunk->present >> slot;
    unsigned int end = present != 0 ? (unsigned int)__builtin_ctz(present) : CHUNK_PAGES - slot;
    unsigned int made = count < end ? (unsigned int)count : end;
    for (unsigned int i = 0; i < made; i++) {
        chunk->pages[slot + i] = &pages[i];
        pages[i].owner = cache;
        pages[i].index = index + i;
    }
    chunk->present |= (uint16_t)(((1u << made) - 1) << slot);
    cache->page_count += made;
    return (int)made;
}

void page_cache_detach(struct page_cache *cache, struct page *page)
{
    struct page_chunk *chunk = page_chunk_from(cache, page->index / CHUNK_PAGES);
    unsigned int slot = page->index % CHUNK_PAGES;

    assert(mutex_held(&cache->lock));
    assert(chunk && chunk->pages[slot] == page && !page_flag_test(page, PAGE_FLAG_BUSY));
    page_cache_set_clean(cache, page);
    write_once(page->owner, NULL);
    chunk->pages[slot] = NULL;
    chunk->present &= (uint16_t)~(1u << slot);
    chunk->habits &= (uint16_t)~(1u << slot);
    cache->page_count--;
    if (chunk->present == 0) {
        tree_remove(&cache->chunks, &chunk->node);
        memory_free(chunk);
    }
}

void page_cache_wait_unlock(struct page_cache *cache, struct page *page)
{
    page_take(page);
    mutex_unlock(&cache->lock);
    WAIT_UNTIL(&cache->ready, !page_flag_test(page, PAGE_FLAG_BUSY), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    page_release(page);
}

int page_cache_prepare_read(struct page_cache *cache, uint64_t index, size_t count, struct page **pages)
{
    uint64_t limit = page_cache_limit(cache);
    size_t made = 0;

    assert(mutex_held(&cache->lock));
    for (; made < count && index + made < limit && !page_cache_lookup(cache, index + made); made++) {
        struct page *page = page_allocate(0, PAGE_CACHE, 0);
        if (!page)
            break;
        atomic_store(&page->flags, PAGE_FLAG_BUSY);
        if (page_cache_insert(cache, index + made, page, 1) != 1) {
            page_release(page);
            break;
        }
        pages[made] = page;
    }
    return made > 0 || count == 0 ? (int)made : -ENOMEM;
}

/* A memory-only cache makes its pages itself. */
static int page_cache_get_fresh(struct page_cache *cache, uint64_t index, struct page **page)
{
    struct page *fresh = page_allocate(0, PAGE_CACHE, PAGE_ALLOCATE_ZERO);

    if (!fresh)
        return -ENOMEM;
    atomic_store(&fresh->flags, PAGE_FLAG_UPTODATE);
    if (page_cache_insert(cache, index, fresh, 1) != 1) {
        page_release(fresh);
        return -ENOMEM;
    }
    page_take(fresh);
    *page = fresh;
    return 0;
}

/* What a present page is good for: 0 taken, -EIO (removed), -EAGAIN after a wait (lock dropped). */
static int page_cache_get_found(struct page_cache *cache, struct page *found, struct page **page)
{
    if (page_flag_test(found, PAGE_FLAG_UPTODATE)) {
        page_take(found);
        if (!page_flag_test(found, PAGE_FLAG_REFERENCED))
            page_flag_set(found, PAGE_FLAG_REFERENCED);
        *page = found;
        mutex_unlock(&cache->lock);
        return 0;
    }
    if (page_flag_test(found, PAGE_FLAG_BUSY)) {
        page_cache_wait_unlock(cache, found);
        return -EAGAIN;
    }
    page_cache_detach(cache, found); /* its reading failed */
    mutex_unlock(&cache->lock);
    page_release(found);
    return -EIO;
}

int page_cache_get_window(struct page_cache *cache, uint64_t index, size_t around, struct page **page)
{
    struct page *pages[PAGE_CACHE_BATCH];

    for (;;) {
        mutex_lock(&cache->lock);
        if (index >= page_cache_limit(cache)) {
            mutex_unlock(&cache->lock);
            return -ENXIO;
        }
        struct page *found = page_cache_lookup(cache, index);
        int result;
        if (found) {
            result = page_cache_get_found(cache, found, page);
            if (result != -EAGAIN)
                return result;
            continue;
        }
        if (!cache->source) {
            result = page_cache_get_fresh(cache, index, page);
            mutex_unlock(&cache->lock);
            return result;
        }
        result = page_cache_prepare_read(cache, index, minimum(around, PAGE_CACHE_BATCH), pages);
        mutex_unlock(&cache->lock);
        if (result < 0)
            return result;
        cache->source->read_pages(cache, pages, (size_t)result);
    }
}

int page_cache_get(struct page_cache *cache, uint64_t index, struct page **page)
{
    return page_cache_get_window(cache, index, READ_WINDOW_RANDOM, page);
}

size_t page_cache_get_present(struct page_cache *cache, uint64_t index, struct page **pages, size_t count)
{
    size_t found = 0;

    mutex_lock(&cache->lock);
    uint64_t limit = page_cache_limit(cache);
    for (size_t i = 0; i < count; i++) {
        struct page *page = index + i < limit ? page_cache_lookup(cache, index + i) : NULL;
        pages[i] = NULL;
        if (page && page_flag_test(page, PAGE_FLAG_UPTODATE)) {
            page_take(page);
            if (!page_flag_test(page, PAGE_FLAG_REFERENCED))
                page_flag_set(page, PAGE_FLAG_REFERENCED);
            pages[i] = page;
            found++;
        }
    }
    mutex_unlock(&cache->lock);
    return found;
}

void page_cache_complete(struct page *page, int error)
{
    struct page_cache *cache = page->owner; /* stays: a BUSY page is not detached */
    int none = 0;

    atomic_fetch_add(&cache->users, 1);
    if (error == 0)
        page_flag_set(page, PAGE_FLAG_UPTODATE);
    else if (page_flag_test(page, PAGE_FLAG_UPTODATE))
        atomic_compare_exchange_strong(&cache->write_error, &none, error);
    else
        page_flag_set(page, PAGE_FLAG_ERROR);
    page_flag_clear(page, PAGE_FLAG_BUSY);
    wait_queue_wake_all(&cache->ready, 0);
    atomic_fetch_sub(&cache->users, 1);
}

int page_cache_start(void)
{
    int error = reclaim_start();

    return error != 0 ? error : write_back_start();
}
