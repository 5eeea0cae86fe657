/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Roots under PV, and what can be done to all tables of one at a time, which is far cheaper than entry by entry:
 *
 *   fresh --sealed: before a CPU takes it--> Xen's --emptied: all below its user entries unlinked at once--> unpinned, freed
 *
 * A fresh root (fork's copy, exec's new program) is ordinary memory and filled by stores. Sealing makes its tables read-only and
 * pins the root: Xen looks at all entries once, in a third of the time that it takes to carry out as many updates.
 * Emptying is the way back: what hangs below a root's entry stops being tables when the entry goes, and is then read at leisure.
 *
 * Locks: root->lock; what was unlinked is its unlinker's.
 */
#include <stdatomic.h>

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/direct_map_pv.h"
#include "xen/x86/page_entry.h"
#include "xen/x86/paging_pv.h"

#define ROOT_USER_ENTRIES (PAGE_TABLE_ENTRIES / 2)
#define EMPTY_TABLES 48u /* a larger tree is unmapped piece by piece: Xen takes it apart with events held off */

static int root_op(unsigned int command, pfn_t table)
{
    struct mmuext_op operation = { .cmd = command, .arg1.mfn = frames_gfn(table).number };

    return (int)hypercall_4(__HYPERVISOR_mmuext_op, (uint64_t)&operation, 1, 0, DOMID_SELF);
}

int kernel_l3_make(struct page_change *change)
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

int root_create_pv(struct paging_root *root)
{
    const uint64_t bases[] = { DIRECT_MAP_BASE, KERNEL_MAP_BASE, KERNEL_IMAGE_BASE };
    struct page_change change;
    pfn_t table;

    spinlock_init(&root->lock, "page tables", PAGING_LOCK_RANK + 1);
    atomic_init(&root->cpu_mask, 0);
    atomic_init(&root->dying, false);
    root->fresh = true;
    root->table_pages = 1;
    int error = paging_tables->allocate(&table);
    if (error != 0)
        return error;
    page_change_init(&change);
    spinlock_lock(&paging_kernel_root.lock);
    error = kernel_l3_make(&change);
    spinlock_unlock(&paging_kernel_root.lock);
    if (error != 0) {
        paging_tables->free(table);
        return error;
    }
    for (size_t i = 0; i < array_count(bases); i++) {
        unsigned int index = page_table_index(bases[i], 4);
        table_at(table)[index] = table_read(paging_kernel_root.table, index);
    }
    root->table = table;
    return 0;
}

/* ---- Going through a tree ------------------------------------------------------------------------------------------- */

/* The first entry from `index` on that is not empty; `limit` where there is none. Tables are mostly empty: four at a time. */
static unsigned int table_next_used(pfn_t table, unsigned int index, unsigned int limit)
{
    const uint64_t *entries = table_at(table);

    for (; index < limit; index++) {
        while (index % 4 == 0 && index + 4 <= limit &&
               (entries[index] | entries[index + 1] | entries[index + 2] | entries[index + 3]) == 0)
            index += 4;
        if (index < limit && entries[index] != 0)
            break;
    }
    return index;
}

static pfn_t table_linked(pfn_t table, unsigned int index)
{
    pfn_t next;

    if (!table_next(table, index, &next))
        panic("a page table's link is not one of ours: 0x%llx", (unsigned long long)table_read(table, index));
    return next;
}

/* Makes the tables below `table` read-only; with `table` itself they are what Xen will look at. */
static void subtree_freeze(struct mmu_batch *batch, pfn_t table, unsigned int level, unsigned int limit)
{
    for (unsigned int i = table_next_used(table, 0, limit); level > 1 && i < limit; i = table_next_used(table, i + 1, limit))
        subtree_freeze(batch, table_linked(table, i), level - 1, PAGE_TABLE_ENTRIES);
    direct_map_set_writable(batch, table, false);
}

void root_seal_locked(struct paging_root *root)
{
    struct mmu_batch batch;

    if (!root->fresh)
        return;
    mmu_batch_init(&batch);
    subtree_freeze(&batch, root->table, 4, ROOT_USER_ENTRIES);
    int error = mmu_batch_flush(&batch);
    if (error == 0)
        error = root_op(MMUEXT_PIN_L4_TABLE, root->table);
    if (error != 0)
        panic("Xen refuses a new page-table root: error %d", error);
    root->fresh = false;
}

void root_seal_pv(struct paging_root *root)
{
    spinlock_lock(&root->lock);
    root_seal_locked(root);
    spinlock_unlock(&root->lock);
}

/* ---- The end -------------------------------------------------------------------------------------------------------- */

/* What was unlinked, on its way back: pages one by one, tables some at a time. */
struct reaper {
    paging_gone gone;
    void *context;
    bool constant;        /* tables are read-only still */
    size_t table_count;
    pfn_t tables[32];
    struct page_change change;
};

