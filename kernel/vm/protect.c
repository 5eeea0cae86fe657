/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mprotect: areas are cut at the range's ends, changed one after the other, and joined again where they became alike.
 * As in Linux, a hole ends it with -ENOMEM after what lies before the hole was changed.
 */
#include "kernel/base/error.h"
#include "kernel/vm/address_space_internal.h"

static int area_protect(struct area *area, uint32_t protection)
{
    struct address_space *space = area->space;
    uint64_t start = area->start, end = area->end;

    if (area->protection == protection)
        return 0;
    if ((protection & PAGING_WRITE) && !(area->flags & AREA_MAY_WRITE))
        return -EACCES;
    if ((protection & ~area->protection & PAGING_WRITE) && area_is_private(area)) {
        int error = address_space_admit(space, 0, protection, area->flags);
        if (error == 0 && !(area->protection & PAGING_WRITE) && space->data_limit_bytes != UINT64_MAX &&
            space->data_pages + ((end - start) >> PAGE_SHIFT) > space->data_limit_bytes >> PAGE_SHIFT)
            error = -ENOMEM;
        if (error != 0)
            return error;
    }
    if (unlikely(area->flags & AREA_PATCHED)) {
        int error = code_patch_leave(space, start, end, false);
        if (error != 0)
            return error;
    }
    area_set_kind(area, protection, area->flags & ~(AREA_PATCHED | AREA_DOORS));
    if (area_touched_range(area, &start, &end)) {
        mutex_lock(&space->page_lock);
        paging_protect(&space->root, start, (end - start) >> PAGE_SHIFT, protection);
        mutex_unlock(&space->page_lock);
    }
    return 0;
}

static int address_space_protect_locked(struct address_space *space, uint64_t address, uint64_t end, uint32_t protection)
{
    struct area *area = address_space_find(space, address);

    if (!area || area->start > address)
        return -ENOMEM;
    int error = area_isolate(space, address, end);
    uint64_t at = address;
    while (error == 0 && at < end) {
        area = address_space_find(space, at);
        if (!area || area->start > at) {
            error = -ENOMEM;
            break;
        }
        at = area->end;
        error = area_protect(area, protection);
        area_merge(area);
    }
    /* The cut at the end may have been needless. */
    area = address_space_find(space, end);
    if (area && area->start == end)
        area_merge(area);
    return error;
}

int address_space_protect(struct address_space *space, uint64_t address, uint64_t length_bytes, uint32_t protection)
{
    uint64_t end;

    if (address & PAGE_MASK)
        return -EINVAL;
    if (length_bytes == 0)
        return 0;
    if (!address_space_range(address, length_bytes, &end))
        return -ENOMEM;
    rw_lock_write(&space->lock);
    int error = address_space_protect_locked(space, address, end, protection);
    rw_unlock_write(&space->lock);
    return error;
}
