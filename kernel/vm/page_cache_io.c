/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File I/O over the page cache: read() and write() as copies between cached pages and an io_vector, with reading ahead
 * of sequential readers.
 *
 * The copy may fault, and the fault may want this very cache's lock or pages: so pages are referenced, and neither
 * locked nor BUSY, while bytes move. A page that is wholly overwritten is not read first: the bytes are gathered in a
 * page of our own, which enters the cache only when it is complete.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vm/file_doors.h"
#include "kernel/vm/page_cache_internal.h"

#define READ_WINDOW_FIRST 8u
#define PROGRAM_LIMIT 2048u /* pages of a program that is read as a whole */

/*
 * The readers' pattern: asks for the pages after `index` when a sequential reader nears the end of what was asked for.
 * The window doubles from 8 to 64 pages, and falls back when the reader jumps.
 */
static void page_cache_follow(struct page_cache *cache, uint64_t index)
{
    struct page *pages[PAGE_CACHE_BATCH];
    int count = 0;

    mutex_lock(&cache->lock);
    if (index == 0 && cache->readahead_next == 0)
        cache->readahead_pages = READ_WINDOW_FIRST / 2;
    if (index > cache->readahead_next || index + 2 * PAGE_CACHE_BATCH < cache->readahead_next) {
        cache->readahead_next = index + 1; /* a jump: the next page in order starts a new sequence */
        cache->readahead_pages = READ_WINDOW_FIRST / 2;
    } else if (index + cache->readahead_pages / 2 >= cache->readahead_next) {
        uint64_t start = maximum(cache->readahead_next, index);
        uint32_t window = minimum(cache->readahead_pages * 2, PAGE_CACHE_BATCH);
        while (start < index + window && page_cache_lookup(cache, start))
            start++;
        if (start < page_cache_limit(cache) && start < index + window)
            count = page_cache_prepare_read(cache, start, window, pages);
        if (count >= 0) {
            cache->readahead_next = start + (unsigned int)count;
            cache->readahead_pages = window;
        }
    }
    mutex_unlock(&cache->lock);
    if (count > 0)
        cache->source->read_pages(cache, pages, (size_t)count);
}

void page_cache_read_ahead(struct page_cache *cache, uint64_t index, uint64_t count)
{
    struct page *pages[PAGE_CACHE_BATCH];

    if (!cache->source)
        return;
    while (count > 0) {
        mutex_lock(&cache->lock);
        uint64_t limit = page_cache_limit(cache);
        while (count > 0 && index < limit && page_cache_lookup(cache, index)) {
            index++;
            count--;
        }
        int made = 0;
        if (count > 0 && index < limit)
            made = page_cache_prepare_read(cache, index, (size_t)minimum(count, (uint64_t)PAGE_CACHE_BATCH), pages);
        mutex_unlock(&cache->lock);
        if (made <= 0)
            return;
        cache->source->read_pages(cache, pages, (size_t)made);
        index += (unsigned int)made;
        count -= (unsigned int)made;
    }
}

/*
 * A program comes to most of its pages, in no order: page by page it would wait for the disk at each turn. What is larger than the
 * limit is read by its faults, more each time (fault.c).
 */
void page_cache_read_program(struct page_cache *cache)
{
    struct page_statistics statistics;

    if (!cache->source || atomic_load_explicit(&cache->program_read, memory_order_relaxed))
        return;
    atomic_store_explicit(&cache->program_read, true, memory_order_relaxed);
    page_statistics_get(&statistics);
    uint64_t pages = PAGE_ROUND_UP(read_once(cache->size_bytes)) >> PAGE_SHIFT;
    if (pages <= PROGRAM_LIMIT && pages <= statistics.free_pages / 8)
        page_cache_read_ahead(cache, 0, pages);
}

/* Copies from pages[0..count), all present, starting at `offset`. Bytes moved; drops the references. */
static size_t page_cache_put_pages(struct page_cache *cache, uint64_t offset, struct page **pages, size_t count,
                                   struct io_vector *vector)
{
    size_t done = 0;

    for (size_t i = 0; i < count && pages[i]; i++) {
        uint64_t size = read_once(cache->size_bytes), at = offset + done;
        size_t within = at & PAGE_MASK, length = PAGE_SIZE - within;
        if (at < size && !vector->faulted)
            done += io_vector_put(vector, (char *)page_address(pages[i]) + within,
                                  (size_t)minimum((uint64_t)length, size - at));
    }
    for (size_t i = 0; i < count; i++)
        if (pages[i])
            page_release(pages[i]);
    return done;
}

