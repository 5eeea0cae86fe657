/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmap, munmap, brk: areas made and removed. Refusals come before anything is changed.
 *
 * Overcommit is Linux's heuristic mode: only a single request that exceeds all memory is refused, unless it said that it
 * wants no reservation.
 */
#include "kernel/base/error.h"
#include "kernel/vm/address_space_internal.h"
#include "kernel/vm/file_doors.h"

#define LOW_32_BIT_START 0x40000000ull
#define LOW_32_BIT_END 0x80000000ull

bool address_space_range(uint64_t address, uint64_t length_bytes, uint64_t *end)
{
    uint64_t length = PAGE_ROUND_UP(length_bytes);

    if (length < length_bytes || address > USER_ADDRESS_HIGH || length > USER_ADDRESS_HIGH - address)
        return false;
    *end = address + length;
    return true;
}

int address_space_admit(struct address_space *space, uint64_t pages, uint32_t protection, uint32_t flags)
{
    struct page_statistics statistics;
    bool private_writable = (protection & PAGING_WRITE) && !(flags & (AREA_SHARED | AREA_SPECIAL));

    if (space->size_limit_bytes != UINT64_MAX && space->mapped_pages + pages > space->size_limit_bytes >> PAGE_SHIFT)
        return -ENOMEM;
    if (!private_writable)
        return 0;
    if (space->data_limit_bytes != UINT64_MAX && !(flags & AREA_GROWS_DOWN) &&
        space->data_pages + pages > space->data_limit_bytes >> PAGE_SHIFT)
        return -ENOMEM;
    if (pages > 1024 && !(flags & AREA_NO_RESERVE)) {
        page_statistics_get(&statistics);
        if (pages > statistics.total_pages)
            return -ENOMEM;
    }
    return 0;
}

uint64_t address_space_place(struct address_space *space, uint64_t hint, uint64_t length_bytes, bool low_32_bit)
{
    if (hint >= USER_ADDRESS_LOW && hint <= USER_ADDRESS_HIGH && length_bytes <= USER_ADDRESS_HIGH - hint) {
        struct area *above = address_space_find(space, hint);
        uint64_t gap = above && (above->flags & AREA_GROWS_DOWN) ? AREA_STACK_GAP_BYTES : 0;
        bool fits = !low_32_bit || hint + length_bytes <= LOW_32_BIT_END;
        if (fits && (!above || (above->start >= gap && hint + length_bytes <= above->start - gap)))
            return hint;
    }
    if (low_32_bit)
        return length_bytes > LOW_32_BIT_END - LOW_32_BIT_START
                   ? 0
                   : area_tree_find_gap(space, length_bytes, LOW_32_BIT_START, LOW_32_BIT_END);
    if (length_bytes > USER_ADDRESS_HIGH)
        return 0;
    return area_tree_find_place(space, length_bytes);
}

static int address_space_choose(struct address_space *space, const struct area_request *request, uint64_t length,
                                uint64_t *address)
{
    if (request->fixed || request->fixed_no_replace) {
        if (request->address & PAGE_MASK)
            return -EINVAL;
        if (request->address > USER_ADDRESS_HIGH || length > USER_ADDRESS_HIGH - request->address)
            return -ENOMEM;
        if (request->address < USER_ADDRESS_LOW)
            return -EPERM;
        *address = request->address;
        if (request->fixed_no_replace && !area_tree_range_free(space, *address, *address + length))
            return -EEXIST;
        return 0;
    }
    uint64_t hint = PAGE_ROUND_UP(request->address), room = hint == 0 ? file_doors_room(request->backing, request->backing_index, request->flags) : 0;
    *address = address_space_place(space, hint, length + room, request->low_32_bit);
    if (*address == 0)
        return -ENOMEM;
    *address += room;
    return 0;
}

/*
 * A dynamic linker maps a library as a whole, then its segments over it: an area that goes on where another one of the same file ends. With the
 * first of them it is known what is left of the whole: the segment before.
 */
static bool map_is_segment(struct area *area)
{
    struct area *below = area_previous(area);

    if (!area->backing || !below || !below->backing || below->end != area->start || below->backing->cache != area->backing->cache)
        return false;
    if (below->backing_index == 0 && below->touched_start == UINT64_MAX)
        area_map_ahead(below);
    return true;
}

static int address_space_map_locked(struct address_space *space, const struct area_request *request, uint64_t length,
                                    uint64_t *address)
{
    uint32_t flags = request->flags | space->lock_future;
    int error = address_space_choose(space, request, length, address);

    if (error != 0)
        return error;
    if (space->area_count >= AREA_COUNT_LIMIT)
        return -ENOMEM;
    error = address_space_admit(space, length >> PAGE_SHIFT, request->protection, flags);
    if (error != 0)
        return error;
    if ((flags & AREA_LOCKED) && (space->locked_pages << PAGE_SHIFT) + length > space->lock_limit_bytes)
        return -EAGAIN;
    if (!(flags & AREA_SHARED))
        flags |= AREA_MAY_WRITE;
    struct area *area = area_create(space, *address, *address + length, request->protection, flags, request->backing,
                                    request->backing_index, request->name);
    if (!area)
        return -ENOMEM;
    if (request->fixed) {
        error = address_space_unmap_locked(space, *address, *address + length);
        if (error != 0) {
            area_free(area);
            return error;
        }
    }
    area_attach(space, area);
    file_doors_enter(area);
    area = area_merge(area);
    if (request->ahead || map_is_segment(area))
        area_map_ahead(area);
    return 0;
}

