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

#include "kernel/vm/address_space_internal.h"
#include "kernel/vm/page_cache_internal.h"

#define HABIT_LIMIT 3u

static unsigned int page_habit(const struct page *page)
{
    return atomic_load_explicit(&page->flags, memory_order_relaxed) / PAGE_FLAG_HABIT & HABIT_LIMIT;
}

static void page_note_use(struct page *page, bool used)
{
    unsigned int habit = page_habit(page), now = used ? HABIT_LIMIT : habit - (habit > 0);

    if (now != habit)
        atomic_fetch_xor(&page->flags, (uint16_t)((habit ^ now) * PAGE_FLAG_HABIT));
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

void area_note_use(struct area *area, uint64_t address, const struct paging_entry *entry)
{
    struct page_cache *cache = area->backing ? area->backing->cache : NULL;
    struct page *page = page_from_pfn(entry->pfn);

    if (!cache || !area_is_private(area))
        return;
    if (page->kind == PAGE_CACHE) {
        page_note_use(page, entry->flags & PAGING_ACCESSED);
        if (page_flag_test(page, PAGE_FLAG_WRITTEN) && (area->protection & PAGING_WRITE))
            page_note_written(page, false);
        return;
    }
    mutex_lock(&cache->lock);
    page = page_cache_lookup(cache, area_index(area, address));
    if (page) {
        page_note_use(page, entry->flags & PAGING_ACCESSED);
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
    page_take(page);
    return (struct paging_entry){ page_pfn(page), (protection & ~PAGING_WRITE) | PAGING_COPY_ON_WRITE };
}

static void ahead_release(const struct paging_entry *entry)
{
    page_release(page_from_pfn(entry->pfn));
}

/* Maps a run's entries where nothing is. Cache locked. 0 or -ENOMEM. */
static int ahead_map(struct area *area, uint64_t address, struct paging_entry *entries, size_t count)
{
    struct address_space *space = area->space;
    struct paging_entry before[CHUNK_PAGES];
    uint64_t start = address, end = address + (count << PAGE_SHIFT);
    size_t used = 0;

    mutex_lock(&space->page_lock);
    bool touched = area_touched_range(area, &start, &end);
    if (touched)
        paging_query(&space->root, address, before, count);
    for (size_t i = 0; i < count; i++) {
        if (touched && entries[i].flags != 0 && paging_entry_used(&before[i])) {
            ahead_release(&entries[i]);
            entries[i].flags = 0;
        }
        used += entries[i].flags != 0;
    }
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

void area_map_ahead(struct area *area)
{
    struct page_cache *cache = area->backing ? area->backing->cache : NULL;
    struct paging_entry entries[CHUNK_PAGES];
    int error = 0;

    if (!cache || !area_is_private(area) || area->protection == 0)
        return;
    mutex_lock(&cache->lock);
    uint64_t index = area->backing_index, last = minimum(area_index(area, area->end), page_cache_limit(cache));
    struct page_chunk *chunk = page_chunk_from(cache, index / CHUNK_PAGES);
    while (chunk && error == 0) {
        uint64_t first = maximum(index, chunk->number * CHUNK_PAGES), after = minimum(last, (chunk->number + 1) * CHUNK_PAGES);
        if (first >= after)
            break;
        size_t count = 0, from = 0;
        for (uint64_t at = first; at < after; at++) { /* a run from the first to the last that has a habit */
            struct page *page = chunk->pages[at % CHUNK_PAGES];
            bool wanted = page && page_habit(page) != 0;
            if (!wanted && count == 0)
                continue;
            from = count == 0 ? at : from;
            entries[count++] = wanted ? ahead_entry(area, page) : (struct paging_entry){ .flags = 0 };
        }
        if (count > 0)
            error = ahead_map(area, area->start + ((from - index) << PAGE_SHIFT), entries, count);
        chunk = page_chunk_next(chunk);
    }
    mutex_unlock(&cache->lock);
}
