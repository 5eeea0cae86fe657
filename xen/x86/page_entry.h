/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User entries of the lowest level, to and from struct paging_entry: alike for PV and PVH, as frames_gfn() knows the difference.
 */
#pragma once

#include "xen/x86/page_table.h"
#include "xen/x86/paging.h"

/* What a PROT_NONE entry keeps beside the page. */
#define PAGE_ENTRY_KEPT (PAGE_TABLE_ACCESSED | PAGE_TABLE_DIRTY | PAGE_TABLE_COPY_ON_WRITE)
/* What protecting may change. */
#define PAGE_ENTRY_OURS                                                                             \
    (PAGE_TABLE_FRAME_MASK | PAGE_TABLE_PRESENT | PAGE_TABLE_WRITE | PAGE_TABLE_NO_EXECUTE | PAGE_TABLE_COPY_ON_WRITE)

/* Of an entry that is present: all but the frame. */
uint64_t page_entry_rights(uint32_t flags);
uint64_t page_entry_encode(const struct paging_entry *entry);
struct paging_entry page_entry_decode(uint64_t value);
/* The entry `old` with another protection. */
uint64_t page_entry_protect(uint64_t old, uint32_t protection);
/* Kernel mappings: readable, perhaps writable, never executable. */
uint64_t page_entry_kernel(gfn_t frame, uint32_t protection);
