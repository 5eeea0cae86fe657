/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * madvise, mincore, msync, mlock, and populating: what programs say and ask about the pages of a range.
 */
#include "kernel/base/error.h"
#include "kernel/vm/address_space_internal.h"

/* Linux's numbers. */
enum { ADVICE_NORMAL = 0, ADVICE_RANDOM = 1, ADVICE_SEQUENTIAL = 2, ADVICE_WILL_NEED = 3, ADVICE_DONT_NEED = 4,
       ADVICE_FREE = 8, ADVICE_REMOVE = 9, ADVICE_DONT_FORK = 10, ADVICE_DO_FORK = 11, ADVICE_MERGEABLE = 12,
       ADVICE_UNMERGEABLE = 13, ADVICE_HUGE_PAGE = 14, ADVICE_NO_HUGE_PAGE = 15, ADVICE_DONT_DUMP = 16, ADVICE_DO_DUMP = 17,
       ADVICE_WIPE_ON_FORK = 18, ADVICE_KEEP_ON_FORK = 19, ADVICE_COLD = 20, ADVICE_PAGE_OUT = 21, ADVICE_POPULATE_READ = 22,
       ADVICE_POPULATE_WRITE = 23, ADVICE_DONT_NEED_LOCKED = 24 };

#define SYNCHRONIZE_ASYNC 1
#define SYNCHRONIZE_INVALIDATE 2
#define SYNCHRONIZE_SYNC 4

static int populate_access(struct address_space *space, uint64_t start, uint64_t end, uint32_t access)
{
    struct paging_entry entries[SPACE_BATCH];

    for (uint64_t address = start; address < end;) {
        size_t batch = (size_t)minimum((end - address) >> PAGE_SHIFT, (uint64_t)SPACE_BATCH);
        for (size_t i = 0; i < batch; i++) {
            if (i == 0 || i % FAULT_CLUSTER == 0) { /* what the last fault brought along needs none of its own */
                mutex_lock(&space->page_lock);
                paging_query(&space->root, address + (i << PAGE_SHIFT), entries + i, minimum(batch - i, (size_t)FAULT_CLUSTER));
                mutex_unlock(&space->page_lock);
            }
            if ((entries[i].flags & PAGING_PRESENT) && (!(access & PAGING_WRITE) || (entries[i].flags & PAGING_WRITE)))
                continue;
            int error = address_space_fault(space, address + (i << PAGE_SHIFT), access);
            if (error != 0)
                return error;
        }
        address += batch << PAGE_SHIFT;
        thread_yield_if_due();
    }
    return 0;
}

int address_space_populate(struct address_space *space, uint64_t start, uint64_t end)
{
    while (start < end) {
        rw_lock_read(&space->lock);
        struct area *area = address_space_find(space, start);
        bool found = area && area->start <= start;
        uint64_t stop = found ? minimum(end, area->end) : start;
        uint32_t protection = found ? area->protection : 0;
        bool private_write = found && area_is_private(area) && (protection & PAGING_WRITE);
        rw_unlock_read(&space->lock);
        if (!found)
            return -ENOMEM;
        if (protection != 0) {
            int error = populate_access(space, start, stop, private_write ? PAGING_WRITE : PAGING_READ);
            if (error != 0)
                return error;
        }
        start = stop;
    }
    return 0;
}

static int advise_dont_need(struct area *area, uint64_t start, uint64_t end, int advice)
{
    if ((area->flags & AREA_LOCKED) && advice != ADVICE_DONT_NEED_LOCKED)
        return -EINVAL;
    if ((area->flags & AREA_SPECIAL) || code_patch_owns(area))
        return -EINVAL;
    if (advice == ADVICE_FREE && (area->backing || (area->flags & AREA_SHARED)))
        return -EINVAL;
    area_zap(area, start, end);
    return 0;
}

static int advise_remove(struct area *area, uint64_t start, uint64_t end)
{
    struct page_cache *cache = area->backing ? area->backing->cache : NULL;

    if (area->flags & AREA_LOCKED)
        return -EINVAL;
    if (!cache || !(area->flags & AREA_SHARED) || !(area->flags & AREA_MAY_WRITE))
        return cache && (area->flags & AREA_SHARED) ? -EACCES : -EINVAL;
    if (cache->source)
        return -EOPNOTSUPP;
    page_cache_punch(cache, area_index(area, start), (end - start) >> PAGE_SHIFT);
    return 0;
}

