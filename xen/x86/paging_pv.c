/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables under PV. Xen owns the truth: tables are read through the direct map, where they are read-only, and written
 * by batches of mmu_update; a batch and the TLB flush it needs go in one multicall.
 *
 *  - A new table page is filled while it is still an ordinary page, made read-only in the direct map and linked, all in
 *    one batch: mapping pages where no L1 was yet costs two updates, however many pages they are.
 *  - An L1 that is unmapped as a whole is unlinked by one update of its L2 and freed.
 *  - Entries carry machine frames; reading one goes back through Xen's table.
 *
 * Locks: root->lock guards a root's lower half; paging_kernel_root's the kernel's half. Allocations inside are atomic ones.
 */
#include "xen/x86/paging.h"

#include <stdatomic.h>
#include <stdint.h>

#include <xen/xen.h>

#include "kernel/base/error.h"
#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/direct_map_pv.h"
#include "xen/x86/frames.h"
#include "xen/x86/mmu_batch.h"
#include "xen/x86/page_change.h"
#include "xen/x86/page_entry.h"
#include "xen/x86/page_table.h"
#include "xen/x86/paging_internal.h"

#define FREED_LIMIT 16u         /* L1s unlinked in one batch */

/* ---- Walking ------------------------------------------------------------------------------------------------------- */

static const uint64_t *table_at(pfn_t table)
{
    return frames_address(table);
}

static uint64_t table_read(pfn_t table, unsigned int index)
{
    return read_once(table_at(table)[index]);
}

static bool table_next(pfn_t table, unsigned int index, pfn_t *next)
{
    uint64_t entry = table_read(table, index);

    return (entry & PAGE_TABLE_PRESENT) && frames_pfn_of_gfn((gfn_t){ page_table_frame(entry) }, next);
}

/* Goes down to the table of `level` if it is there; else stops at the last one that is. Returns the level reached. */
static unsigned int walk_to(pfn_t root, uint64_t address, unsigned int level, pfn_t *table)
{
    unsigned int reached = 4;

    *table = root;
    while (reached > level && table_next(*table, page_table_index(address, reached), table))
        reached--;
    return reached;
}

/* ---- Making and freeing tables ------------------------------------------------------------------------------------- */

static uint64_t link_to(pfn_t table)
{
    return (frames_gfn(table).number << PAGE_SHIFT) | PAGE_TABLE_LINK;
}

static void table_free(pfn_t table)
{
    paging_tables->free(table);
}

/* Takes pages for the tables below `level`, level - 1 first. */
static int chain_allocate(pfn_t *tables, unsigned int level)
{
    for (unsigned int i = level - 1; i >= 1; i--) {
        int error = paging_tables->allocate(&tables[i]);
        if (error == 0)
            continue;
        while (++i < level)
            table_free(tables[i]);
        return error;
    }
    return 0;
}

/*
 * Hangs new tables for `address`, down to an L1 that holds `count` values from its entry for the address on, below
 * `table` of `level`. 0 or -ENOMEM. Root's lock held.
 */
static int chain_build(struct paging_root *root, struct page_change *change, pfn_t table, unsigned int level, uint64_t address,
                       const uint64_t *values, size_t count)
{
    pfn_t tables[4];

    int error = chain_allocate(tables, level);
    if (error != 0)
        return error;
    __builtin_memcpy((uint64_t *)frames_address(tables[1]) + page_table_index(address, 1), values,
                     count * sizeof(*values));
    for (unsigned int i = 2; i < level; i++)
        ((uint64_t *)frames_address(tables[i]))[page_table_index(address, i)] = link_to(tables[i - 1]);
    for (unsigned int i = 1; i < level; i++)
        direct_map_set_writable(&change->batch, tables[i], false);
    page_change_add(change, table, page_table_index(address, level), link_to(tables[level - 1]));
    root->table_pages += level - 1;
    return 0;
}

/* Writes values (0: skip) into the L1 for `address`, making it if need be. They do not cross its end. Root's lock held. */
static int l1_write(struct paging_root *root, struct page_change *change, uint64_t address, const uint64_t *values, size_t count)
{
    unsigned int first = page_table_index(address, 1);
    pfn_t table;

    unsigned int level = walk_to(root->table, address, 1, &table);
    if (level > 1) {
        int error = chain_build(root, change, table, level, address, values, count);
        /* The next run may need the same tables. */
        if (error == 0)
            page_change_commit(change, &root->cpu_mask);
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i] == 0)
            continue;
        uint64_t old = table_read(table, first + (unsigned int)i);
        if (old & PAGE_TABLE_PRESENT)
            page_change_flush(change, address + i * PAGE_SIZE);
        page_change_add(change, table, first + (unsigned int)i, values[i]);
    }
    return 0;
}

