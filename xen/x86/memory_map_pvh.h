/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH's RAM, which has holes: what the loader's memory map says, for the start of day.
 */
#pragma once

#include "xen/x86/memory_map.h"

/* A range of RAM, in bytes; in any order. */
void memory_map_add_pvh(uint64_t address, uint64_t size_bytes);
/* Sets the memory map's end and its holes; memory_map_pages() then tells the RAM. */
void memory_map_fill_pvh(void);
/* Whether some, or all, of these pages are RAM. */
bool memory_map_has_ram_pvh(uint64_t first, uint64_t count);
bool memory_map_all_ram_pvh(uint64_t first, uint64_t count);
