/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What paging.c, paging_pv.c and paging_pvh.c share.
 */
#pragma once

#include "xen/x86/paging.h"

/* Inside every lock of kernel/vm; outside the page allocator's. */
#define PAGING_LOCK_RANK 0xd000

extern const struct paging_table_allocator *paging_tables;
extern struct paging_root paging_kernel_root;
