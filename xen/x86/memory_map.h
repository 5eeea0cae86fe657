/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of the guest's pages are taken at the start: the start of day reserves, the page allocator asks for the rest.
 * Boot only, one CPU.
 */
#pragma once

#include "kernel/base/compiler.h"

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
/* The first free range at or after `from`; false when there is none. */
bool memory_map_next_free(uint64_t from, struct memory_range *range);
