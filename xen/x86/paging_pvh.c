/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables under PVH, where they are ordinary memory: entries are plain stores, exchanged atomically where the processor may
 * be setting their accessed and dirty bits. The CPU's own stale translations go by invlpg or a reload of CR3; those of others by
 * Xen's HVMOP_flush_tlbs, which flushes every vCPU of the domain without an interrupt of ours.
 *
 * Large entries lie in L2s. Each brings a table along, kept in the root: an L1 where the entry must be split.
 *
 * Locks: as in paging_pv.c.
 */
#include "xen/x86/paging.h"

#include <stdatomic.h>
#include <stdint.h>

#include <xen/hvm/hvm_op.h>
#include <xen/xen.h>

#include "kernel/base/error.h"
#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/frames.h"
#include "xen/x86/page_entry.h"
#include "xen/x86/page_table.h"
#include "xen/x86/paging_internal.h"

#define FLUSH_SINGLE_LIMIT 16u
#define FREED_LIMIT 16u /* L1s unlinked under one flush */

/* ---- Walking ------------------------------------------------------------------------------------------------------- */

static uint64_t *table_at(pfn_t table)
{
    return frames_address(table);
}

static bool table_next(pfn_t table, unsigned int index, pfn_t *next)
{
    uint64_t entry = read_once(table_at(table)[index]);

    next->number = page_table_frame(entry);
    return (entry & (PAGE_TABLE_PRESENT | PAGE_TABLE_HUGE)) == PAGE_TABLE_PRESENT;
}

/* The entry for an address in the table of `level`; NULL where there is no such table. */
static uint64_t *entry_find_at(const struct paging_root *root, uint64_t address, unsigned int level)
{
    pfn_t table = root->table;

    for (unsigned int above = 4; above > level; above--)
        if (!table_next(table, page_table_index(address, above), &table))
            return NULL;
    return &table_at(table)[page_table_index(address, level)];
}

/* The entry that maps an address: an L1's, or an L2's large one. */
static uint64_t *entry_find(const struct paging_root *root, uint64_t address)
{
    uint64_t *upper = entry_find_at(root, address, 2);
    uint64_t link = upper ? read_once(*upper) : 0;

    if (link & PAGE_TABLE_HUGE)
        return upper;
    return link & PAGE_TABLE_PRESENT ? &table_at((pfn_t){ page_table_frame(link) })[page_table_index(address, 1)] : NULL;
}

/* ---- Flushing ------------------------------------------------------------------------------------------------------ */

/* Locks: its user's. */
struct flush {
    uint32_t count;
    uint64_t addresses[FLUSH_SINGLE_LIMIT];
};

static void flush_add(struct flush *flush, uint64_t address)
{
    if (flush->count < FLUSH_SINGLE_LIMIT)
        flush->addresses[flush->count] = address;
    flush->count++;
}

static void flush_here(const struct flush *flush)
{
    uint64_t cr3;

    if (flush->count > FLUSH_SINGLE_LIMIT) {
        __asm__ volatile("mov %%cr3, %0\n mov %0, %%cr3" : "=r"(cr3) : : "memory");
        return;
    }
    for (uint32_t i = 0; i < flush->count; i++)
        __asm__ volatile("invlpg (%0)" : : "r"(flush->addresses[i]) : "memory");
}

/* For the CPUs of the mask. Events masked. */
static void flush_commit(struct flush *flush, uint64_t mask)
{
    uint64_t own = 1ull << cpu_current()->number;

    if (flush->count == 0)
        return;
    if (mask & own)
        flush_here(flush);
    if ((mask & ~own) != 0 && hypercall_2(__HYPERVISOR_hvm_op, HVMOP_flush_tlbs, 0) != 0)
        panic("Xen refuses to flush the other CPUs");
    flush->count = 0;
}

/* ---- Large entries ------------------------------------------------------------------------------------------------- */

/* One large entry less: its table. Root's lock held. */
static pfn_t large_table_take(struct paging_root *root)
{
    pfn_t table = root->large_tables;

    assert(root->large_count != 0);
    root->large_count--;
    root->large_tables.number = table_at(table)[0];
    return table;
}

