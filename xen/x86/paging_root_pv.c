/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Roots under PV, and what can be done to all tables of one at a time, which is far cheaper than entry by entry:
 *
 *   fresh --sealed: before a CPU takes it--> Xen's --emptied: all its L1s unlinked at once--> kept for the next
 *
 * A fresh root (fork's copy, exec's new program) is a list of L1s that are ordinary memory, filled by stores. Sealing makes
 * them read-only and links them: Xen looks at all entries of an L1 once, in a third of the time that it takes to carry out as many updates.
 * Emptying is the way back: an L1 stops being a table when its link goes, and is then read at leisure.
 *
 * To make a page a table of Xen's, and to take it back, is dear: it looks at 512 entries each time. So tables that have few entries, those of the
 * levels above and small L1s, stay Xen's (pinned, empty) when their root goes, and are taken again by the next one; a few of each level are kept.
 *
 * Locks: root->lock; what was unlinked is its unlinker's; kept_lock the kept tables.
 */
#include <stdatomic.h>

#include "kernel/base/error.h"
#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/direct_map_pv.h"
#include "xen/x86/page_entry.h"
#include "xen/x86/paging_pv.h"

#define ROOT_USER_ENTRIES (PAGE_TABLE_ENTRIES / 2)
#define EMPTY_TABLES 48u /* a larger tree is unmapped piece by piece: Xen takes it apart with events held off */
#define KEPT_LIMIT 8u
#define KEPT_L1_ENTRIES 24u /* what an L1 holds at most if it is to be one that is kept: filled, and emptied, by updates */

/* A table above L1, on its way. */
struct upper {
    pfn_t table;
    unsigned int level;
};

static const unsigned int kept_limits[5] = { [1] = 8, [2] = 8, [3] = 6, [4] = 3 };
static struct spinlock kept_lock = SPINLOCK_INITIALIZER("kept tables", PAGING_LOCK_RANK + 2);
static pfn_t kept[5][KEPT_LIMIT];  /* kept_lock; by level */
static unsigned int kept_count[5]; /* kept_lock */

bool table_next(pfn_t table, unsigned int index, pfn_t *next)
{
    uint64_t entry = table_read(table, index);

    return (entry & PAGE_TABLE_PRESENT) && frames_pfn_of_gfn((gfn_t){ page_table_frame(entry) }, next);
}

unsigned int walk_to(pfn_t root, uint64_t address, unsigned int level, pfn_t *table)
{
    unsigned int reached = 4;

    *table = root;
    while (reached > level && table_next(*table, page_table_index(address, reached), table))
        reached--;
    return reached;
}

uint64_t link_to(pfn_t table)
{
    return (frames_gfn(table).number << PAGE_SHIFT) | PAGE_TABLE_LINK;
}

void table_op(unsigned int command, pfn_t table)
{
    struct mmuext_op operation = { .cmd = command, .arg1.mfn = frames_gfn(table).number };

    long error = hypercall_4(__HYPERVISOR_mmuext_op, (uint64_t)&operation, 1, 0, DOMID_SELF);
    if (error != 0)
        panic("Xen refuses operation %u on a page table: error %ld", command, error);
}

/* Where to look for an entry from `index` on. Tables are mostly empty: eight at a time. */
static inline unsigned int table_skip(pfn_t table, unsigned int index, unsigned int limit)
{
    const uint64_t *entries = table_at(table);

    while (index % 8 == 0 && index < limit && (entries[index] | entries[index + 1] | entries[index + 2] | entries[index + 3] | entries[index + 4] |
                                               entries[index + 5] | entries[index + 6] | entries[index + 7]) == 0)
        index += 8;
    return index;
}

/* The entries of [start, limit) that are not empty; `limit` is a multiple of eight. */
#define table_for_each_used(index, table, start, limit)                                                                                \
    for (unsigned int index = table_skip(table, start, limit); index < (limit); index = table_skip(table, index + 1, limit))          \
        if (table_read(table, index) != 0)

/* ---- Tables that are kept ------------------------------------------------------------------------------------------------ */

int kernel_l3_make(struct page_change *change)
{
    unsigned int index = page_table_index(KERNEL_MAP_BASE, 4);
    pfn_t table;

    if (table_next(paging_kernel_root.table, index, &table))
        return 0;
    int error = table_take(3, &table);
    if (error != 0)
        return error;
    page_change_add(change, paging_kernel_root.table, index, link_to(table));
    page_change_commit(change, NULL);
    return 0;
}

/* The kernel's part of a root that is to be. */
static void root_fill(uint64_t *entries)
{
    const uint64_t bases[] = { DIRECT_MAP_BASE, KERNEL_MAP_BASE, KERNEL_IMAGE_BASE };

    for (size_t i = 0; i < array_count(bases); i++) {
        unsigned int index = page_table_index(bases[i], 4);
        entries[index] = table_read(paging_kernel_root.table, index);
    }
}