static int advise_flags(struct area *area, int advice, uint32_t *flags)
{
    bool special = area->flags & AREA_SPECIAL;

    *flags = area->flags;
    switch (advice) {
    case ADVICE_DONT_FORK:
        *flags |= code_patch_owns(area) ? 0 : AREA_DONT_FORK;
        return 0;
    case ADVICE_DO_FORK:
        *flags &= ~AREA_DONT_FORK;
        return special ? -EINVAL : 0;
    case ADVICE_DONT_DUMP:
        *flags |= AREA_DONT_DUMP;
        return 0;
    case ADVICE_DO_DUMP:
        *flags &= ~AREA_DONT_DUMP;
        return special ? -EINVAL : 0;
    case ADVICE_WIPE_ON_FORK:
        *flags |= AREA_WIPE_ON_FORK;
        return area->backing || (area->flags & AREA_SHARED) || code_patch_owns(area) ? -EINVAL : 0;
    case ADVICE_KEEP_ON_FORK:
        *flags &= ~AREA_WIPE_ON_FORK;
        return 0;
    case ADVICE_HUGE_PAGE:
        *flags = (*flags & ~AREA_SMALL_PAGES) | AREA_LARGE_PAGES;
        return 0;
    case ADVICE_NO_HUGE_PAGE:
        *flags = (*flags & ~AREA_LARGE_PAGES) | AREA_SMALL_PAGES;
        return 0;
    default:
        return 0;
    }
}

/* Reading ahead may sleep on the disk: the lock is dropped meanwhile, the caller goes on by address. */
static void advise_will_need(struct area *area, uint64_t start, uint64_t end)
{
    struct area_backing *backing = area->backing;
    struct address_space *space = area->space;
    uint64_t index = area_index(area, start);

    if (!backing || !backing->cache)
        return;
    area_backing_take(backing);
    rw_unlock_read(&space->lock);
    page_cache_read_ahead(backing->cache, index, minimum((end - start) >> PAGE_SHIFT, (uint64_t)512));
    area_backing_release(backing);
    rw_lock_read(&space->lock);
}

/* One area's part [start, end), space->lock held for reading. */
static int advise_area(struct area *area, uint64_t start, uint64_t end, int advice)
{
    switch (advice) {
    case ADVICE_DONT_NEED:
    case ADVICE_DONT_NEED_LOCKED:
    case ADVICE_FREE:
        return advise_dont_need(area, start, end, advice);
    case ADVICE_REMOVE:
        return advise_remove(area, start, end);
    case ADVICE_WILL_NEED:
        advise_will_need(area, start, end);
        return 0;
    case ADVICE_COLD:
    case ADVICE_PAGE_OUT:
        return (area->flags & (AREA_LOCKED | AREA_SPECIAL)) ? -EINVAL : 0;
    default:
        return 0;
    }
}

static bool advice_known(int advice)
{
    return (advice >= ADVICE_NORMAL && advice <= ADVICE_DONT_NEED) || (advice >= ADVICE_FREE && advice <= ADVICE_DONT_NEED_LOCKED);
}

static bool advice_changes_areas(int advice)
{
    return advice == ADVICE_DONT_FORK || advice == ADVICE_DO_FORK || advice == ADVICE_DONT_DUMP || advice == ADVICE_DO_DUMP ||
           advice == ADVICE_WIPE_ON_FORK || advice == ADVICE_KEEP_ON_FORK || advice == ADVICE_HUGE_PAGE ||
           advice == ADVICE_NO_HUGE_PAGE;
}