/* Small entries instead of a large one. It goes first, from all TLBs: some processors do not bear both sizes. Who faults meanwhile waits. */
static void large_split(struct paging_root *root, uint64_t *place, uint64_t address)
{
    struct flush flush = { .count = 1, .addresses = { address } };
    uint64_t value = __atomic_exchange_n(place, 0, __ATOMIC_SEQ_CST) & ~PAGE_TABLE_HUGE;
    pfn_t table = large_table_take(root);

    flush_commit(&flush, root->cpu_mask);
    for (unsigned int i = 0; i < PAGE_TABLE_ENTRIES; i++)
        write_once(table_at(table)[i], value + i * PAGE_SIZE);
    write_once(*place, (table.number << PAGE_SHIFT) | PAGE_TABLE_LINK);
}

/* The entry for an address in the table of `lowest`, making tables that are missing; NULL: out of memory. Root's lock held. */
static uint64_t *entry_make(struct paging_root *root, uint64_t address, unsigned int lowest)
{
    pfn_t table = root->table, next;

    for (unsigned int level = 4; level > lowest; level--, table = next) {
        uint64_t *place = &table_at(table)[page_table_index(address, level)];
        if (*place & PAGE_TABLE_HUGE)
            large_split(root, place, address);
        if (table_next(table, page_table_index(address, level), &next))
            continue;
        if (paging_tables->allocate(&next) != 0)
            return NULL;
        root->table_pages++;
        write_once(*place, (next.number << PAGE_SHIFT) | PAGE_TABLE_LINK);
    }
    return &table_at(table)[page_table_index(address, lowest)];
}

/* Empties a large entry; its table is returned. Root's lock held. */
static pfn_t large_unmap(struct paging_root *root, uint64_t *place, struct paging_entry *old)
{
    uint64_t value = __atomic_exchange_n(place, 0, __ATOMIC_SEQ_CST);

    for (unsigned int i = 0; old && i < PAGE_TABLE_ENTRIES; i++)
        old[i] = page_entry_decode(value + i * PAGE_SIZE);
    return large_table_take(root);
}

static bool large_vacant_pvh(struct paging_root *root, uint64_t address)
{
    spinlock_lock(&root->lock);
    const uint64_t *place = entry_find_at(root, address, 2);
    bool vacant = place == NULL || read_once(*place) == 0;
    spinlock_unlock(&root->lock);
    return vacant;
}

static int map_large_pvh(struct paging_root *root, uint64_t address, const struct paging_entry *entry)
{
    struct flush flush = { .count = 1, .addresses = { address } };
    pfn_t table;
    int error = 0;

    spinlock_lock(&root->lock);
    uint64_t *place = entry_make(root, address, 2);
    if (place == NULL) {
        error = -ENOMEM;
    } else if (*place & PAGE_TABLE_HUGE) {
        write_once(*place, page_entry_encode(entry) | PAGE_TABLE_HUGE);
        flush_commit(&flush, root->cpu_mask);
    } else if ((error = paging_tables->allocate(&table)) == 0) {
        assert(*place == 0);
        root->table_pages++;
        root->large_count++;
        table_at(table)[0] = root->large_tables.number;
        root->large_tables = table;
        write_once(*place, page_entry_encode(entry) | PAGE_TABLE_HUGE);
    }
    spinlock_unlock(&root->lock);
    return error;
}

/* ---- User space ---------------------------------------------------------------------------------------------------- */

static int map_pvh(struct paging_root *root, uint64_t address, const struct paging_entry *entries, size_t count)
{
    struct flush flush = { .count = 0 };
    int error = 0;

    spinlock_lock(&root->lock);
    for (size_t i = 0; i < count && error == 0; i++, address += PAGE_SIZE) {
        if (entries[i].flags == 0)
            continue;
        uint64_t *place = entry_make(root, address, 1);
        if (place == NULL)
            error = -ENOMEM;
        else if (__atomic_exchange_n(place, page_entry_encode(&entries[i]), __ATOMIC_SEQ_CST) & PAGE_TABLE_PRESENT)
            flush_add(&flush, address);
    }
    flush_commit(&flush, root->cpu_mask);
    spinlock_unlock(&root->lock);
    return error;
}

