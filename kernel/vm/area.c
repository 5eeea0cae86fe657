/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One area: made, cut, joined, counted, and the pages it holds given back.
 *
 * All changes want space->lock for writing. Where a page cache knows the area (reverse mapping), its bounds change
 * under the cache's lock too, as truncation looks at them without the space's.
 */
#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vm/address_space_internal.h"
#include "kernel/vm/file_doors.h"

#define EXPECT_TIMES 8u

struct area *area_create(struct address_space *space, uint64_t start, uint64_t end, uint32_t protection, uint32_t flags,
                         struct area_backing *backing, uint64_t backing_index, const char *name)
{
    struct area *area = memory_allocate(sizeof(*area));

    if (!area)
        return NULL;
    *area = (struct area){ .start = start, .end = end, .protection = protection, .flags = flags, .backing = backing,
                           .backing_index = backing_index, .space = space, .name = name, .touched_start = UINT64_MAX };
    list_init(&area->cache_link);
    if (backing)
        area_backing_take(backing);
    return area;
}

void area_free(struct area *area)
{
    if (area->backing)
        area_backing_release(area->backing);
    memory_free(area);
}

static struct page_cache *area_cache(const struct area *area)
{
    return area->backing ? area->backing->cache : NULL;
}

static void area_count(struct area *area, int64_t sign)
{
    struct address_space *space = area->space;
    uint64_t pages = (uint64_t)sign * ((area->end - area->start) >> PAGE_SHIFT);

    space->mapped_pages += pages;
    if (area_is_private(area) && (area->protection & PAGING_WRITE))
        space->data_pages += pages;
    if (area->flags & AREA_LOCKED)
        space->locked_pages += pages;
}

void area_attach(struct address_space *space, struct area *area)
{
    struct page_cache *cache = area_cache(area);

    area_tree_insert(space, area);
    area_count(area, 1);
    if (cache) {
        mutex_lock(&cache->lock);
        list_add_last(&cache->areas, &area->cache_link);
        if (area_stores_to_file(area))
            file_doors_forget_locked(cache);
        mutex_unlock(&cache->lock);
    }
}

void area_detach(struct address_space *space, struct area *area)
{
    struct page_cache *cache = area_cache(area);

    if (cache) {
        mutex_lock(&cache->lock);
        list_remove(&area->cache_link);
        mutex_unlock(&cache->lock);
    }
    area_count(area, -1);
    area_tree_remove(space, area);
}

void area_set_bounds(struct area *area, uint64_t start, uint64_t end, uint64_t backing_index)
{
    struct page_cache *cache = area_cache(area);

    if (cache)
        mutex_lock(&cache->lock);
    area_count(area, -1);
    area->start = start;
    area->end = end;
    area->backing_index = backing_index;
    area_count(area, 1);
    if (cache)
        mutex_unlock(&cache->lock);
}

void area_set_kind(struct area *area, uint32_t protection, uint32_t flags)
{
    area_count(area, -1);
    area->protection = protection;
    area->flags = flags;
    area_count(area, 1);
}

int area_split(struct area *area, uint64_t address, struct area **upper)
{
    struct area *rest;

    assert(address > area->start && address < area->end);
    if (area->space->area_count >= AREA_COUNT_LIMIT)
        return -ENOMEM;
    rest = area_create(area->space, address, area->end, area->protection, area->flags & ~AREA_GROWS_DOWN, area->backing,
                       area_index(area, address), area->name);
    if (!rest)
        return -ENOMEM;
    rest->touched_start = area->touched_start;
    rest->touched_end = area->touched_end;
    /* Between the two steps the upper part is in no cache's list: truncation must not run, so both happen under its lock. */
    struct page_cache *cache = area_cache(area);
    if (cache)
        mutex_lock(&cache->lock);
    area_count(area, -1);
    area->end = address;
    area_count(area, 1);
    area_tree_insert(area->space, rest);
    area_count(rest, 1);
    if (cache) {
        list_add_last(&cache->areas, &rest->cache_link);
        mutex_unlock(&cache->lock);
    }
    if (upper)
        *upper = rest;
    return 0;
}

static struct area *area_join(struct area *lower, struct area *upper)
{
    struct page_cache *cache = area_cache(lower);
    struct address_space *space = lower->space;