/* Advice that changes areas' flags; space->lock held for writing. */
static int advise_change(struct address_space *space, uint64_t start, uint64_t end, int advice)
{
    bool hole = false;
    uint64_t at = start;
    uint32_t flags;

    int error = area_isolate(space, start, end);
    while (error == 0 && at < end) {
        struct area *area = address_space_find(space, at);
        if (!area || area->start >= end) {
            hole = true;
            break;
        }
        hole |= area->start > at;
        error = advise_flags(area, advice, &flags);
        at = area->end;
        if (error == 0)
            area_set_kind(area, area->protection, flags);
        area_merge(area);
    }
    struct area *area = address_space_find(space, end);
    if (area && area->start == end)
        area_merge(area);
    return error != 0 ? error : hole ? -ENOMEM : 0;
}

static int advise_pages(struct address_space *space, uint64_t start, uint64_t end, int advice)
{
    bool hole = false;
    int error = 0;

    for (uint64_t at = start; at < end && error == 0;) {
        struct area *area = address_space_find(space, at);
        if (!area || area->start >= end) {
            hole = true;
            break;
        }
        hole |= area->start > at;
        uint64_t low = maximum(at, area->start);
        at = area->end;
        error = advise_area(area, low, minimum(end, at), advice);
    }
    return error != 0 ? error : hole ? -ENOMEM : 0;
}

static int advise_populate(struct address_space *space, uint64_t start, uint64_t end, uint32_t access)
{
    rw_lock_read(&space->lock);
    bool covered = area_tree_covered(space, start, end);
    rw_unlock_read(&space->lock);
    if (!covered)
        return -ENOMEM;
    int error = populate_access(space, start, end, access);
    return error == -EACCES ? -EINVAL : error == -ENXIO || error == -EIO ? -EFAULT : error;
}

int address_space_advise(struct address_space *space, uint64_t address, uint64_t length_bytes, int advice)
{
    uint64_t end;

    if (!advice_known(advice) || (address & PAGE_MASK))
        return -EINVAL;
    if (!address_space_range(address, length_bytes, &end))
        return PAGE_ROUND_UP(length_bytes) < length_bytes ? -EINVAL : -ENOMEM;
    if (end == address)
        return 0;
    if (advice == ADVICE_POPULATE_READ || advice == ADVICE_POPULATE_WRITE)
        return advise_populate(space, address, end, advice == ADVICE_POPULATE_READ ? PAGING_READ : PAGING_WRITE);
    if (advice_changes_areas(advice)) {
        rw_lock_write(&space->lock);
        int error = advise_change(space, address, end, advice);
        rw_unlock_write(&space->lock);
        return error;
    }
    rw_lock_read(&space->lock);
    int error = advise_pages(space, address, end, advice);
    rw_unlock_read(&space->lock);
    return error;
}

int address_space_residency(struct address_space *space, uint64_t address, size_t pages, uint8_t *vector)
{
    int error = 0;

    rw_lock_read(&space->lock);
    for (size_t i = 0; i < pages; i++) {
        uint64_t at = address + ((uint64_t)i << PAGE_SHIFT);
        struct area *area = address_space_find(space, at);
        struct paging_entry entry;
        if (!area || area->start > at) {
            error = -ENOMEM;
            break;
        }
        mutex_lock(&space->page_lock);
        paging_query(&space->root, at, &entry, 1);
        mutex_unlock(&space->page_lock);
        vector[i] = paging_entry_used(&entry);
        if (!vector[i] && area->backing && area->backing->cache) {
            struct page *page;
            vector[i] = page_cache_get_present(area->backing->cache, area_index(area, at), &page, 1) == 1;
            if (vector[i])
                page_release(page);
        }
    }
    rw_unlock_read(&space->lock);
    return error;
}

/* Writes one shared area's part back; the lock is dropped meanwhile. */
static int synchronize_area(struct address_space *space, struct area *area, uint64_t start, uint64_t end)
{
    struct area_backing *backing = area->backing;
    uint64_t first = area_index(area, start) << PAGE_SHIFT, last = first + (end - start) - 1;

    area_backing_take(backing);
    rw_unlock_read(&space->lock);
    int error = page_cache_synchronize(backing->cache, first, last);
    area_backing_release(backing);
    rw_lock_read(&space->lock);
    return error;
}

