/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mremap: a mapping shrinks, grows in place, or moves with its pages, whose table entries are carried over in batches.
 */
#include "kernel/base/error.h"
#include "kernel/vm/address_space_internal.h"

#define REMAP_MAY_MOVE 1u
#define REMAP_FIXED 2u
#define REMAP_DONT_UNMAP 4u

/* Entries of area [start, +pages) appear in `to`; both may hold pages. Locked. */
static int remap_move_pages(struct area *from, uint64_t start, struct area *to, uint64_t pages)
{
    struct address_space *space = from->space;
    struct paging_entry entries[SPACE_BATCH];
    uint64_t low = start, high = start + (pages << PAGE_SHIFT);
    int error = 0;

    if (!area_touched_range(from, &low, &high))
        return 0;
    for (uint64_t address = low; address < high && error == 0;) {
        size_t batch = (size_t)minimum((high - address) >> PAGE_SHIFT, (uint64_t)SPACE_BATCH), used = 0;
        uint64_t target = to->start + (address - start);
        mutex_lock(&space->page_lock);
        paging_unmap(&space->root, address, entries, batch);
        for (size_t i = 0; i < batch; i++)
            if (paging_entry_used(&entries[i])) {
                entries[i].flags = (entries[i].flags & (PROTECTION_ALL | PAGING_COPY_ON_WRITE)) | PAGING_PRESENT; /* no rights: PROT_NONE, kept */
                used++;
            }
        if (used > 0) {
            area_touch(to, target, target + (batch << PAGE_SHIFT));
            error = paging_map(&space->root, target, entries, batch);
            if (error != 0) /* no table for the new place: put them back, their tables are still there */
                paging_unmap(&space->root, target, NULL, batch);
            if (error != 0)
                (void)paging_map(&space->root, address, entries, batch);
        }
        mutex_unlock(&space->page_lock);
        address += batch << PAGE_SHIFT;
    }
    return error;
}

static int remap_move(struct address_space *space, struct area *area, uint64_t address, uint64_t old_bytes, uint64_t new_bytes,
                      uint64_t target, unsigned int flags)
{
    struct page_cache *cache = area->backing ? area->backing->cache : NULL;
    struct area *moved;

    if (space->area_count + 3 > AREA_COUNT_LIMIT)
        return -ENOMEM;
    moved = area_create(space, target, target + new_bytes, area->protection, area->flags & ~AREA_GROWS_DOWN, area->backing,
                        area->backing ? area_index(area, address) : 0, area->name);
    if (!moved)
        return -ENOMEM;
    area_attach(space, moved);
    /* Truncation must see the pages at one of the two places. */
    if (cache)
        mutex_lock(&cache->lock);
    int error = remap_move_pages(area, address, moved, minimum(old_bytes, new_bytes) >> PAGE_SHIFT);
    if (cache)
        mutex_unlock(&cache->lock);
    if (error != 0) { /* what was moved before goes with the new area: bring it back first */
        remap_move_pages(moved, target, area, minimum(old_bytes, new_bytes) >> PAGE_SHIFT);
        area_detach(space, moved);
        area_zap(moved, target, target + new_bytes);
        area_free(moved);
        return error;
    }
    if (!(flags & REMAP_DONT_UNMAP))
        error = address_space_unmap_locked(space, address, address + old_bytes);
    area_merge(moved);
    return error;
}

static int remap_check(struct address_space *space, uint64_t address, uint64_t old_bytes, uint64_t new_bytes,
                       unsigned int flags, uint64_t new_address, struct area **found)
{
    if ((address & PAGE_MASK) || (flags & ~(REMAP_MAY_MOVE | REMAP_FIXED | REMAP_DONT_UNMAP)) || new_bytes == 0 ||
        new_bytes > USER_ADDRESS_HIGH || old_bytes > USER_ADDRESS_HIGH)
        return -EINVAL;
    if ((flags & (REMAP_FIXED | REMAP_DONT_UNMAP)) && !(flags & REMAP_MAY_MOVE))
        return -EINVAL;
    if ((flags & REMAP_DONT_UNMAP) && old_bytes != new_bytes)
        return -EINVAL;
    if (flags & REMAP_FIXED) {
        if ((new_address & PAGE_MASK) || new_address > USER_ADDRESS_HIGH || new_bytes > USER_ADDRESS_HIGH - new_address)
            return -EINVAL;
        if (new_address < USER_ADDRESS_LOW)
            return -EPERM;
        if (address < new_address + new_bytes && new_address < address + old_bytes)
            return -EINVAL;
    }
    struct area *area = address_space_find(space, address);
    if (!area || area->start > address)
        return -EFAULT;
    if (old_bytes == 0 && !(area->flags & AREA_SHARED)) /* only a shared mapping can be doubled */
        return -EINVAL;
    if (area->flags & AREA_SPECIAL)
        return -EINVAL;
    if (old_bytes > area->end - address)
        return -EFAULT;
    *found = area;
    return 0;
}