/* A page or two to write to, placed by us: who maps so little uses it at once, and need not fault for it. */
static bool map_is_used_at_once(const struct area_request *request, uint64_t length)
{
    return !request->backing && !request->fixed && length <= 2 * PAGE_SIZE && (request->protection & PAGING_WRITE) &&
           !(request->flags & (AREA_GROWS_DOWN | AREA_NO_RESERVE)) && !page_memory_is_short();
}

int address_space_map(struct address_space *space, const struct area_request *request, uint64_t *address)
{
    uint64_t length = PAGE_ROUND_UP(request->length_bytes);

    if (request->length_bytes == 0)
        return -EINVAL;
    if (length < request->length_bytes || length > USER_ADDRESS_HIGH)
        return -ENOMEM;
    if (request->backing_index + (length >> PAGE_SHIFT) < request->backing_index ||
        request->backing_index + (length >> PAGE_SHIFT) > (UINT64_MAX >> 1) >> PAGE_SHIFT)
        return -EOVERFLOW;
    if (request->backing && request->backing->cache && (request->protection & PAGING_EXECUTE))
        page_cache_read_program(request->backing->cache);
    rw_lock_write(&space->lock);
    int error = address_space_map_locked(space, request, length, address);
    bool populate = request->populate || ((request->flags | space->lock_future) & AREA_LOCKED);
    rw_unlock_write(&space->lock);
    if (error == 0 && populate && request->protection != 0)
        address_space_populate(space, *address, *address + length); /* best effort, as Linux's */
    else if (error == 0 && map_is_used_at_once(request, length))
        (void)address_space_fault(space, *address, PAGING_WRITE);
    return error;
}

int address_space_unmap_locked(struct address_space *space, uint64_t start, uint64_t end)
{
    assert(rw_lock_held_write(&space->lock));
    if (area_tree_range_free(space, start, end))
        return 0;
    int error = area_isolate(space, start, end);
    if (error != 0)
        return error;
    struct area *area = address_space_find(space, start);
    while (area && area->start < end) {
        struct area *next = area_next(area);
        if (unlikely(area->flags & AREA_PATCHED))
            error = code_patch_leave(space, area->start, area->end, true);
        if (error != 0)
            return error;
        area_detach(space, area);
        area_zap(area, area->start, area->end);
        area_free(area);
        area = next;
    }
    return 0;
}

int address_space_unmap(struct address_space *space, uint64_t address, uint64_t length_bytes)
{
    uint64_t end;

    if ((address & PAGE_MASK) || length_bytes == 0 || !address_space_range(address, length_bytes, &end))
        return -EINVAL;
    rw_lock_write(&space->lock);
    int error = address_space_unmap_locked(space, address, end);
    rw_unlock_write(&space->lock);
    return error;
}

uint64_t address_space_set_break(struct address_space *space, uint64_t new_break)
{
    struct area_request request = { .protection = PAGING_READ | PAGING_WRITE, .fixed_no_replace = true, .name = "[heap]" };
    uint64_t address, populate_start = 0, populate_end = 0, first = 0;

    rw_lock_write(&space->lock);
    uint64_t old_end = PAGE_ROUND_UP(space->break_end), new_end = PAGE_ROUND_UP(new_break);
    if (new_break < space->break_start || new_break >= USER_ADDRESS_HIGH)
        goto out;
    if (space->data_limit_bytes != UINT64_MAX &&
        new_break - space->break_start + (space->data_end - space->data_start) > space->data_limit_bytes)
        goto out;
    if (new_end < old_end) {
        if (address_space_unmap_locked(space, new_end, old_end) != 0)
            goto out;
    } else if (new_end > old_end) {
        struct area *above = address_space_find(space, old_end);
        uint64_t gap = above && (above->flags & AREA_GROWS_DOWN) ? AREA_STACK_GAP_BYTES : 0;
        if (above && (above->start < gap || new_end + PAGE_SIZE > above->start - gap))
            goto out;
        request.address = old_end;
        if (address_space_map_locked(space, &request, new_end - old_end, &address) != 0)
            goto out;
        first = old_end == PAGE_ROUND_UP(space->break_start) ? old_end : 0;
        if (space->lock_future & AREA_LOCKED) {
            populate_start = old_end;
            populate_end = new_end;
        }
    }
    space->break_end = new_break;
out:
    new_break = space->break_end;
    rw_unlock_write(&space->lock);
    if (populate_end != 0)
        address_space_populate(space, populate_start, populate_end);
    else if (first != 0 && !page_memory_is_short()) /* malloc writes to its beginning */
        (void)address_space_fault(space, first, PAGING_WRITE);
    return new_break;
}