int address_space_synchronize(struct address_space *space, uint64_t address, uint64_t length_bytes, int flags)
{
    bool hole = false;
    uint64_t end;
    int error = 0;

    if ((flags & ~(SYNCHRONIZE_ASYNC | SYNCHRONIZE_INVALIDATE | SYNCHRONIZE_SYNC)) || (address & PAGE_MASK) ||
        ((flags & SYNCHRONIZE_ASYNC) && (flags & SYNCHRONIZE_SYNC)))
        return -EINVAL;
    if (!address_space_range(address, length_bytes, &end))
        return -ENOMEM;
    rw_lock_read(&space->lock);
    for (uint64_t at = address; at < end && error == 0;) {
        struct area *area = address_space_find(space, at);
        if (!area || area->start >= end) {
            hole = true;
            break;
        }
        hole |= area->start > at;
        uint64_t start = maximum(at, area->start);
        at = area->end;
        if ((flags & SYNCHRONIZE_INVALIDATE) && (area->flags & AREA_LOCKED))
            error = -EBUSY;
        else if ((flags & SYNCHRONIZE_SYNC) && (area->flags & AREA_SHARED) && area->backing && area->backing->cache)
            error = synchronize_area(space, area, start, minimum(end, at));
    }
    rw_unlock_read(&space->lock);
    return error != 0 ? error : hole ? -ENOMEM : 0;
}

/* Sets or clears AREA_LOCKED on [start, end), which is covered; space->lock held for writing. */
static int lock_range(struct address_space *space, uint64_t start, uint64_t end, bool lock)
{
    int error = area_isolate(space, start, end);

    for (uint64_t at = start; at < end && error == 0;) {
        struct area *area = address_space_find(space, at);
        at = area->end;
        if (!(area->flags & AREA_SPECIAL))
            area_set_kind(area, area->protection, lock ? area->flags | AREA_LOCKED : area->flags & ~AREA_LOCKED);
        area_merge(area);
    }
    return error;
}

int address_space_lock_pages(struct address_space *space, uint64_t address, uint64_t length_bytes, bool lock)
{
    uint64_t start = PAGE_ROUND_DOWN(address), end;
    int error = 0;

    if (!address_space_range(start, length_bytes + (address - start), &end))
        return length_bytes + address < address ? -EINVAL : -ENOMEM;
    if (start == end)
        return 0;
    rw_lock_write(&space->lock);
    if (lock && (space->locked_pages << PAGE_SHIFT) + (end - start) > space->lock_limit_bytes)
        error = space->lock_limit_bytes == 0 ? -EPERM : -ENOMEM;
    else if (!area_tree_covered(space, start, end))
        error = -ENOMEM;
    else
        error = lock_range(space, start, end, lock);
    rw_unlock_write(&space->lock);
    if (error == 0 && lock) {
        error = address_space_populate(space, start, end);
        if (error == -EFAULT || error == -ENXIO)
            error = -ENOMEM;
    }
    return error;
}

int address_space_lock_all(struct address_space *space, bool current_areas, bool future_areas)
{
    int error = 0;

    rw_lock_write(&space->lock);
    if ((current_areas || future_areas) && (space->mapped_pages << PAGE_SHIFT) > space->lock_limit_bytes && current_areas)
        error = space->lock_limit_bytes == 0 ? -EPERM : -ENOMEM;
    if (error == 0) {
        space->lock_future = future_areas ? AREA_LOCKED : 0;
        bool unlock = !current_areas && !future_areas;
        for (struct tree_node *node = tree_first(&space->areas); node && (current_areas || unlock); node = tree_next(node)) {
            struct area *area = tree_entry(node, struct area, node);
            if (!(area->flags & AREA_SPECIAL))
                area_set_kind(area, area->protection, unlock ? area->flags & ~AREA_LOCKED : area->flags | AREA_LOCKED);
        }
    }
    rw_unlock_write(&space->lock);
    for (uint64_t at = 0; error == 0 && current_areas;) {
        rw_lock_read(&space->lock);
        struct area *area = address_space_find(space, at);
        uint64_t start = area ? area->start : 0, end = area ? area->end : 0;
        rw_unlock_read(&space->lock);
        if (end == 0)
            break;
        (void)address_space_populate(space, start, end);
        at = end;
    }
    return error;
}
