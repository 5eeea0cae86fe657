/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables under PV. Xen owns the truth: tables are read through the direct map, where they are read-only, and written
 * by batches of mmu_update; a batch and the TLB flush it needs go in one multicall.
 *
 *  - A new L1 is filled while it is still an ordinary page, made read-only in the direct map and linked, all in
 *    one batch: mapping pages where no L1 was yet costs two updates, however many pages they are.
 *  - An L1 that is unmapped as a whole is unlinked by one update of its L2 and freed.
 *  - The L1s of a root that no CPU has had are such pages, and their entries plain stores; paging_root_pv.c has those roots,
 *    and the tables above L1.
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
#include "xen/x86/paging_pv.h"

#define FEW_ENTRIES 8u
#define FREED_LIMIT 16u         /* L1s unlinked in one batch */

/* ---- Making and freeing tables ------------------------------------------------------------------------------------- */

static void table_free(pfn_t table)
{
    paging_tables->free(table);
}

/* The L1 for an address, if it is there. Root's lock held. */
static bool l1_find(struct paging_root *root, uint64_t address, pfn_t *table)
{
    struct paging_fresh_table *fresh;

    if (root->fresh && fresh_table_find(root, address, false, &fresh) != 0)
        return false;
    if (root->fresh) {
        *table = fresh->table;
        return true;
    }
    return walk_to(root->table, address, 1, table) == 1;
}

/* What is to be mapped: pages, or frames into the kernel's half. */
struct run {
    const struct paging_entry *entries;
    const gfn_t *frames;
    uint32_t protection; /* of frames */
    uint32_t flags;      /* of the last entry that was encoded, and what they come to: */
    uint64_t rights;
};

/* The entry of the run's i-th page; 0: it is left as it is. */
static inline uint64_t run_value(struct run *run, size_t i)
{
    if (run->frames)
        return page_entry_kernel(run->frames[i], run->protection);
    const struct paging_entry *entry = &run->entries[i];
    if (entry->flags == 0)
        return 0;
    if (!(entry->flags & (PAGING_READ | PAGING_WRITE | PAGING_EXECUTE)))
        return page_entry_encode(entry);
    if (entry->flags != run->flags) {
        run->flags = entry->flags;
        run->rights = page_entry_rights(entry->flags);
    }
    return (frames_gfn(entry->pfn).number << PAGE_SHIFT) | run->rights;
}

/* Fills a new L1 with the run. The entry that links it, or 0: out of memory. Root's lock held. */
static uint64_t l1_make(struct page_change *change, unsigned int first, struct run *run, size_t count)
{
    bool few = count <= FEW_ENTRIES; /* worth a table that is kept */
    pfn_t l1;

    if ((few ? table_take(1, &l1) : paging_tables->allocate(&l1)) != 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = run_value(run, i);
        if (!few)
            table_at(l1)[first + i] = value;
        else if (value != 0)
            page_change_add(change, l1, first + (unsigned int)i, value);
    }
    if (few)
        return link_to(l1) | PAGE_TABLE_KEPT;
    direct_map_set_writable(&change->batch, l1, false);
    return link_to(l1);
}

/* Hangs an L1 that holds the run below `table` of `level`, with what is missing between. 0 or -ENOMEM. Root's lock held. */
static int l1_build(struct paging_root *root, struct page_change *change, pfn_t table, unsigned int level, uint64_t address,
                    struct run *run, size_t count)
{
    int error = 0;
    pfn_t next;

    for (; level > 2 && (error = table_take(level - 1, &next)) == 0; level--) {
        page_change_add(change, table, page_table_index(address, level), link_to(next));
        root->table_pages++;
        table = next;
    }
    uint64_t link = error == 0 ? l1_make(change, page_table_index(address, 1), run, count) : 0;
    if (link != 0) {
        page_change_add(change, table, page_table_index(address, 2), link);
        root->table_pages++;
    }
    /* The next run may need the same tables. */
    page_change_commit(change, &root->cpu_mask);
    return link != 0 ? 0 : -ENOMEM;
}

/* Writes the run into the L1 of a fresh root. 0, -ENOMEM, -ENOSPC. Root's lock held. */
static int fresh_write(struct paging_root *root, uint64_t address, struct run *run, size_t count)
{
    unsigned int first = page_table_index(address, 1);
    struct paging_fresh_table *fresh;

    int error = fresh_table_find(root, address, true, &fresh);
    for (unsigned int i = 0; i < count && error == 0; i++) {
        uint64_t value = run_value(run, i);
        if (value == 0)
            continue;
        write_once(table_at(fresh->table)[first + i], value);
        fresh->stores = (uint16_t)minimum(fresh->stores + 1u, 0xffffu);
    }
    return error;
}

