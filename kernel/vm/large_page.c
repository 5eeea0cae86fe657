/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large pages: 2 MiB of anonymous private memory in one page-table entry, where the page tables have such entries (PVH).
 *
 * They are a matter of the page tables alone: the block's pages are single pages from the start, each with its own references,
 * and whoever changes a part of the range has small entries afterwards (xen/x86/paging.h). Only three things look at them
 * as a whole: the fault that brings one, fork, which shares it, and the first store after a fork whose other side is gone.
 *
 * When a fault brings one. We are small, so memory that a program may never touch must not be taken for it, as Linux does:
 *   - the 2 MiB lie in one area that is no main stack, nothing of them is there yet, and the access is a store;
 *   - half of the 2 MiB below, in the same area, is there: the area fills from below, and at most triples. Threads' stacks
 *     (used from the top), arenas that grow by small steps, reservations and programs that jump about never come to it.
 *     MADV_HUGEPAGE says that it will be used, and takes the place of this;
 *   - a quarter of all memory stays free, and there is a block: nothing is reclaimed for it.
 *
 * Locks: as in fault.c.
 */
#include "kernel/base/error.h"
#include "kernel/vm/address_space_internal.h"

#define LARGE_ORDER 9u
#define LARGE_USED (PAGING_LARGE_COUNT / 2)
#define LARGE_FREE_SHARE 4u

_Static_assert(PAGING_LARGE_COUNT == 1u << LARGE_ORDER && SPACE_TABLE_BYTES == PAGING_LARGE_COUNT * PAGE_SIZE, "a large page");

/* The area fills from below: much of the 2 MiB below `start` is there. */
static bool large_expected(const struct area *area, uint64_t start)
{
    struct address_space *space = area->space;
    struct paging_entry entries[SPACE_BATCH];
    unsigned int used = 0;

    if (area->flags & AREA_LARGE_PAGES)
        return true;
    if (start == area->start || paging_large_vacant(&space->root, start - PAGE_SIZE))
        return false;
    mutex_lock(&space->page_lock);
    for (uint64_t address = maximum(area->start, start - SPACE_TABLE_BYTES); address < start && used < LARGE_USED;) {
        size_t batch = (size_t)minimum((start - address) >> PAGE_SHIFT, (uint64_t)SPACE_BATCH);
        paging_query(&space->root, address, entries, batch);
        for (size_t i = 0; i < batch; i++)
            used += paging_entry_used(&entries[i]);
        address += batch << PAGE_SHIFT;
    }
    mutex_unlock(&space->page_lock);
    return used >= LARGE_USED;
}

static struct page *large_block(void)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    if (statistics.free_pages < statistics.total_pages / LARGE_FREE_SHARE + PAGING_LARGE_COUNT)
        return NULL;
    return page_allocate(LARGE_ORDER, PAGE_ANONYMOUS, PAGE_ALLOCATE_ZERO | PAGE_ALLOCATE_ATOMIC);
}

bool large_page_bring(struct area *area, uint64_t address)
{
    struct address_space *space = area->space;
    uint64_t start = round_down(address, SPACE_TABLE_BYTES), end = start + SPACE_TABLE_BYTES;

    if (start < area->start || end > area->end || (area->flags & (AREA_GROWS_DOWN | AREA_SMALL_PAGES)) ||
        read_once(space->no_large_pages) || !paging_large_vacant(&space->root, start) || !large_expected(area, start))
        return false;
    struct page *block = large_block();
    if (!block)
        return false;
    struct paging_entry entry = { page_pfn(block), area->protection };
    mutex_lock(&space->page_lock);
    bool mapped = paging_large_vacant(&space->root, start) && paging_map_large(&space->root, start, &entry) == 0;
    if (mapped) {
        page_split(block);
        area_touch(area, start, end);
        address_space_count_resident(space, PAGING_LARGE_COUNT);
    }
    mutex_unlock(&space->page_lock);
    if (!mapped)
        page_release(block);
    return mapped;
}

bool large_page_reuse(struct area *area, uint64_t address, pfn_t pfn)
{
    struct paging_entry entry = { { round_down(pfn.number, PAGING_LARGE_COUNT) }, area->protection };
    struct page *first = page_from_pfn(entry.pfn);

    for (unsigned int i = 0; i < PAGING_LARGE_COUNT; i++)
        if (atomic_load(&first[i].reference.count) != 1)
            return false;
    return paging_map_large(&area->space->root, round_down(address, SPACE_TABLE_BYTES), &entry) == 0;
}

int large_page_share(struct area *area, struct area *copy, uint64_t start, uint64_t end)
{
    struct paging_entry entry;

    if (start % SPACE_TABLE_BYTES != 0 || end - start < SPACE_TABLE_BYTES)
        return 0;
    mutex_lock(&area->space->page_lock);
    paging_query(&area->space->root, start, &entry, 1);
    if (!(entry.flags & PAGING_LARGE)) {
        mutex_unlock(&area->space->page_lock);
        return 0;
    }
    struct page *first = page_from_pfn(entry.pfn);
    for (unsigned int i = 0; i < PAGING_LARGE_COUNT; i++)
        page_take(first + i);
    bool shared_already = entry.flags & PAGING_COPY_ON_WRITE;
    entry.flags = (entry.flags & (PAGING_READ | PAGING_EXECUTE)) | PAGING_COPY_ON_WRITE;
    if (!shared_already)
        (void)paging_map_large(&area->space->root, start, &entry); /* in place of the old one: cannot fail */
    mutex_unlock(&area->space->page_lock);
    int error = paging_map_large(&copy->space->root, start, &entry);
    if (error == 0)
        address_space_count_resident(copy->space, PAGING_LARGE_COUNT);
    for (unsigned int i = 0; error != 0 && i < PAGING_LARGE_COUNT; i++)
        page_release(first + i);
    return error != 0 ? error : 1;
}