/* Empties one L1's run. An L1 that is emptied as a whole is unlinked, and its number returned in *freed. Root's lock held. */
static bool l1_unmap(struct paging_root *root, struct flush *flush, uint64_t address, struct paging_entry *old, size_t count,
                     pfn_t *freed)
{
    uint64_t *upper = entry_find_at(root, address, 2);
    bool large = upper && (read_once(*upper) & PAGE_TABLE_HUGE), all = count == PAGE_TABLE_ENTRIES;

    if (large && all) {
        *freed = large_unmap(root, upper, old);
        goto freed;
    }
    if (large)
        large_split(root, upper, address);
    uint64_t link = upper ? read_once(*upper) : 0;
    bool there = link & PAGE_TABLE_PRESENT;
    pfn_t table = { page_table_frame(link) };
    uint64_t *place = there ? &table_at(table)[page_table_index(address, 1)] : NULL;

    for (size_t i = 0; i < count; i++) {
        uint64_t value = there ? __atomic_exchange_n(&place[i], 0, __ATOMIC_SEQ_CST) : 0;
        if (old)
            old[i] = page_entry_decode(value);
        if (value & PAGE_TABLE_PRESENT)
            flush_add(flush, address + i * PAGE_SIZE);
    }
    if (!there || !all)
        return false;
    *freed = table;
    write_once(*upper, 0);
freed:
    flush_add(flush, address); /* the processor may remember the way to the table without any page of it */
    root->table_pages--;
    return true;
}

static void unmap_pvh(struct paging_root *root, uint64_t address, struct paging_entry *old, size_t count)
{
    pfn_t freed[FREED_LIMIT];

    while (count != 0) {
        struct flush flush = { .count = 0 };
        size_t freed_count = 0;
        spinlock_lock(&root->lock);
        /* A few L1s at a time, so that events are not held off for long. */
        for (unsigned int i = 0; i < FREED_LIMIT && count != 0; i++) {
            size_t run = run_in_l1(address, count);
            freed_count += l1_unmap(root, &flush, address, old, run, &freed[freed_count]);
            address += run * PAGE_SIZE;
            old = old ? old + run : NULL;
            count -= run;
        }
        flush_commit(&flush, root->cpu_mask);
        while (freed_count != 0)
            paging_tables->free(freed[--freed_count]);
        spinlock_unlock(&root->lock);
    }
}

