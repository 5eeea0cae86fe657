/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door to the page tables: checks ranges, then calls PV's or PVH's table. The kernel's root (what the start of day
 * runs on) is a struct paging_root of its own, for the kernel's half and for kernel threads before there is any program.
 */
#include "xen/x86/paging.h"

#include "kernel/base/bits.h"
#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/x86/paging_internal.h"

const struct paging_table_allocator *paging_tables;
struct paging_root paging_kernel_root;
static const struct paging_ops *ops;

void paging_set_table_allocator(const struct paging_table_allocator *allocator)
{
    paging_tables = allocator;
}

void paging_start(const struct paging_ops *chosen, pfn_t root)
{
    ops = chosen;
    spinlock_init(&paging_kernel_root.lock, "kernel root", PAGING_LOCK_RANK);
    paging_kernel_root.table = root;
}

static void range_check(uint64_t address, size_t count)
{
    if ((address & PAGE_MASK) != 0 || address > USER_ADDRESS_HIGH || count > (USER_ADDRESS_HIGH - address) >> PAGE_SHIFT)
        panic("paging: %zu pages at 0x%llx are no user range", count, (unsigned long long)address);
}

int paging_root_create(struct paging_root *root)
{
    return ops->root_create(root);
}

int paging_root_seal(struct paging_root *root)
{
    return ops->root_seal ? ops->root_seal(root) : 0;
}

bool paging_root_empty(struct paging_root *root, paging_gone gone, void *context)
{
    return ops->root_empty && ops->root_empty(root, gone, context);
}

void paging_give_back(void)
{
    if (ops && ops->give_back)
        ops->give_back();
}

void paging_root_destroy(struct paging_root *root)
{
    atomic_store(&root->dying, true);
    cpu_events_mask();
    paging_leave_dying();
    cpu_events_unmask();
    for (uint64_t mask = atomic_load(&root->cpu_mask); mask != 0; mask &= mask - 1)
        cpu_kick(bits_lowest(mask));
    while (atomic_load(&root->cpu_mask) != 0)
        cpu_yield(); /* they may be waiting for a processor */
    ops->root_destroy(root);
}

void paging_leave_dying(void)
{
    struct paging_root *active = cpu_machine_current()->active_root;

    if (active && atomic_load(&active->dying))
        ops->root_activate(&paging_kernel_root);
}

void paging_leave(void)
{
    ops->root_activate(&paging_kernel_root);
}

void paging_root_activate(struct paging_root *root)
{
    ops->root_activate(root);
}

int paging_map(struct paging_root *root, uint64_t address, const struct paging_entry *entries, size_t count)
{
    range_check(address, count);
    return ops->map(root, address, entries, count);
}

void paging_unmap(struct paging_root *root, uint64_t address, struct paging_entry *old, size_t count)
{
    range_check(address, count);
    ops->unmap(root, address, old, count);
}

void paging_protect(struct paging_root *root, uint64_t address, size_t count, uint32_t protection)
{
    range_check(address, count);
    ops->protect(root, address, count, protection);
}

void paging_query(struct paging_root *root, uint64_t address, struct paging_entry *entries, size_t count)
{
    range_check(address, count);
    ops->query(root, address, entries, count);
}

bool paging_test_accessed(struct paging_root *root, uint64_t address)
{
    range_check(address, 1);
    return ops->test_accessed(root, address);
}

bool paging_has_large(void)
{
    return ops->map_large != NULL;
}

bool paging_large_vacant(struct paging_root *root, uint64_t address)
{
    return ops->large_vacant && ops->large_vacant(root, address);
}

int paging_map_large(struct paging_root *root, uint64_t address, const struct paging_entry *entry)
{
    assert(address % PAGE_TABLE_L1_SPAN == 0 && entry->pfn.number % PAGING_LARGE_COUNT == 0);
    range_check(address, PAGING_LARGE_COUNT);
    return ops->map_large(root, address, entry);
}

int paging_map_kernel(uint64_t address, const gfn_t *frames, size_t count, uint32_t protection)
{
    return ops->map_kernel(address, frames, count, protection);
}

void paging_unmap_kernel(uint64_t address, size_t count)
{
    ops->unmap_kernel(address, count);
}