/* Writes the run into the L1 for `address`, making it if need be. It does not cross its end. Root's lock held. */
static int l1_write(struct paging_root *root, struct page_change *change, uint64_t address, struct run *run, size_t count)
{
    unsigned int first = page_table_index(address, 1);
    pfn_t table;

    if (root->fresh) {
        int error = fresh_write(root, address, run, count);
        if (error != -ENOSPC)
            return error;
        error = root_seal_locked(root);
        if (error != 0)
            return error;
    }
    unsigned int level = walk_to(root->table, address, 1, &table);
    if (level > 1)
        return l1_build(root, change, table, level, address, run, count);
    uint64_t place = (frames_gfn(table).number << PAGE_SHIFT) | MMU_NORMAL_PT_UPDATE;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = run_value(run, i);
        if (value == 0)
            continue;
        if (table_read(table, first + (unsigned int)i) & PAGE_TABLE_PRESENT)
            page_change_flush(change, address + i * PAGE_SIZE);
        mmu_batch_put(&change->batch, place + (first + i) * sizeof(uint64_t), value);
    }
    return 0;
}

/* ---- User space ---------------------------------------------------------------------------------------------------- */

/* Whether a run of a program's pages brings anything. */
static bool run_any(const struct paging_entry *entries, size_t count)
{
    size_t i = 0;

    while (i < count && entries[i].flags == 0)
        i++;
    return i < count;
}

static int map_pv(struct paging_root *root, uint64_t address, const struct paging_entry *entries, size_t count)
{
    struct page_change change;
    int error = 0;

    page_change_init(&change);
    spinlock_lock(&root->lock);
    while (count != 0 && error == 0) {
        struct run run = { .entries = entries };
        size_t length = run_in_l1(address, count);
        if (run_any(entries, length))
            error = l1_write(root, &change, address, &run, length);
        address += length * PAGE_SIZE;
        entries += length;
        count -= length;
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

    bool there = l1_find(root, address, &table), whole = there && count == PAGE_TABLE_ENTRIES;
    if (whole && !root->fresh) {
        walk_to(root->table, address, 2, &upper);
        if (table_read(upper, page_table_index(address, 2)) & PAGE_TABLE_KEPT)
            table_op(MMUEXT_UNPIN_TABLE, table);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t value = there ? table_read(table, first + (unsigned int)i) : 0;
        if (old)
            old[i] = page_entry_decode(value);
        if (value != 0 && !whole)
            entry_set(root, change, table, first + (unsigned int)i, 0);
        if ((value & PAGE_TABLE_PRESENT) && !root->fresh)
            page_change_flush(change, address + i * PAGE_SIZE);
    }
    if (!whole)
        return;
    root->table_pages--;
    if (root->fresh) {
        fresh_table_drop(root, address);
        return;
    }
    page_change_add(change, upper, page_table_index(address, 2), 0);
    page_change_flush_all(change);
    freed[(*freed_count)++] = table;
}

/* After the commit that unlinked them: back to ordinary pages. */
static void tables_release(struct page_change *change, const pfn_t *freed, size_t count)
{
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

static void protect_entry(const struct paging_root *root, struct page_change *change, pfn_t table, unsigned int index,
                          uint64_t address, uint32_t protection)
{
    uint64_t old = table_read(table, index);

    if (old == 0)
        return;
    uint64_t value = page_entry_protect(old, protection);
    /* Xen's own bits are left out of the comparison. */
    if (((value ^ old) & PAGE_ENTRY_OURS) == 0)
        return;
    if (root->fresh) {
        entry_set(root, change, table, index, value);
        return;
    }
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
        if (l1_find(root, address, &table)) {
            for (size_t i = 0; i < run; i++)
                protect_entry(root, &change, table, page_table_index(address, 1) + (unsigned int)i, address + i * PAGE_SIZE,
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
        bool there = l1_find(root, address, &table);
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
    if (l1_find(root, address, &table)) {
        uint64_t old = table_read(table, index);
        accessed = (old & PAGE_TABLE_PRESENT) && (old & PAGE_TABLE_ACCESSED);
        if (accessed)
            entry_set(root, &change, table, index, old & ~PAGE_TABLE_ACCESSED);
        page_change_commit(&change, NULL);
    }
    spinlock_unlock(&root->lock);
    return accessed;
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
    uint64_t start = address;
    struct page_change change;
    int error = 0;

    page_change_init(&change);
    spinlock_lock(&root->lock);
    error = kernel_l3_make(&change);
    while (count != 0 && error == 0) {
        struct run run = { .frames = frames, .protection = protection };
        size_t length = run_in_l1(address, count);
        error = l1_write(root, &change, address, &run, length);
        if (error == 0) {
            address += length * PAGE_SIZE;
            frames += length;
            count -= length;
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
    .root_seal = root_seal_pv,
    .root_empty = root_empty_pv,
    .give_back = give_back_pv,
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
