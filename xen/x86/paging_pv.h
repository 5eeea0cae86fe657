/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What paging_pv.c (entries) and paging_root_pv.c (roots, from their making to their end) share: walking, and the two ways to
 * write an L1: a store while its root is fresh, an update that Xen carries out afterwards.
 */
#pragma once

#include "xen/x86/frames.h"
#include "xen/x86/page_change.h"
#include "xen/x86/paging_internal.h"

static inline uint64_t *table_at(pfn_t table)
{
    return frames_address(table);
}

static inline uint64_t table_read(pfn_t table, unsigned int index)
{
    return read_once(table_at(table)[index]);
}

/* The table that an entry links; false: none. */
bool table_next(pfn_t table, unsigned int index, pfn_t *next);
/* Goes down to the table of `level` if it is there; else stops at the last one that is. Returns the level reached. */
unsigned int walk_to(pfn_t root, uint64_t address, unsigned int level, pfn_t *table);
/* The entry that links a table. */
uint64_t link_to(pfn_t table);

/* Root's lock held. */
static inline void entry_set(const struct paging_root *root, struct page_change *change, pfn_t table, unsigned int index, uint64_t value)
{
    if (root->fresh)
        write_once(table_at(table)[index], value);
    else
        page_change_add(change, table, index, value);
}

/* The L1 for an address of a fresh root; makes it, in a root that has room for it, if `make`. 0, -ENOENT, -ENOMEM, -ENOSPC. Root's lock held. */
int fresh_table_find(struct paging_root *root, uint64_t address, bool make, struct paging_fresh_table **found);
/* The L1 for an address of a fresh root, which is there, goes. Root's lock held. */
void fresh_table_drop(struct paging_root *root, uint64_t address);
/* Gives a fresh root to Xen. 0 or -ENOMEM: it is fresh still. Root's lock held. */
int root_seal_locked(struct paging_root *root);
void table_op(unsigned int command, pfn_t table);
/* An empty table, Xen's already; from those that are kept. 0 or -ENOMEM. Events masked. */
int table_take(unsigned int level, pfn_t *table);
/* Back again, empty and linked nowhere. */
void table_give(unsigned int level, pfn_t table);
/* The kernel's entries of the root never change once kernel mappings have their L3. 0 or -ENOMEM. The kernel root's lock held. */
int kernel_l3_make(struct page_change *change);

int root_create_pv(struct paging_root *root);
int root_seal_pv(struct paging_root *root);
bool root_empty_pv(struct paging_root *root, paging_gone gone, void *context);
void root_destroy_pv(struct paging_root *root);
void root_activate_pv(struct paging_root *root);
void give_back_pv(void);