static int remap_grow_in_place(struct address_space *space, struct area *area, uint64_t end, uint64_t new_end)
{
    if (area->end != end || new_end > USER_ADDRESS_HIGH || !area_tree_range_free(space, end, new_end))
        return -ENOMEM;
    struct area *above = area_next(area);
    if (above && (above->flags & AREA_GROWS_DOWN) && above->start - new_end < AREA_STACK_GAP_BYTES)
        return -ENOMEM;
    area_set_bounds(area, area->start, new_end, area->backing_index);
    area_merge(area);
    return 0;
}

static int remap_locked(struct address_space *space, uint64_t address, uint64_t old_bytes, uint64_t new_bytes,
                        unsigned int flags, uint64_t new_address, uint64_t *result)
{
    struct area *area;
    int error = remap_check(space, address, old_bytes, new_bytes, flags, new_address, &area);

    if (error != 0)
        return error;
    if (!(flags & (REMAP_FIXED | REMAP_DONT_UNMAP))) {
        *result = address;
        if (new_bytes <= old_bytes)
            return new_bytes < old_bytes ? address_space_unmap_locked(space, address + new_bytes, address + old_bytes) : 0;
    }
    if (new_bytes > old_bytes) {
        uint64_t grown = new_bytes - old_bytes;
        error = address_space_admit(space, grown >> PAGE_SHIFT, area->protection, area->flags);
        if (error != 0)
            return error;
        if ((area->flags & AREA_LOCKED) && (space->locked_pages << PAGE_SHIFT) + grown > space->lock_limit_bytes)
            return -EAGAIN;
        if (!(flags & (REMAP_FIXED | REMAP_DONT_UNMAP)) && old_bytes != 0 &&
            remap_grow_in_place(space, area, address + old_bytes, address + new_bytes) == 0)
            return 0;
    }
    if (!(flags & REMAP_MAY_MOVE))
        return -ENOMEM;
    if (area->flags & AREA_PATCHED) {
        int error = code_patch_leave(space, address, address + old_bytes, false);
        if (error != 0)
            return error;
    }
    if (flags & REMAP_FIXED) {
        error = address_space_unmap_locked(space, new_address, new_address + new_bytes);
        if (error != 0)
            return error;
        area = address_space_find(space, address); /* a cut may have made a new one */
        *result = new_address;
    } else {
        *result = address_space_place(space, (flags & REMAP_DONT_UNMAP) ? new_address : 0, new_bytes, false);
        if (*result == 0)
            return -ENOMEM;
    }
    return remap_move(space, area, address, old_bytes, new_bytes, *result, flags | (old_bytes == 0 ? REMAP_DONT_UNMAP : 0));
}

int address_space_remap(struct address_space *space, uint64_t address, uint64_t old_bytes, uint64_t new_bytes,
                        unsigned int flags, uint64_t new_address, uint64_t *result)
{
    old_bytes = PAGE_ROUND_UP(old_bytes);
    new_bytes = PAGE_ROUND_UP(new_bytes);
    rw_lock_write(&space->lock);
    int error = remap_locked(space, address, old_bytes, new_bytes, flags, new_address, result);
    struct area *area = error == 0 ? address_space_find(space, *result) : NULL;
    bool populate = area && (area->flags & AREA_LOCKED) && new_bytes > old_bytes;
    rw_unlock_write(&space->lock);
    if (populate)
        address_space_populate(space, *result + old_bytes, *result + new_bytes);
    return error;
}