static int table_make(unsigned int level, pfn_t *table)
{
    struct mmu_batch batch;
    int error = paging_tables->allocate(table);

    if (error != 0)
        return error;
    if (level == 4)
        root_fill(table_at(*table));
    mmu_batch_init(&batch);
    direct_map_set_writable(&batch, *table, false);
    if (mmu_batch_flush(&batch) != 0)
        panic("Xen refuses to make a page read-only: error %d", batch.error);
    table_op(MMUEXT_PIN_L1_TABLE + level - 1, *table);
    return 0;
}

int table_take(unsigned int level, pfn_t *table)
{
    bool found;

    spinlock_lock(&kept_lock);
    found = kept_count[level] > 0;
    if (found)
        *table = kept[level][--kept_count[level]];
    spinlock_unlock(&kept_lock);
    return found ? 0 : table_make(level, table);
}

static void table_release(pfn_t table)
{
    struct page_change change;

    page_change_init(&change);
    cpu_events_mask();
    table_op(MMUEXT_UNPIN_TABLE, table);
    direct_map_set_writable(&change.batch, table, true);
    page_change_commit(&change, NULL);
    cpu_events_unmask();
    paging_tables->free(table);
}

void table_give(unsigned int level, pfn_t table)
{
    spinlock_lock(&kept_lock);
    bool kept_too = kept_count[level] < kept_limits[level];
    if (kept_too)
        kept[level][kept_count[level]++] = table;
    spinlock_unlock(&kept_lock);
    if (!kept_too)
        table_release(table);
}

void give_back_pv(void)
{
    for (unsigned int level = 1; level <= 4;) {
        pfn_t table;
        spinlock_lock(&kept_lock);
        bool found = kept_count[level] > 0;
        if (found)
            table = kept[level][--kept_count[level]];
        spinlock_unlock(&kept_lock);
        if (found)
            table_release(table);
        else
            level++;
    }
}

static void upper_give(const struct upper *upper)
{
    table_give(upper->level, upper->table);
}

/* ---- Fresh roots ---------------------------------------------------------------------------------------------------- */

int root_create_pv(struct paging_root *root)
{
    struct page_change change;

    spinlock_init(&root->lock, "page tables", PAGING_LOCK_RANK + 1);
    atomic_init(&root->cpu_mask, 0);
    atomic_init(&root->dying, false);
    root->fresh = true;
    root->fresh_count = 0;
    root->table_pages = 1;
    page_change_init(&change);
    spinlock_lock(&paging_kernel_root.lock);
    int error = kernel_l3_make(&change);
    spinlock_unlock(&paging_kernel_root.lock);
    return error != 0 ? error : table_take(4, &root->table);
}

/* Where the L1 that begins at `base` is in the list, or is to be. */
static unsigned int fresh_place(const struct paging_root *root, uint64_t base)
{
    unsigned int place = root->fresh_count;

    while (place > 0 && root->fresh_tables[place - 1].address >= base)
        place--;
    return place;
}

void fresh_table_drop(struct paging_root *root, uint64_t address)
{
    unsigned int place = fresh_place(root, round_down(address, PAGE_TABLE_L1_SPAN));

    paging_tables->free(root->fresh_tables[place].table);
    for (root->fresh_count--; place < root->fresh_count; place++)
        root->fresh_tables[place] = root->fresh_tables[place + 1];
}

int fresh_table_find(struct paging_root *root, uint64_t address, bool make, struct paging_fresh_table **found)
{
    uint64_t base = round_down(address, PAGE_TABLE_L1_SPAN);
    unsigned int place = fresh_place(root, base);

    pfn_t table;

    *found = &root->fresh_tables[place];
    if (place < root->fresh_count && root->fresh_tables[place].address == base)
        return 0;
    if (!make)
        return -ENOENT;
    if (root->fresh_count == PAGING_FRESH_TABLES)
        return -ENOSPC;
    int error = paging_tables->allocate(&table);
    if (error != 0)
        return error;
    for (unsigned int i = root->fresh_count++; i > place; i--)
        root->fresh_tables[i] = root->fresh_tables[i - 1];
    root->fresh_tables[place] = (struct paging_fresh_table){ base, table, .stores = 0 };
    root->table_pages++;
    return 0;
}

/* Whether the fresh table needs a table of that level of its own: none before it, by address, does for both. */
static bool fresh_needs(const struct paging_root *root, unsigned int i, unsigned int level)
{
    unsigned int shift = PAGE_SHIFT + 9 * level;

    return i == 0 || root->fresh_tables[i].address >> shift != root->fresh_tables[i - 1].address >> shift;
}

