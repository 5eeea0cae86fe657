/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PV's start of day, and the entries of the direct map afterwards.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"
#include "xen/x86/mmu_batch.h"

/* Builds the direct map, takes down the loader's mapping beyond the image, protects the image, fills the memory map. */
void direct_map_start_pv(void);
/* The L4 everything started with; its upper half is every root's. */
pfn_t direct_map_root(void);
/* Adds the update that makes a page of the direct map writable, or read-only as a page table must be. */
void direct_map_set_writable(struct mmu_batch *batch, pfn_t pfn, bool writable);