static void reaper_flush_tables(struct reaper *reaper)
{
    if (reaper->constant) {
        cpu_events_mask();
        for (size_t i = 0; i < reaper->table_count; i++)
            direct_map_set_writable(&reaper->change.batch, reaper->tables[i], true);
        page_change_commit(&reaper->change, NULL);
        cpu_events_unmask();
    }
    while (reaper->table_count != 0)
        paging_tables->free(reaper->tables[--reaper->table_count]);
}

static void reaper_add_table(struct reaper *reaper, pfn_t table)
{
    if (reaper->table_count == array_count(reaper->tables))
        reaper_flush_tables(reaper);
    reaper->tables[reaper->table_count++] = table;
}

/* `table` of a level, which begins at an address, and all below it: entries are read before their page goes. */
static void subtree_reap(struct reaper *reaper, pfn_t table, unsigned int level, uint64_t address)
{
    for (unsigned int i = table_next_used(table, 0, PAGE_TABLE_ENTRIES); i < PAGE_TABLE_ENTRIES;
         i = table_next_used(table, i + 1, PAGE_TABLE_ENTRIES)) {
        uint64_t at = address + ((uint64_t)i << (PAGE_SHIFT + 9 * (level - 1)));
        if (level > 1) {
            subtree_reap(reaper, table_linked(table, i), level - 1, at);
            continue;
        }
        struct paging_entry entry = page_entry_decode(table_read(table, i));
        reaper->gone(reaper->context, at, &entry);
    }
    reaper_add_table(reaper, table);
}

static void reaper_init(struct reaper *reaper, const struct paging_root *root, paging_gone gone, void *context)
{
    reaper->gone = gone;
    reaper->context = context;
    reaper->constant = !root->fresh;
    reaper->table_count = 0;
    page_change_init(&reaper->change);
}

/* Unlinks what hangs below the root's first entries, at most `room` of them; how many there were. */
static size_t root_unlink(struct paging_root *root, unsigned int *indices, pfn_t *subtrees, size_t room)
{
    struct page_change change;
    size_t count = 0;

    page_change_init(&change);
    spinlock_lock(&root->lock);
    for (unsigned int i = table_next_used(root->table, 0, ROOT_USER_ENTRIES); i < ROOT_USER_ENTRIES && count < room;
         i = table_next_used(root->table, i + 1, ROOT_USER_ENTRIES)) {
        indices[count] = i;
        subtrees[count++] = table_linked(root->table, i);
        entry_set(root, &change, root->table, i, 0);
    }
    if (count != 0 && !root->fresh)
        page_change_flush_all(&change);
    page_change_commit(&change, &root->cpu_mask);
    spinlock_unlock(&root->lock);
    return count;
}

static uint64_t root_entry_address(unsigned int index)
{
    return (uint64_t)index << (PAGE_SHIFT + 27);
}

bool root_empty_pv(struct paging_root *root, paging_gone gone, void *context)
{
    struct reaper reaper;
    unsigned int indices[4];
    pfn_t subtrees[4];
    size_t count;

    if (root->table_pages > EMPTY_TABLES)
        return false;
    reaper_init(&reaper, root, gone, context);
    while ((count = root_unlink(root, indices, subtrees, array_count(subtrees))) != 0)
        for (size_t i = 0; i < count; i++)
            subtree_reap(&reaper, subtrees[i], 3, root_entry_address(indices[i]));
    reaper_flush_tables(&reaper);
    root->table_pages = 1;
    return true;
}

/* Only tables without pages are left below it. */
void root_destroy_pv(struct paging_root *root)
{
    struct reaper reaper;

    assert(root->cpu_mask == 0);
    reaper_init(&reaper, root, NULL, NULL);
    /* Unpinned and unused, the whole tree stops being tables. */
    if (!root->fresh && root_op(MMUEXT_UNPIN_TABLE, root->table) != 0)
        panic("Xen refuses to let a page-table root go");
    for (unsigned int i = table_next_used(root->table, 0, ROOT_USER_ENTRIES); i < ROOT_USER_ENTRIES;
         i = table_next_used(root->table, i + 1, ROOT_USER_ENTRIES))
        subtree_reap(&reaper, table_linked(root->table, i), 3, root_entry_address(i));
    reaper_add_table(&reaper, root->table);
    reaper_flush_tables(&reaper);
}

/* Events masked. */
void root_activate_pv(struct paging_root *root)
{
    struct cpu_machine *machine = cpu_machine_current();
    struct paging_root *before = machine->active_root;
    uint64_t bit = 1ull << machine->cpu.number;

    if (before == root)
        return;
    if (unlikely(root->fresh))
        root_seal_pv(root);
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