/* Takes what must hang between the root and its L1s; all of it, as linking is not to fail. How many, or -ENOMEM. */
static int seal_prepare(const struct paging_root *root, struct upper *upper)
{
    int taken = 0, error = 0;

    for (unsigned int i = 0; i < root->fresh_count && error == 0; i++)
        for (unsigned int level = 3; level >= 2 && error == 0; level--) {
            if (!fresh_needs(root, i, level))
                continue;
            upper[taken].level = level;
            error = table_take(level, &upper[taken].table);
            taken += error == 0;
        }
    while (error != 0 && taken > 0)
        upper_give(&upper[--taken]);
    return error != 0 ? error : taken;
}

/* The fresh table as Xen's: the entry that links it. One with few entries is copied into one that is kept, if there is one. */
static uint64_t seal_table(struct page_change *change, const struct paging_fresh_table *fresh)
{
    pfn_t table;

    if (fresh->stores > KEPT_L1_ENTRIES || table_take(1, &table) != 0) {
        direct_map_set_writable(&change->batch, fresh->table, false);
        return link_to(fresh->table);
    }
    table_for_each_used(i, fresh->table, 0, PAGE_TABLE_ENTRIES)
        page_change_add(change, table, i, table_read(fresh->table, i));
    paging_tables->free(fresh->table);
    return link_to(table) | PAGE_TABLE_KEPT;
}

int root_seal_locked(struct paging_root *root)
{
    pfn_t l2 = root->table, l3 = root->table;
    struct upper upper[2 * PAGING_FRESH_TABLES];
    struct page_change change;

    if (!root->fresh)
        return 0;
    int taken = seal_prepare(root, upper);
    if (taken < 0)
        return taken;
    page_change_init(&change);
    root->fresh = false;
    root->table_pages += (unsigned int)taken;
    for (unsigned int i = 0, next = 0; i < root->fresh_count; i++) {
        uint64_t address = root->fresh_tables[i].address;
        if (fresh_needs(root, i, 3)) {
            l3 = upper[next++].table;
            page_change_add(&change, root->table, page_table_index(address, 4), link_to(l3));
        }
        if (fresh_needs(root, i, 2)) {
            l2 = upper[next++].table;
            page_change_add(&change, l3, page_table_index(address, 3), link_to(l2));
        }
        page_change_add(&change, l2, page_table_index(address, 2), seal_table(&change, &root->fresh_tables[i]));
    }
    page_change_commit(&change, NULL);
    root->fresh_count = 0;
    return 0;
}

int root_seal_pv(struct paging_root *root)
{
    spinlock_lock(&root->lock);
    int error = root_seal_locked(root);
    spinlock_unlock(&root->lock);
    return error;
}

/* ---- The end -------------------------------------------------------------------------------------------------------- */

#define GROUP_ENTRIES 64u

/* An L1 that was unlinked. */
struct loose_l1 {
    uint64_t address;
    pfn_t table;
    bool kept;
    uint16_t first, count; /* kept: what it held, in its group */
};

/* Unlinked L1s that are emptied, or made ordinary memory, in one go, and what kept ones held. */
struct group {
    unsigned int count;
    uint16_t indices[GROUP_ENTRIES];
    struct paging_entry entries[GROUP_ENTRIES];
};

/* What was unlinked in one go. */
struct apart {
    size_t l1_count, upper_count;
    struct loose_l1 l1[EMPTY_TABLES];
    struct upper upper[EMPTY_TABLES];
    struct page_change change;
};

/* Unlinks what hangs below a table that begins at `address`. False: there is more than goes into one go. */
static bool apart_gather(struct apart *apart, pfn_t table, unsigned int level, uint64_t address, unsigned int limit)
{
    table_for_each_used(i, table, 0, limit)
    {
        uint64_t at = address + ((uint64_t)i << (PAGE_SHIFT + 9 * (level - 1)));
        pfn_t next;
        if (!table_next(table, i, &next))
            panic("a page table's link is not one of ours: 0x%llx", (unsigned long long)table_read(table, i));
        if (level > 2 && (!apart_gather(apart, next, level - 1, at, PAGE_TABLE_ENTRIES) || apart->upper_count == EMPTY_TABLES))
            return false;
        if (level == 2 && apart->l1_count == EMPTY_TABLES)
            return false;
        if (level > 2)
            apart->upper[apart->upper_count++] = (struct upper){ next, level - 1 };
        else
            apart->l1[apart->l1_count++] = (struct loose_l1){ .address = at, .table = next, .kept = table_read(table, i) & PAGE_TABLE_KEPT };
        page_change_add(&apart->change, table, i, 0);
    }
    return true;
}

