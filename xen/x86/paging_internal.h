/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What paging.c, paging_pv.c and paging_pvh.c share.
 */
#pragma once

#include "xen/x86/page_table.h"
#include "xen/x86/paging.h"

/* Inside every lock of kernel/vm; outside the page allocator's. */
#define PAGING_LOCK_RANK 0xd000

extern const struct paging_table_allocator *paging_tables;
extern struct paging_root paging_kernel_root;

/* How many of `count` pages from the address on have their entries in one L1. */
static inline size_t run_in_l1(uint64_t address, size_t count)
{
    return minimum(count, (size_t)(PAGE_TABLE_ENTRIES - page_table_index(address, 1)));
}