long page_cache_read(struct page_cache *cache, uint64_t offset, struct io_vector *vector)
{
    struct page *pages[CHUNK_PAGES];
    long done = 0;
    int error = 0;

    while (vector->remaining_bytes > 0 && !vector->faulted && offset < read_once(cache->size_bytes)) {
        uint64_t index = offset >> PAGE_SHIFT;
        size_t wanted = ((offset & PAGE_MASK) + vector->remaining_bytes + PAGE_MASK) >> PAGE_SHIFT;
        size_t count = minimum(wanted, (size_t)CHUNK_PAGES);
        if (cache->source)
            page_cache_follow(cache, index);
        page_cache_get_present(cache, index, pages, count);
        for (size_t i = 1; i < count; i++) /* only the leading run is of use now */
            if (pages[i] && !pages[i - 1]) {
                page_release(pages[i]);
                pages[i] = NULL;
            }
        if (!pages[0]) {
            error = page_cache_get_window(cache, index, minimum(wanted, (size_t)PAGE_CACHE_BATCH), &pages[0]);
            if (error != 0)
                break;
        }
        size_t moved = page_cache_put_pages(cache, offset, pages, count, vector);
        offset += moved;
        done += (long)moved;
        if (moved == 0)
            break;
        thread_yield_if_due();
    }
    if (done > 0 || error == -ENXIO)
        return done;
    return error != 0 ? error : vector->faulted ? -EFAULT : 0;
}

/* As many as are absent and of one chunk; 0: the first is there. */
static int page_cache_adopt_absent(struct page_cache *cache, uint64_t index, struct page *fresh, size_t count)
{
    mutex_lock(&cache->lock);
    uint64_t limit = page_cache_limit(cache);
    int taken = index < limit ? page_cache_insert(cache, index, fresh, (size_t)minimum((uint64_t)count, limit - index)) : -ENXIO;
    for (int i = 0; i < taken; i++) {
        atomic_store_explicit(&fresh[i].flags, PAGE_FLAG_UPTODATE | PAGE_FLAG_REFERENCED, memory_order_relaxed);
        if (cache->source)
            page_cache_set_dirty(cache, &fresh[i]);
    }
    mutex_unlock(&cache->lock);
    return taken;
}

static int page_cache_overwrite(struct page_cache *cache, uint64_t index, struct page *fresh)
{
    struct page *present;
    int error = page_cache_get(cache, index, &present);

    if (error == 0) {
        memcpy(page_address(present), page_address(fresh), PAGE_SIZE);
        page_cache_mark_dirty(present);
        page_release(present);
    }
    page_release(fresh);
    return error;
}

int page_cache_adopt(struct page_cache *cache, uint64_t index, struct page *fresh, size_t count)
{
    size_t done = 0;
    int error = 0;

    while (done < count && error == 0) {
        int taken = page_cache_adopt_absent(cache, index + done, &fresh[done], count - done);
        if (taken < 0) {
            error = taken;
        } else if (taken > 0) {
            done += (size_t)taken;
        } else {
            error = page_cache_overwrite(cache, index + done, &fresh[done]);
            done++;
        }
    }
    for (; done < count; done++)
        page_release(&fresh[done]);
    return error;
}

/* One page of a write, wholly overwritten and absent so far. Bytes moved, or -Exxx (-EAGAIN: take the other way). */
static long page_cache_write_whole(struct page_cache *cache, uint64_t index, struct io_vector *vector)
{
    struct page *fresh = page_allocate(0, PAGE_CACHE, 0);

    if (!fresh)
        return -ENOMEM;
    size_t moved = io_vector_get(vector, page_address(fresh), PAGE_SIZE);
    if (moved < PAGE_SIZE) { /* a bad address in the middle: the other way keeps the old bytes behind it */
        page_release(fresh);
        io_vector_revert(vector, moved);
        vector->faulted = false;
        return -EAGAIN;
    }
    int error = page_cache_adopt(cache, index, fresh, 1);
    if (error != 0)
        io_vector_revert(vector, moved);
    return error != 0 ? error : (long)moved;
}

static long page_cache_write_part(struct page_cache *cache, uint64_t offset, size_t length, struct io_vector *vector)
{
    struct page *page;

    int error = page_cache_get(cache, offset >> PAGE_SHIFT, &page);
    if (error != 0)
        return error;
    size_t moved = io_vector_get(vector, (char *)page_address(page) + (offset & PAGE_MASK), length);
    if (moved > 0)
        page_cache_mark_dirty(page);
    page_release(page);
    return moved > 0 ? (long)moved : -EFAULT;
}

static bool page_cache_has(struct page_cache *cache, uint64_t index)
{
    mutex_lock(&cache->lock);
    bool present = page_cache_lookup(cache, index) != NULL;
    mutex_unlock(&cache->lock);
    return present;
}

long page_cache_write(struct page_cache *cache, uint64_t offset, struct io_vector *vector)
{
    long done = 0, moved = 0;

    while (vector->remaining_bytes > 0 && !vector->faulted) {
        size_t length = minimum((size_t)(PAGE_SIZE - (offset & PAGE_MASK)), vector->remaining_bytes);
        moved = -EAGAIN;
        if (length == PAGE_SIZE && !page_cache_has(cache, offset >> PAGE_SHIFT))
            moved = page_cache_write_whole(cache, offset >> PAGE_SHIFT, vector);
        if (moved == -EAGAIN)
            moved = page_cache_write_part(cache, offset, length, vector);
        if (moved <= 0)
            break;
        file_doors_forget(cache);
        offset += (uint64_t)moved;
        done += moved;
        if (cache->source)
            write_back_throttle();
        thread_yield_if_due();
    }
    return done > 0 ? done : moved;
}