/* ---- User space ---------------------------------------------------------------------------------------------------- */

#define MAP_RUN 64u

static int map_pv(struct paging_root *root, uint64_t address, const struct paging_entry *entries, size_t count)
{
    struct page_change change;
    uint64_t values[MAP_RUN];
    int error = 0;

    page_change_init(&change);
    spinlock_lock(&root->lock);
    while (count != 0 && error == 0) {
        size_t run = minimum(run_in_l1(address, count), (size_t)MAP_RUN);
        bool any = false;
        for (size_t i = 0; i < run; i++) {
            values[i] = entries[i].flags != 0 ? page_entry_encode(&entries[i]) : 0;
            any |= values[i] != 0;
        }
        if (any)
            error = l1_write(root, &change, address, values, run);
        address += run * PAGE_SIZE;
        entries += run;
        count -= run;
    }
    page_change_commit(&change, &root->cpu_mask);
    spinlock_unlock(&root->lock);
    return error;
}

/* Adds what empties one L1's run; the L1 itself goes, if the run is all of it, into freed[]. Root's lock held. */
static void l1_unmap(struct paging_root *root, struct page_change *change, uint64_t address, struct paging_entry *old,
                     size_t count, pfn_t *freed, size_t *freed_count)
{
    unsigned int first = page_table_index(address, 1);
    pfn_t upper, table;

    bool there = walk_to(root->table, address, 2, &upper) == 2 && table_next(upper, page_table_index(address, 2), &table);
    bool whole = there && count == PAGE_TABLE_ENTRIES;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = there ? table_read(table, first + (unsigned int)i) : 0;
        if (old)
            old[i] = page_entry_decode(value);
        if (value != 0 && !whole)
            page_change_add(change, table, first + (unsigned int)i, 0);
        if (value & PAGE_TABLE_PRESENT)
            page_change_flush(change, address + i * PAGE_SIZE);
    }
    if (!whole)
        return;
    page_change_add(change, upper, page_table_index(address, 2), 0);
    page_change_flush_all(change);
    freed[(*freed_count)++] = table;
    root->table_pages--;
}

/* After the commit that unlinked them: back to ordinary pages. */
static void tables_release(struct page_change *change, const pfn_t *freed, size_t count)
{
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        direct_map_set_writable(&change->batch, freed[i], true);
    page_change_commit(change, NULL);
    for (size_t i = 0; i < count; i++)
        table_free(freed[i]);
}

static void unmap_pv(struct paging_root *root, uint64_t address, struct paging_entry *old, size_t count)
{
    pfn_t freed[FREED_LIMIT];
    struct page_change change;

    page_change_init(&change);
    while (count != 0) {
        size_t freed_count = 0;
        spinlock_lock(&root->lock);
        /* A few L1s at a time, so that events are not held off for long. */
        for (unsigned int i = 0; i < FREED_LIMIT && count != 0; i++) {
            size_t run = run_in_l1(address, count);
            l1_unmap(root, &change, address, old, run, freed, &freed_count);
            address += run * PAGE_SIZE;
            old = old ? old + run : NULL;
            count -= run;
        }
        page_change_commit(&change, &root->cpu_mask);
        tables_release(&change, freed, freed_count);
        spinlock_unlock(&root->lock);
    }
}

static void protect_entry(struct page_change *change, pfn_t table, unsigned int index, uint64_t address, uint32_t protection)
{
    uint64_t old = table_read(table, index);

    if (old == 0)
        return;
    uint64_t value = page_entry_protect(old, protection);
    /* Xen's own bits are left out of the comparison. */
    if (((value ^ old) & PAGE_ENTRY_OURS) == 0)
        return;
    bool both_present = (old & PAGE_TABLE_PRESENT) && (value & PAGE_TABLE_PRESENT);
    mmu_batch_add(&change->batch, table, index, value, both_present ? MMU_PT_UPDATE_PRESERVE_AD : MMU_NORMAL_PT_UPDATE);
    if (old & PAGE_TABLE_PRESENT)
        page_change_flush(change, address);
}

