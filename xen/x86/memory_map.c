/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reserved ranges, sorted by their first page. There are about a dozen: image, first page tables, loader's lists, rings.
 */
#include "xen/x86/memory_map.h"

#include "kernel/base/panic.h"

#define MEMORY_MAP_LIMIT 48

static struct memory_range reserved[MEMORY_MAP_LIMIT];
static size_t reserved_count;
static uint64_t end, hole_pages, mapped_end;
static uint64_t (*map_next)(void);

void memory_map_set_end(uint64_t page_count)
{
    end = mapped_end = page_count;
}

uint64_t memory_map_end(void)
{
    return end;
}

void memory_map_set_mapped(uint64_t new_end, uint64_t (*map_more)(void))
{
    mapped_end = new_end;
    map_next = map_more;
}

uint64_t memory_map_mapped_end(void)
{
    return mapped_end;
}

uint64_t memory_map_more(void)
{
    if (map_next)
        mapped_end = map_next();
    return mapped_end;
}

void memory_map_reserve(uint64_t first, uint64_t count)
{
    size_t place = reserved_count;

    if (count == 0)
        return;
    for (size_t i = 0; i < reserved_count; i++)
        if (reserved[i].first + reserved[i].count == first) {
            reserved[i].count += count;
            return;
        }
    if (reserved_count == MEMORY_MAP_LIMIT)
        panic("memory map: too many reserved ranges");
    for (; place > 0 && reserved[place - 1].first > first; place--)
        reserved[place] = reserved[place - 1];
    reserved[place] = (struct memory_range){ .first = first, .count = count };
    reserved_count++;
}

void memory_map_add_hole(uint64_t first, uint64_t count)
{
    memory_map_reserve(first, count);
    hole_pages += count;
}

uint64_t memory_map_pages(void)
{
    return end - hole_pages;
}

bool memory_map_next_free(uint64_t from, struct memory_range *range)
{
    for (size_t i = 0; i < reserved_count; i++) {
        if (from < reserved[i].first)
            break;
        from = maximum(from, reserved[i].first + reserved[i].count);
    }
    uint64_t limit = end;
    for (size_t i = reserved_count; i-- > 0 && reserved[i].first > from;)
        limit = minimum(limit, reserved[i].first);
    if (from >= limit)
        return false;
    *range = (struct memory_range){ .first = from, .count = limit - from };
    return true;
}
