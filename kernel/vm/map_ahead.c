/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of programs and libraries mapped before anybody faults on them, where experience says that they will be used.
 *
 * When a private mapping of a file ends, its entries' bits tell which of the file's pages the program used, and of which it wrote to its
 * own copy; each cached page remembers that (HABIT bits of its flags, like reclaim's a hint). When such a file is mapped the
 * next time, by exec or by a dynamic linker, the pages with a habit come along at once, copied where they are written. A page that
 * came so and was not used loses its habit, by and by, since programs share libraries but not their ways. Nothing is read for this.
 *
 * Locks: as in fault.c: cached pages are mapped under their cache's lock, below its size.
 */
#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/vm/address_space_internal.h"
#include "kernel/vm/file_doors.h"
#include "kernel/vm/page_cache_internal.h"

#define HABIT_LIMIT 3u
#define AHEAD_BATCH 64u   /* pages mapped in one go */

static unsigned int page_habit(const struct page *page)
{
    return atomic_load_explicit(&page->flags, memory_order_relaxed) / PAGE_FLAG_HABIT & HABIT_LIMIT;
}

/* Cache locked; it has the page. */
static void page_note_use_locked(struct page_cache *cache, struct page *page, bool used)
{
    unsigned int habit = page_habit(page), now = used ? HABIT_LIMIT : habit - (habit > 0);
    struct page_chunk *chunk = page_chunk_from(cache, page->index / CHUNK_PAGES);
    uint16_t bit = (uint16_t)(1u << page->index % CHUNK_PAGES);

    atomic_fetch_xor(&page->flags, (uint16_t)((habit ^ now) * PAGE_FLAG_HABIT));
    chunk->habits = (uint16_t)(now > 0 ? chunk->habits | bit : chunk->habits & ~bit);
}

/* Mostly nothing is new. */
static void page_note_use(struct page_cache *cache, struct page *page, bool used)
{
    if (page_habit(page) == (used ? HABIT_LIMIT : 0))
        return;
    mutex_lock(&cache->lock);
    if (page->owner == cache)
        page_note_use_locked(cache, page, used);
    mutex_unlock(&cache->lock);
}

static void page_note_written(struct page *page, bool written)
{
    if (page_flag_test(page, PAGE_FLAG_WRITTEN) == written)
        return;
    if (written)
        page_flag_set(page, PAGE_FLAG_WRITTEN);
    else
        page_flag_clear(page, PAGE_FLAG_WRITTEN);
}

void area_note_use(struct area *area, uint64_t address, struct page *page, const struct paging_entry *entry)
{
    struct page_cache *cache = area->backing ? area->backing->cache : NULL;

    if (!cache || !area_is_private(area))
        return;
    if (page->kind == PAGE_CACHE) {
        page_note_use(cache, page, entry->flags & PAGING_ACCESSED);
        if (page_flag_test(page, PAGE_FLAG_WRITTEN) && (area->protection & PAGING_WRITE))
            page_note_written(page, false);
        return;
    }
    mutex_lock(&cache->lock);
    page = page_cache_lookup(cache, area_index(area, address));
    if (page) {
        page_note_use_locked(cache, page, entry->flags & PAGING_ACCESSED);
        page_note_written(page, entry->flags & PAGING_DIRTY);
    }
    mutex_unlock(&cache->lock);
}

/* The entry that a page is to have in the area, with a reference for it; flags 0: none. Cache locked. */
static struct paging_entry ahead_entry(const struct area *area, struct page *page)
{
    uint32_t protection = area->protection | PAGING_UNUSED;

    if (!page_flag_test(page, PAGE_FLAG_UPTODATE))
        return (struct paging_entry){ .flags = 0 };
    if ((protection & PAGING_WRITE) && page_flag_test(page, PAGE_FLAG_WRITTEN)) {
        struct page *copy = page_allocate(0, PAGE_ANONYMOUS, PAGE_ALLOCATE_ATOMIC);
        if (copy) {
            memcpy(page_address(copy), page_address(page), PAGE_SIZE);
            return (struct paging_entry){ page_pfn(copy), protection };
        }
    }
    struct page *doors = file_doors_page(area, page->index);
    if (doors)
        page = doors;
    page_take(page);
    return (struct paging_entry){ page_pfn(page), (protection & ~PAGING_WRITE) | PAGING_COPY_ON_WRITE };
}

static void ahead_release(const struct paging_entry *entry)
{
    page_release(page_from_pfn(entry->pfn));
}

/* Takes back what is there already. How much it was. page_lock held. */
static size_t ahead_withdraw(struct area *area, uint64_t address, struct paging_entry *entries, size_t count)
{
    struct paging_entry before[AHEAD_BATCH];
    uint64_t start = address, end = address + (count << PAGE_SHIFT);
    size_t there = 0;

    if (!area_touched_range(area, &start, &end))
        return 0;
    paging_query(&area->space->root, address, before, count);
    for (size_t i = 0; i < count; i++)
        if (entries[i].flags != 0 && paging_entry_used(&before[i])) {
            ahead_release(&entries[i]);
            entries[i].flags = 0;
            there++;
        }
    return there;
}

/* Maps a run's entries, `used` of them, where nothing is. Cache locked. 0 or -ENOMEM. */
static int ahead_map(struct area *area, uint64_t address, struct paging_entry *entries, size_t count, size_t used)
{
    struct address_space *space = area->space;

    mutex_lock(&space->page_lock);
    used -= ahead_withdraw(area, address, entries, count);
    int error = used > 0 ? paging_map(&space->root, address, entries, count) : 0;
    for (size_t i = 0; i < count && error != 0; i++)
        if (entries[i].flags != 0) {
            paging_unmap(&space->root, address + (i << PAGE_SHIFT), NULL, 1);
            ahead_release(&entries[i]);
        }
    if (error == 0 && used > 0) {
        area_touch(area, address, address + (count << PAGE_SHIFT));
        address_space_count_resident(space, used);
    }
    mutex_unlock(&space->page_lock);
    return error;
}

/* A file's pages [first, after), mapped in one go; the first and the last have a habit. */
struct ahead_batch {
    uint64_t first, after;
    size_t used;
    struct paging_entry entries[AHEAD_BATCH];
};

/* Adds those of the chunk's pages with a habit that lie in [first, after). False: one has no room in this batch. Cache locked. */
static bool ahead_gather(struct ahead_batch *batch, const struct area *area, const struct page_chunk *chunk, uint64_t first, uint64_t after)
{
    for (unsigned int habits = chunk->habits; habits != 0; habits &= habits - 1) {
        unsigned int i = bits_lowest(habits);
        uint64_t index = chunk->number * CHUNK_PAGES + i;
        if (index < first || index >= after)
            continue;
        if (batch->first == batch->after)
            batch->first = batch->after = index;
        if (index - batch->first >= AHEAD_BATCH)
            return false;
        while (batch->after < index)
            batch->entries[batch->after++ - batch->first].flags = 0;
        struct paging_entry *entry = &batch->entries[batch->after++ - batch->first];
        *entry = ahead_entry(area, chunk->pages[i]);
        batch->used += entry->flags != 0;
    }
    return true;
}

void area_map_ahead(struct area *area)
{
    struct page_cache *cache = area->backing ? area->backing->cache : NULL;
    struct ahead_batch batch;
    int error = 0;

    if (!cache || !area_is_private(area) || area->protection == 0)
        return;
    mutex_lock(&cache->lock);
    uint64_t first = area->backing_index, next = first, last = minimum(area_index(area, area->end), page_cache_limit(cache));
    struct page_chunk *chunk = page_chunk_from(cache, first / CHUNK_PAGES);
    do {
        batch.first = batch.after = next;
        batch.used = 0;
        while (chunk && chunk->number * CHUNK_PAGES < last && ahead_gather(&batch, area, chunk, next, last))
            chunk = page_chunk_next(chunk);
        next = batch.after;
        if (batch.first != batch.after)
            error = ahead_map(area, area->start + ((batch.first - first) << PAGE_SHIFT), batch.entries, (size_t)(batch.after - batch.first), batch.used);
    } while (batch.first != batch.after && error == 0);
    mutex_unlock(&cache->lock);
}