static void protect_pv(struct paging_root *root, uint64_t address, size_t count, uint32_t protection)
{
    struct page_change change;
    pfn_t table;

    page_change_init(&change);
    while (count != 0) {
        size_t run = run_in_l1(address, count);
        spinlock_lock(&root->lock);
        if (walk_to(root->table, address, 1, &table) == 1) {
            for (size_t i = 0; i < run; i++)
                protect_entry(&change, table, page_table_index(address, 1) + (unsigned int)i, address + i * PAGE_SIZE,
                              protection);
            page_change_commit(&change, &root->cpu_mask);
        }
        spinlock_unlock(&root->lock);
        address += run * PAGE_SIZE;
        count -= run;
    }
}

static void query_pv(struct paging_root *root, uint64_t address, struct paging_entry *entries, size_t count)
{
    pfn_t table;

    while (count != 0) {
        size_t run = run_in_l1(address, count);
        spinlock_lock(&root->lock);
        bool there = walk_to(root->table, address, 1, &table) == 1;
        for (size_t i = 0; i < run; i++)
            entries[i] = page_entry_decode(there ? table_read(table, page_table_index(address, 1) + (unsigned int)i) : 0);
        spinlock_unlock(&root->lock);
        address += run * PAGE_SIZE;
        entries += run;
        count -= run;
    }
}

static bool test_accessed_pv(struct paging_root *root, uint64_t address)
{
    unsigned int index = page_table_index(address, 1);
    struct page_change change;
    bool accessed = false;
    pfn_t table;

    page_change_init(&change);
    spinlock_lock(&root->lock);
    if (walk_to(root->table, address, 1, &table) == 1) {
        uint64_t old = table_read(table, index);
        accessed = (old & PAGE_TABLE_PRESENT) && (old & PAGE_TABLE_ACCESSED);
        if (accessed)
            page_change_add(&change, table, index, old & ~PAGE_TABLE_ACCESSED);
        page_change_commit(&change, NULL);
    }
    spinlock_unlock(&root->lock);
    return accessed;
}

/* ---- Roots --------------------------------------------------------------------------------------------------------- */

static int root_op(unsigned int command, pfn_t table)
{
    struct mmuext_op operation = { .cmd = command, .arg1.mfn = frames_gfn(table).number };

    return (int)hypercall_4(__HYPERVISOR_mmuext_op, (uint64_t)&operation, 1, 0, DOMID_SELF);
}

/* The kernel's entries of the root never change once kernel mappings have their L3. 0 or -ENOMEM. */
static int kernel_l3_make(struct page_change *change)
{
    unsigned int index = page_table_index(KERNEL_MAP_BASE, 4);
    pfn_t table;

    if (table_next(paging_kernel_root.table, index, &table))
        return 0;
    int error = paging_tables->allocate(&table);
    if (error != 0)
        return error;
    direct_map_set_writable(&change->batch, table, false);
    page_change_add(change, paging_kernel_root.table, index, link_to(table));
    page_change_commit(change, NULL);
    return 0;
}

static int root_create_pv(struct paging_root *root)
{
    struct page_change change;
    pfn_t table;

    spinlock_init(&root->lock, "page tables", PAGING_LOCK_RANK + 1);
    atomic_init(&root->cpu_mask, 0);
    atomic_init(&root->dying, false);
    root->table_pages = 1;
    int error = paging_tables->allocate(&table);
    if (error != 0)
        return error;
    page_change_init(&change);
    spinlock_lock(&paging_kernel_root.lock);
    error = kernel_l3_make(&change);
    if (error == 0) {
        uint64_t *entries = frames_address(table);
        const uint64_t bases[] = { DIRECT_MAP_BASE, KERNEL_MAP_BASE, KERNEL_IMAGE_BASE };
        for (size_t i = 0; i < array_count(bases); i++) {
            unsigned int index = page_table_index(bases[i], 4);
            entries[index] = table_read(paging_kernel_root.table, index);
        }
        direct_map_set_writable(&change.batch, table, false);
        page_change_commit(&change, NULL);
        error = root_op(MMUEXT_PIN_L4_TABLE, table);
        if (error != 0)
            panic("Xen refuses a new page-table root: error %d", error);
    }
    spinlock_unlock(&paging_kernel_root.lock);
    if (error != 0)
        table_free(table);
    else
        root->table = table;
    return error;
}

/* Tables of a dead root on their way back, some at a time. */
struct reaper {
    struct page_change change;
    size_t count;
    pfn_t tables[32];
};

static void reaper_flush(struct reaper *reaper)
{
    page_change_commit(&reaper->change, NULL);
    while (reaper->count != 0)
        table_free(reaper->tables[--reaper->count]);
}

