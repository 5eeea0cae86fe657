/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses for kernel mappings. They are handed out upwards from KERNEL_MAP_BASE, each with a guard page above (which is
 * the one below for the next); a range given back is kept by its size and used again for the same size, which suits what
 * is mapped: stacks and rings of few sizes. There are 2^27 pages of addresses.
 *
 * Locks: map_lock guards the next address and the lists.
 */
#include "kernel/memory/kernel_map.h"

#include "kernel/base/list.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache.h"
#include "xen/machine/cpu.h"
#include "xen/machine/spinlock.h"
#include "xen/x86/frames.h"
#include "xen/x86/paging.h"

struct free_range {
    struct free_range *next;
    uint64_t address;
    size_t count;
};

static struct spinlock map_lock = SPINLOCK_INITIALIZER("kernel map", 0xc000);
static uint64_t next_address = KERNEL_MAP_BASE + PAGE_SIZE; /* map_lock */
static struct free_range *free_ranges;                      /* map_lock */

/* 0: addresses are out. */
static uint64_t range_take(size_t count)
{
    struct free_range *found = NULL;
    uint64_t address = 0;

    spinlock_lock(&map_lock);
    for (struct free_range **link = &free_ranges; *link; link = &(*link)->next)
        if ((*link)->count == count) {
            found = *link;
            *link = found->next;
            address = found->address;
            break;
        }
    uint64_t size = (count + 1) * PAGE_SIZE;
    if (!found && size <= KERNEL_MAP_BASE + KERNEL_MAP_BYTES - next_address) {
        address = next_address;
        next_address += size;
    }
    spinlock_unlock(&map_lock);
    memory_free(found);
    return address;
}

static void range_give(uint64_t address, size_t count)
{
    struct free_range *range = memory_allocate(sizeof(*range));

    if (range == NULL)
        return; /* the addresses are lost, of which there are plenty */
    range->address = address;
    range->count = count;
    spinlock_lock(&map_lock);
    range->next = free_ranges;
    free_ranges = range;
    spinlock_unlock(&map_lock);
}

void *kernel_map_frames(const gfn_t *frames, size_t count, bool writable)
{
    assert(cpu_current()->event_context_depth == 0);
    if (count == 0 || count > KERNEL_MAP_BYTES >> PAGE_SHIFT)
        return NULL;
    uint64_t address = range_take(count);
    if (address == 0)
        return NULL;
    if (paging_map_kernel(address, frames, count, writable ? PAGING_READ | PAGING_WRITE : PAGING_READ) != 0) {
        range_give(address, count);
        return NULL;
    }
    return (void *)address;
}

void kernel_unmap(void *address, size_t count)
{
    if (address == NULL)
        return;
    paging_unmap_kernel((uint64_t)address, count);
    range_give((uint64_t)address, count);
}
