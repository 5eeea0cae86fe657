/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bits of page-table entries and the arithmetic of four levels. Xen sets and clears bits of its own (52 "guest
 * kernel", global): only the bits named here mean something to us. Not-present entries are always zero, as Xen ends a
 * domain that writes others on processors with L1TF.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"
#include "xen/x86/frames.h"

#define PAGE_TABLE_PRESENT 0x1ull
#define PAGE_TABLE_WRITE 0x2ull
#define PAGE_TABLE_USER 0x4ull
#define PAGE_TABLE_ACCESSED 0x20ull
#define PAGE_TABLE_DIRTY 0x40ull
#define PAGE_TABLE_HUGE 0x80ull
#define PAGE_TABLE_GLOBAL 0x100ull /* PVH's to set: stays in the TLB when CR3 changes */
#define PAGE_TABLE_COPY_ON_WRITE 0x200ull /* one of the three bits left to software */
#define PAGE_TABLE_KEPT 0x400ull /* another one; PV: this link's L1 is pinned, and will be kept */
#define PAGE_TABLE_NO_EXECUTE 0x8000000000000000ull
#define PAGE_TABLE_FRAME_MASK 0x000ffffffffff000ull

#define PAGE_TABLE_ENTRIES 512u
#define PAGE_TABLE_L1_SPAN (PAGE_TABLE_ENTRIES * PAGE_SIZE) /* bytes one L1 maps */

/* Links to lower tables; every right is decided at the lowest level. */
#define PAGE_TABLE_LINK (PAGE_TABLE_PRESENT | PAGE_TABLE_WRITE | PAGE_TABLE_USER | PAGE_TABLE_ACCESSED | PAGE_TABLE_DIRTY)
/* The kernel's own pages carry USER as well: Xen then makes them global, and they outlive its reload of CR3. */
#define PAGE_TABLE_KERNEL_DATA (PAGE_TABLE_LINK | PAGE_TABLE_NO_EXECUTE)
#define PAGE_TABLE_KERNEL_CONSTANT (PAGE_TABLE_KERNEL_DATA & ~(PAGE_TABLE_WRITE | PAGE_TABLE_DIRTY))
#define PAGE_TABLE_KERNEL_CODE (PAGE_TABLE_KERNEL_CONSTANT & ~PAGE_TABLE_NO_EXECUTE)

/* Index into the table of `level` (1 the lowest, 4 the root). */
static inline unsigned int page_table_index(uint64_t address, unsigned int level)
{
    return (unsigned int)(address >> (PAGE_SHIFT + 9 * (level - 1))) & (PAGE_TABLE_ENTRIES - 1);
}

static inline uint64_t page_table_frame(uint64_t entry)
{
    return (entry & PAGE_TABLE_FRAME_MASK) >> PAGE_SHIFT;
}
