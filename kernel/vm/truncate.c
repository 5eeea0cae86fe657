/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages leave the cache: files shrink, holes are punched, caches end.
 *
 * The size changes first, under cache->lock; a fault maps a page only under that lock and below that size, so that
 * after the unmapping here nobody brings a dropped page back.
 */
#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/vm/file_doors.h"
#include "kernel/vm/page_cache_internal.h"

/* Drops what of a chunk lies in [first, end). False when it had to wait for I/O (lock was dropped): start over. */
static bool page_chunk_drop(struct page_cache *cache, struct page_chunk *chunk, uint64_t first, uint64_t end)
{
    uint64_t base = chunk->number * CHUNK_PAGES;
    unsigned int low = first > base ? (unsigned int)(first - base) : 0;
    unsigned int high = end - base < CHUNK_PAGES ? (unsigned int)(end - base) : CHUNK_PAGES;
    struct page *pages[CHUNK_PAGES];
    unsigned int count = 0;

    if (!list_empty(&cache->areas))
        area_mapping_unmap(cache, base + low, high - low);
    for (unsigned int i = low; i < high; i++) {
        if (chunk->pages[i] && page_flag_test(chunk->pages[i], PAGE_FLAG_BUSY)) {
            page_cache_wait_unlock(cache, chunk->pages[i]);
            mutex_lock(&cache->lock);
            return false;
        }
    }
    for (unsigned int i = low; i < high; i++)
        if (chunk->pages[i])
            pages[count++] = chunk->pages[i];
    for (unsigned int i = 0; i < count; i++) { /* the last one frees the chunk */
        page_cache_detach(cache, pages[i]);
        page_release(pages[i]);
    }
    return true;
}

void page_cache_drop(struct page_cache *cache, uint64_t first, uint64_t end)
{
    struct page_chunk *chunk = page_chunk_from(cache, first / CHUNK_PAGES);

    while (chunk && chunk->number * CHUNK_PAGES < end) {
        uint64_t number = chunk->number;
        chunk = page_chunk_from(cache, page_chunk_drop(cache, chunk, first, end) ? number + 1 : number);
    }
}

int page_cache_resize(struct page_cache *cache, uint64_t size_bytes)
{
    struct page *tail = NULL;

    /* Bytes behind the new end must read as zeroes if the file grows again: clear them, on the disk as well. */
    if (size_bytes % PAGE_SIZE != 0 && size_bytes < read_once(cache->size_bytes)) {
        int error = page_cache_get(cache, size_bytes / PAGE_SIZE, &tail);
        if (error != 0 && error != -ENXIO)
            return error;
    }
    mutex_lock(&cache->lock);
    uint64_t old_bytes = cache->size_bytes;
    file_doors_forget_locked(cache);
    cache->size_bytes = size_bytes;
    if (size_bytes < old_bytes)
        page_cache_drop(cache, page_cache_limit(cache), UINT64_MAX);
    struct page *old_tail = size_bytes > old_bytes && old_bytes % PAGE_SIZE != 0 ? page_cache_lookup(cache, old_bytes / PAGE_SIZE) : NULL;
    if (old_tail && page_flag_test(old_tail, PAGE_FLAG_UPTODATE)) /* mappings may have written behind the end */
        memset((char *)page_address(old_tail) + old_bytes % PAGE_SIZE, 0, PAGE_SIZE - old_bytes % PAGE_SIZE);
    mutex_unlock(&cache->lock);
    if (tail) {
        memset((char *)page_address(tail) + size_bytes % PAGE_SIZE, 0, PAGE_SIZE - size_bytes % PAGE_SIZE);
        page_cache_mark_dirty(tail);
        page_release(tail);
    }
    return 0;
}

void page_cache_punch(struct page_cache *cache, uint64_t first, uint64_t count)
{
    mutex_lock(&cache->lock);
    file_doors_forget_locked(cache);
    page_cache_drop(cache, first, count > UINT64_MAX - first ? UINT64_MAX : first + count);
    mutex_unlock(&cache->lock);
}