    if (cache)
        mutex_lock(&cache->lock);
    list_remove(&upper->cache_link);
    area_count(upper, -1);
    tree_remove(&space->areas, &upper->node);
    space->area_count--;
    area_count(lower, -1);
    lower->end = upper->end;
    area_count(lower, 1);
    if (cache)
        mutex_unlock(&cache->lock);
    lower->touched_start = minimum(lower->touched_start, upper->touched_start);
    lower->touched_end = maximum(lower->touched_end, upper->touched_end);
    area_free(upper);
    return lower;
}

struct area *area_merge(struct area *area)
{
    struct area *previous = area_previous(area), *next = area_next(area);

    if (next && area_mergeable(area, next))
        area_join(area, next);
    if (previous && area_mergeable(previous, area))
        area = area_join(previous, area);
    return area;
}

int area_isolate(struct address_space *space, uint64_t start, uint64_t end)
{
    struct area *area = address_space_find(space, start);
    int error;

    if (area && area->start < start && (error = area_split(area, start, &area)) != 0)
        return error;
    area = address_space_find(space, end - 1);
    if (area && area->start < end && area->end > end)
        return area_split(area, end, NULL);
    return 0;
}

void area_touch(struct area *area, uint64_t start, uint64_t end)
{
    area->touched_start = minimum(area->touched_start, start);
    area->touched_end = maximum(area->touched_end, end);
}

bool area_touched_range(const struct area *area, uint64_t *start, uint64_t *end)
{
    *start = maximum(*start, maximum(area->start, area->touched_start));
    *end = minimum(*end, minimum(area->end, area->touched_end));
    return *start < *end;
}

/*
 * What zero pages are brought ahead for is learnt from areas that end. One of which all pages were used lets the next few begin with as
 * many at once; one with pages that nobody used halves that. Areas that never end confirm nothing: the few are all there is to lose.
 */
size_t area_expect(struct address_space *space)
{
    unsigned int left = atomic_load_explicit(&space->expect_left, memory_order_relaxed);

    if (left == 0)
        return 1;
    atomic_store_explicit(&space->expect_left, left - 1, memory_order_relaxed);
    return atomic_load_explicit(&space->expect_pages, memory_order_relaxed);
}

static void area_learn(struct address_space *space, size_t used, size_t unused)
{
    unsigned int pages = atomic_load_explicit(&space->expect_pages, memory_order_relaxed);

    if (unused > 0)
        pages /= 2;
    else if (used > 1)
        pages = (unsigned int)minimum(used, (size_t)FAULT_CLUSTER);
    else
        return;
    atomic_store_explicit(&space->expect_pages, pages, memory_order_relaxed);
    atomic_store_explicit(&space->expect_left, pages > 1 ? EXPECT_TIMES : 0, memory_order_relaxed);
}

void area_zap(struct area *area, uint64_t start, uint64_t end)
{
    struct address_space *space = area->space;
    struct paging_entry few[SPACE_BATCH], *old = few, *many = NULL;
    uint64_t limit = SPACE_BATCH;
    size_t used = 0, unused = 0;

    if (!area_touched_range(area, &start, &end))
        return;
    /* A run that is a whole page table costs one update in all: worth a buffer that holds it. */
    if (end - start >= SPACE_TABLE_BYTES && (many = memory_allocate((SPACE_TABLE_BYTES >> PAGE_SHIFT) * sizeof(*many)))) {
        old = many;
        limit = SPACE_TABLE_BYTES >> PAGE_SHIFT;
    }
    for (uint64_t address = start; address < end;) {
        uint64_t table_end = round_down(address, SPACE_TABLE_BYTES) + SPACE_TABLE_BYTES;
        size_t batch = (size_t)minimum((minimum(end, table_end) - address) >> PAGE_SHIFT, limit);
        uint64_t gone = 0;
        mutex_lock(&space->page_lock);
        paging_unmap(&space->root, address, old, batch);
        mutex_unlock(&space->page_lock);
        for (size_t i = 0; i < batch; i++)
            if (paging_entry_used(&old[i])) {
                struct page *page = page_from_pfn(old[i].pfn);
                if (area->backing)
                    area_note_use(area, address + (i << PAGE_SHIFT), page, &old[i]);
                page_release(page);
                gone++;
                unused += !(old[i].flags & PAGING_ACCESSED);
            }
        used += gone;
        atomic_fetch_sub(&space->resident_pages, gone);
        address += batch << PAGE_SHIFT;
        thread_yield_if_due();
    }
    memory_free(many);
    if (!area->backing)
        area_learn(space, used - unused, unused);
}