static void protect_pvh(struct paging_root *root, uint64_t address, size_t count, uint32_t protection)
{
    struct flush flush = { .count = 0 };

    spinlock_lock(&root->lock);
    for (size_t step = 1; count != 0; count -= step, address += step * PAGE_SIZE) {
        uint64_t *place = entry_find(root, address);
        uint64_t value = place ? read_once(*place) : 0;
        uint64_t large = value & PAGE_TABLE_HUGE;
        step = large && protection != 0 ? run_in_l1(address, count) : 1;
        if (large && step != PAGE_TABLE_ENTRIES) { /* a part, or PROT_NONE, which only small entries know */
            large_split(root, place, address);
            step = 0;
            continue;
        }
        /* Again where the processor set a bit meanwhile. */
        while (value != 0 && !__atomic_compare_exchange_n(place, &value, page_entry_protect(value, protection) | large, false,
                                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        if (value & PAGE_TABLE_PRESENT)
            flush_add(&flush, address);
    }
    flush_commit(&flush, root->cpu_mask);
    spinlock_unlock(&root->lock);
}

static void query_pvh(struct paging_root *root, uint64_t address, struct paging_entry *entries, size_t count)
{
    spinlock_lock(&root->lock);
    for (size_t i = 0; i < count; i++, address += PAGE_SIZE) {
        const uint64_t *place = entry_find(root, address);
        uint64_t value = place ? read_once(*place) : 0;
        if (value & PAGE_TABLE_HUGE)
            value += page_table_index(address, 1) * PAGE_SIZE;
        entries[i] = page_entry_decode(value);
        if (value & PAGE_TABLE_HUGE)
            entries[i].flags |= PAGING_LARGE;
    }
    spinlock_unlock(&root->lock);
}

static bool test_accessed_pvh(struct paging_root *root, uint64_t address)
{
    bool accessed = false;

    spinlock_lock(&root->lock);
    uint64_t *place = entry_find(root, address);
    if (place && (read_once(*place) & PAGE_TABLE_PRESENT))
        accessed = __atomic_fetch_and(place, ~PAGE_TABLE_ACCESSED, __ATOMIC_SEQ_CST) & PAGE_TABLE_ACCESSED;
    spinlock_unlock(&root->lock);
    return accessed;
}

/* ---- Roots --------------------------------------------------------------------------------------------------------- */

/* The kernel's entries of the root never change once kernel mappings have their L3. 0 or -ENOMEM. */
static int kernel_l3_make(void)
{
    struct paging_root *kernel = &paging_kernel_root;
    unsigned int index = page_table_index(KERNEL_MAP_BASE, 4);
    pfn_t table;

    if (table_next(kernel->table, index, &table))
        return 0;
    int error = paging_tables->allocate(&table);
    if (error == 0)
        write_once(table_at(kernel->table)[index], (table.number << PAGE_SHIFT) | PAGE_TABLE_LINK);
    return error;
}

static int root_create_pvh(struct paging_root *root)
{
    spinlock_init(&root->lock, "page tables", PAGING_LOCK_RANK + 1);
    atomic_init(&root->cpu_mask, 0);
    atomic_init(&root->dying, false);
    root->table_pages = 1;
    root->large_count = 0;
    int error = paging_tables->allocate(&root->table);
    if (error != 0)
        return error;
    spinlock_lock(&paging_kernel_root.lock);
    error = kernel_l3_make();
    __builtin_memcpy(table_at(root->table) + PAGE_TABLE_ENTRIES / 2, table_at(paging_kernel_root.table) + PAGE_TABLE_ENTRIES / 2,
                     PAGE_SIZE / 2);
    spinlock_unlock(&paging_kernel_root.lock);
    if (error != 0)
        paging_tables->free(root->table);
    return error;
}

static void subtree_free(pfn_t table, unsigned int level, unsigned int entry_count)
{
    pfn_t next;

    for (unsigned int i = 0; level > 1 && i < entry_count; i++)
        if (table_next(table, i, &next))
            subtree_free(next, level - 1, PAGE_TABLE_ENTRIES);
    paging_tables->free(table);
}

static void root_destroy_pvh(struct paging_root *root)
{
    assert(root->cpu_mask == 0 && root->large_count == 0);
    subtree_free(root->table, 4, PAGE_TABLE_ENTRIES / 2);
}

static void root_activate_pvh(struct paging_root *root)
{
    struct cpu_machine *machine = cpu_machine_current();
    struct paging_root *before = machine->active_root;
    uint64_t bit = 1ull << machine->cpu.number;

    if (before == root)
        return;
    atomic_fetch_or(&root->cpu_mask, bit);
    __asm__ volatile("mov %0, %%cr3" : : "r"(root->table.number << PAGE_SHIFT) : "memory");
    machine->active_root = root;
    if (before)
        atomic_fetch_and(&before->cpu_mask, ~bit);
}

/* ---- The kernel's half --------------------------------------------------------------------------------------------- */

static void unmap_kernel_pvh(uint64_t address, size_t count)
{
    struct flush flush = { .count = 0 };

    spinlock_lock(&paging_kernel_root.lock);
    for (size_t i = 0; i < count; i++, address += PAGE_SIZE) {
        uint64_t *place = entry_find(&paging_kernel_root, address);
        if (place && __atomic_exchange_n(place, 0, __ATOMIC_SEQ_CST) != 0)
            flush_add(&flush, address);
    }
    flush_commit(&flush, cpu_started_mask);
    spinlock_unlock(&paging_kernel_root.lock);
}

static int map_kernel_pvh(uint64_t address, const gfn_t *frames, size_t count, uint32_t protection)
{
    size_t done = 0;

    spinlock_lock(&paging_kernel_root.lock);
    for (; done < count; done++) {
        uint64_t *place = entry_make(&paging_kernel_root, address + done * PAGE_SIZE, 1);
        if (place == NULL)
            break;
        write_once(*place, page_entry_kernel(frames[done], protection));
    }
    spinlock_unlock(&paging_kernel_root.lock);
    if (done == count)
        return 0;
    unmap_kernel_pvh(address, done);
    return -ENOMEM;
}

const struct paging_ops paging_ops_pvh = {
    .root_create = root_create_pvh,
    .root_destroy = root_destroy_pvh,
    .root_activate = root_activate_pvh,
    .map = map_pvh,
    .unmap = unmap_pvh,
    .protect = protect_pvh,
    .query = query_pvh,
    .test_accessed = test_accessed_pvh,
    .large_vacant = large_vacant_pvh,
    .map_large = map_large_pvh,
    .map_kernel = map_kernel_pvh,
    .unmap_kernel = unmap_kernel_pvh,
};
