/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of the guest's pages are taken at the start: the start of day reserves, the page allocator asks for the rest.
 * But for memory_map_more(): boot only, one CPU.
 */
#pragma once

#include "kernel/base/compiler.h"

/* kernel/memory's struct page, which are in mapped memory for all pages. */
#define MEMORY_MAP_STRUCT_BYTES 40u

struct memory_range {
    uint64_t first; /* pfn */
    uint64_t count; /* pages */
};

void memory_map_set_end(uint64_t page_count);
uint64_t memory_map_end(void);
/* Pages that are no memory; and how many are. */
void memory_map_add_hole(uint64_t first, uint64_t count);
uint64_t memory_map_pages(void);
void memory_map_reserve(uint64_t first, uint64_t count);
/*
 * Pages past the mapped end are not in the direct map yet: PV maps them as they are wanted, as Xen looks at every page of a table. More is asked for by
 * one caller at a time, in any context; the answer is the new end, or the old one where there is no more.
 */
void memory_map_set_mapped(uint64_t mapped_end, uint64_t (*map_more)(void));
uint64_t memory_map_mapped_end(void);
uint64_t memory_map_more(void);
/* The first free range at or after `from`; false when there is none. */
bool memory_map_next_free(uint64_t from, struct memory_range *range);