static void reaper_add(struct reaper *reaper, pfn_t table)
{
    if (reaper->count == array_count(reaper->tables))
        reaper_flush(reaper);
    direct_map_set_writable(&reaper->change.batch, table, true);
    reaper->tables[reaper->count++] = table;
}

/* The tables below `table`, each after those below it: entries are read before their page goes. */
static void subtree_reap(struct reaper *reaper, pfn_t table, unsigned int level, unsigned int entry_count)
{
    pfn_t next;

    for (unsigned int i = 0; i < entry_count; i++) {
        if (!table_next(table, i, &next))
            continue;
        if (level > 2)
            subtree_reap(reaper, next, level - 1, PAGE_TABLE_ENTRIES);
        reaper_add(reaper, next);
    }
}

static void root_destroy_pv(struct paging_root *root)
{
    struct reaper reaper = { .count = 0 };

    assert(root->cpu_mask == 0);
    page_change_init(&reaper.change);
    /* Unpinned and unused, the whole tree stops being tables. */
    if (root_op(MMUEXT_UNPIN_TABLE, root->table) != 0)
        panic("Xen refuses to let a page-table root go");
    cpu_events_mask();
    subtree_reap(&reaper, root->table, 4, PAGE_TABLE_ENTRIES / 2);
    reaper_add(&reaper, root->table);
    reaper_flush(&reaper);
    cpu_events_unmask();
}

static void root_activate_pv(struct paging_root *root)
{
    struct cpu_machine *machine = cpu_machine_current();
    struct paging_root *before = machine->active_root;
    uint64_t bit = 1ull << machine->cpu.number;

    if (before == root)
        return;
    atomic_fetch_or(&root->cpu_mask, bit);
    /* One L4 for kernel and user mode: see facts on shared L4 in ARCHITECTURE.md. */
    struct mmuext_op operations[] = {
        { .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = frames_gfn(root->table).number },
        { .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = frames_gfn(root->table).number },
    };
    if (hypercall_4(__HYPERVISOR_mmuext_op, (uint64_t)operations, array_count(operations), 0, DOMID_SELF) != 0)
        panic("Xen refuses to switch page tables");
    machine->active_root = root;
    if (before)
        atomic_fetch_and(&before->cpu_mask, ~bit);
}

/* ---- The kernel's half --------------------------------------------------------------------------------------------- */

static void unmap_kernel_pv(uint64_t address, size_t count)
{
    struct paging_root *root = &paging_kernel_root;
    struct page_change change;
    pfn_t table;

    page_change_init(&change);
    spinlock_lock(&root->lock);
    while (count != 0) {
        size_t run = run_in_l1(address, count);
        bool there = walk_to(root->table, address, 1, &table) == 1;
        for (size_t i = 0; there && i < run; i++) {
            unsigned int index = page_table_index(address, 1) + (unsigned int)i;
            if (table_read(table, index) == 0)
                continue;
            page_change_add(&change, table, index, 0);
            page_change_flush(&change, address + i * PAGE_SIZE);
        }
        address += run * PAGE_SIZE;
        count -= run;
    }
    page_change_commit(&change, &cpu_started_mask);
    spinlock_unlock(&root->lock);
}

static int map_kernel_pv(uint64_t address, const gfn_t *frames, size_t count, uint32_t protection)
{
    struct paging_root *root = &paging_kernel_root;
    uint64_t values[MAP_RUN];
    uint64_t start = address;
    struct page_change change;
    int error = 0;

    page_change_init(&change);
    spinlock_lock(&root->lock);
    error = kernel_l3_make(&change);
    while (count != 0 && error == 0) {
        size_t run = minimum(run_in_l1(address, count), (size_t)MAP_RUN);
        for (size_t i = 0; i < run; i++)
            values[i] = page_entry_kernel(frames[i], protection);
        error = l1_write(root, &change, address, values, run);
        if (error == 0) {
            address += run * PAGE_SIZE;
            frames += run;
            count -= run;
        }
    }
    page_change_commit(&change, NULL);
    spinlock_unlock(&root->lock);
    if (error != 0)
        unmap_kernel_pv(start, (address - start) >> PAGE_SHIFT);
    return error;
}

const struct paging_ops paging_ops_pv = {
    .root_create = root_create_pv,
    .root_destroy = root_destroy_pv,
    .root_activate = root_activate_pv,
    .map = map_pv,
    .unmap = unmap_pv,
    .protect = protect_pv,
    .query = query_pv,
    .test_accessed = test_accessed_pv,
    .map_kernel = map_kernel_pv,
    .unmap_kernel = unmap_kernel_pv,
};