static void l1_tell(pfn_t table, uint64_t address, paging_gone gone, void *context)
{
    table_for_each_used(i, table, 0, PAGE_TABLE_ENTRIES)
    {
        struct paging_entry entry = page_entry_decode(table_read(table, i));
        gone(context, address + i * PAGE_SIZE, &entry);
    }
}

/* Adds to the group what empties a pinned L1. False: it holds too much for that, and is an ordinary one now. */
static bool kept_l1_empty(struct page_change *change, struct group *group, struct loose_l1 *l1)
{
    l1->first = (uint16_t)group->count;
    table_for_each_used(i, l1->table, 0, PAGE_TABLE_ENTRIES)
    {
        if (group->count == l1->first + KEPT_L1_ENTRIES) {
            change->batch.count -= KEPT_L1_ENTRIES;
            group->count = l1->first;
            table_op(MMUEXT_UNPIN_TABLE, l1->table);
            return false;
        }
        group->indices[group->count] = (uint16_t)i;
        group->entries[group->count++] = page_entry_decode(table_read(l1->table, i));
        page_change_add(change, l1->table, i, 0);
    }
    l1->count = (uint16_t)(group->count - l1->first);
    return true;
}

/* Empties unlinked L1s, as many as go into one batch, and frees them; by address, as `gone` is to be told. Answers how many. */
static size_t group_release(struct page_change *change, struct loose_l1 *l1, size_t count, paging_gone gone, void *context)
{
    struct group group = { .count = 0 };
    size_t taken = 0;

    cpu_events_mask();
    for (; taken < count && change->batch.count + KEPT_L1_ENTRIES <= GROUP_ENTRIES; taken++) {
        l1[taken].kept = l1[taken].kept && kept_l1_empty(change, &group, &l1[taken]);
        if (!l1[taken].kept)
            direct_map_set_writable(&change->batch, l1[taken].table, true);
    }
    page_change_commit(change, NULL);
    cpu_events_unmask();
    for (size_t i = 0; i < taken; i++) {
        if (gone && !l1[i].kept)
            l1_tell(l1[i].table, l1[i].address, gone, context);
        for (unsigned int at = l1[i].first; gone && l1[i].kept && at < l1[i].first + l1[i].count; at++)
            gone(context, l1[i].address + group.indices[at] * PAGE_SIZE, &group.entries[at]);
        if (l1[i].kept)
            table_give(1, l1[i].table);
        else
            paging_tables->free(l1[i].table);
    }
    return taken;
}

/* Takes apart all that hangs below the root's user entries; nobody else changes it. `gone` may be NULL: then there are no pages. */
static void root_take_apart(struct paging_root *root, paging_gone gone, void *context)
{
    struct apart apart;
    bool all;

    page_change_init(&apart.change);
    do {
        apart.l1_count = apart.upper_count = 0;
        spinlock_lock(&root->lock);
        all = apart_gather(&apart, root->table, 4, 0, ROOT_USER_ENTRIES);
        page_change_flush_all(&apart.change);
        page_change_commit(&apart.change, &root->cpu_mask);
        spinlock_unlock(&root->lock);
        for (size_t done = 0; done < apart.l1_count;)
            done += group_release(&apart.change, &apart.l1[done], apart.l1_count - done, gone, context);
        while (apart.upper_count > 0)
            upper_give(&apart.upper[--apart.upper_count]);
    } while (!all);
    root->table_pages = 1;
}

static void fresh_empty(struct paging_root *root, paging_gone gone, void *context)
{
    for (unsigned int i = 0; i < root->fresh_count; i++) {
        if (gone)
            l1_tell(root->fresh_tables[i].table, root->fresh_tables[i].address, gone, context);
        paging_tables->free(root->fresh_tables[i].table);
    }
    root->fresh_count = 0;
    root->table_pages = 1;
}

bool root_empty_pv(struct paging_root *root, paging_gone gone, void *context)
{
    if (root->fresh)
        fresh_empty(root, gone, context);
    else if (root->table_pages <= EMPTY_TABLES)
        root_take_apart(root, gone, context);
    else
        return false;
    return true;
}

/* Only tables without pages are left below it. */
void root_destroy_pv(struct paging_root *root)
{
    assert(root->cpu_mask == 0);
    if (root->fresh)
        fresh_empty(root, NULL, NULL);
    else if (root->table_pages > 1)
        root_take_apart(root, NULL, NULL);
    table_give(4, root->table);
}

/* Events masked. */
void root_activate_pv(struct paging_root *root)
{
    struct cpu_machine *machine = cpu_machine_current();
    struct paging_root *before = machine->active_root;
    uint64_t bit = 1ull << machine->cpu.number;

    if (before == root)
        return;
    if (unlikely(root->fresh) && root_seal_pv(root) != 0)
        panic("no memory for the page tables of a new root");
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
