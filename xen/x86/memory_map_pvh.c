/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ranges of RAM, sorted by their first page. What lies beyond the direct map's one root entry (512 GiB) is left alone.
 */
#include "xen/x86/memory_map_pvh.h"

#include "kernel/base/frame_number.h"
#include "kernel/base/panic.h"

#define RAM_LIMIT 24
#define PAGE_LIMIT (512ull << 18)

static struct memory_range ram[RAM_LIMIT];
static size_t ram_count;

void memory_map_add_pvh(uint64_t address, uint64_t size_bytes)
{
    uint64_t first = minimum(PAGE_ROUND_UP(address) >> PAGE_SHIFT, PAGE_LIMIT);
    uint64_t end = minimum((address + size_bytes) >> PAGE_SHIFT, PAGE_LIMIT);
    size_t place = ram_count;

    if (end <= first || address + size_bytes < address)
        return;
    if (ram_count == RAM_LIMIT)
        panic("the memory map has too many ranges");
    for (; place > 0 && ram[place - 1].first > first; place--)
        ram[place] = ram[place - 1];
    ram[place] = (struct memory_range){ .first = first, .count = end - first };
    ram_count++;
}

void memory_map_fill_pvh(void)
{
    uint64_t end = 0;

    for (size_t i = 0; i < ram_count; i++) {
        if (ram[i].first < end)
            panic("the memory map's ranges overlap at page 0x%llx", (unsigned long long)ram[i].first);
        memory_map_add_hole(end, ram[i].first - end);
        end = ram[i].first + ram[i].count;
    }
    memory_map_set_end(end);
}

bool memory_map_has_ram_pvh(uint64_t first, uint64_t count)
{
    for (size_t i = 0; i < ram_count; i++)
        if (ram[i].first < first + count && ram[i].first + ram[i].count > first)
            return true;
    return false;
}

bool memory_map_all_ram_pvh(uint64_t first, uint64_t count)
{
    for (size_t i = 0; i < ram_count; i++)
        if (ram[i].first <= first && ram[i].first + ram[i].count >= first + count)
            return true;
    return false;
}
