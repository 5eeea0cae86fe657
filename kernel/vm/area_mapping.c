/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From cached pages to the areas that map them (reverse mapping): unmapping on truncation and reclaim, write
 * protection for write-back, accessed bits for the reclaimer.
 *
 * Everything runs under cache->lock, which guards cache->areas and, for areas with a backing, their start, end and
 * backing_index; page-table entries are changed under each space's page_lock.
 */
#include "kernel/base/error.h"
#include "kernel/vm/address_space.h"
#include "kernel/vm/page_cache_internal.h"

#define MAPPING_BATCH 64u

/* The addresses at which the area maps pages [first, first + count); false: none. */
static bool area_overlap(const struct area *area, uint64_t first, uint64_t count, uint64_t *address, uint64_t *pages)
{
    uint64_t area_end = area->backing_index + ((area->end - area->start) >> PAGE_SHIFT);
    uint64_t end = count > UINT64_MAX - first ? UINT64_MAX : first + count;
    uint64_t low = maximum(first, area->backing_index), high = minimum(end, area_end);

    if (low >= high)
        return false;
    *address = area->start + ((low - area->backing_index) << PAGE_SHIFT);
    *pages = high - low;
    return true;
}

void area_mapping_unmap(struct page_cache *cache, uint64_t first, uint64_t count)
{
    struct paging_entry old[MAPPING_BATCH];
    struct area *area;
    uint64_t address, pages;

    assert(mutex_held(&cache->lock));
    list_for_each(area, &cache->areas, cache_link) {
        if (!area_overlap(area, first, count, &address, &pages))
            continue;
        while (pages > 0) {
            size_t batch = (size_t)minimum(pages, (uint64_t)MAPPING_BATCH);
            mutex_lock(&area->space->page_lock);
            paging_unmap(&area->space->root, address, old, batch);
            mutex_unlock(&area->space->page_lock);
            for (size_t i = 0; i < batch; i++)
                if (old[i].flags != 0) {
                    page_release(page_from_pfn(old[i].pfn));
                    atomic_fetch_sub(&area->space->resident_pages, 1);
                }
            address += batch << PAGE_SHIFT;
            pages -= batch;
        }
    }
}

void area_mapping_unmap_page(struct page_cache *cache, struct page *page)
{
    struct area *area;
    uint64_t address, pages;

    list_for_each(area, &cache->areas, cache_link) {
        struct paging_entry entry;
        if (!area_overlap(area, page->index, 1, &address, &pages))
            continue;
        mutex_lock(&area->space->page_lock);
        paging_query(&area->space->root, address, &entry, 1);
        bool ours = entry.flags != 0 && entry.pfn.number == page_pfn(page).number;
        if (ours)
            paging_unmap(&area->space->root, address, NULL, 1);
        mutex_unlock(&area->space->page_lock);
        if (ours) {
            page_release(page);
            atomic_fetch_sub(&area->space->resident_pages, 1);
        }
    }
}

bool area_mapping_test_accessed(struct page_cache *cache, const struct page *page)
{
    struct area *area;
    uint64_t address, pages;
    bool accessed = false;

    list_for_each(area, &cache->areas, cache_link)
        if (area_overlap(area, page->index, 1, &address, &pages)) {
            mutex_lock(&area->space->page_lock);
            accessed |= paging_test_accessed(&area->space->root, address);
            mutex_unlock(&area->space->page_lock);
        }
    return accessed;
}

void area_mapping_write_protect(struct page_cache *cache, const struct page *page)
{
    struct area *area;
    uint64_t address, pages;

    list_for_each(area, &cache->areas, cache_link) {
        struct paging_entry entry;
        if (!(area->flags & AREA_SHARED) || !area_overlap(area, page->index, 1, &address, &pages))
            continue;
        mutex_lock(&area->space->page_lock);
        paging_query(&area->space->root, address, &entry, 1);
        /* Marked even where mprotect has taken the right to write: it may give it back. */
        if (entry.flags != 0 && !(entry.flags & PAGING_COPY_ON_WRITE)) {
            entry.flags = (entry.flags & (PAGING_READ | PAGING_EXECUTE)) | PAGING_COPY_ON_WRITE;
            paging_map(&area->space->root, address, &entry, 1); /* no new table: cannot fail */
        }
        mutex_unlock(&area->space->page_lock);
    }
}
