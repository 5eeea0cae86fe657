/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of doors, made and freed; and how files forget theirs, for which nothing of spaces is needed.
 */
#include "kernel/vm/door_set.h"

#include <string.h>

#include "kernel/memory/object_cache.h"
#include "kernel/vm/file_doors.h"

void door_set_release(struct door_set *set)
{
    if (!set || !reference_release(&set->reference))
        return;
    for (uint32_t i = 0; i < set->page_count; i++)
        page_release(set->pages[i].page);
    for (uint32_t i = 0; i < DOOR_AREA_PAGES; i++)
        if (set->trampolines[i])
            page_release(set->trampolines[i]);
    memory_free(set);
}

struct door_set *door_set_copy(const struct door_set *old, uint64_t file)
{
    uint32_t count = old ? old->patch_count : 0;
    struct door_set *set = memory_allocate_zeroed(sizeof(*set) + (count + 1) * sizeof(set->patches[0]));

    if (set && old) {
        memcpy(set, old, sizeof(*set) + count * sizeof(set->patches[0]));
        for (uint32_t i = 0; i < set->page_count; i++)
            page_take(set->pages[i].page);
        for (uint32_t i = 0; i < DOOR_AREA_PAGES; i++)
            if (set->trampolines[i])
                page_take(set->trampolines[i]);
    }
    if (set) {
        reference_init(&set->reference);
        set->file = file;
    }
    return set;
}

struct page *door_set_page(const struct door_set *set, uint64_t index)
{
    if (set->page_bits >> index % 64 & 1)
        for (uint32_t i = 0; i < set->page_count; i++)
            if (set->pages[i].index == index)
                return set->pages[i].page;
    return NULL;
}

struct page *door_set_page_copy(struct door_set *set, uint64_t index, const struct page *page)
{
    struct page *copy = page_allocate(0, PAGE_ANONYMOUS, 0);
    uint32_t i = 0;

    while (i < set->page_count && set->pages[i].index != index)
        i++;
    if (!copy || i == SET_PAGES) {
        if (copy)
            page_release(copy);
        return NULL;
    }
    memcpy(page_address(copy), page_address(page), PAGE_SIZE);
    if (i < set->page_count)
        page_release(set->pages[i].page);
    else
        set->page_count++;
    set->pages[i] = (struct door_page){ index, copy };
    set->page_bits |= 1ull << index % 64;
    return copy;
}

void file_doors_forget_locked(struct page_cache *cache)
{
    if (likely(!cache->doors))
        return;
    door_set_release(cache->doors->set);
    memory_free(cache->doors);
    cache->doors = NULL;
}

void file_doors_forget(struct page_cache *cache)
{
    if (likely(!read_once(cache->doors)))
        return;
    mutex_lock(&cache->lock);
    file_doors_forget_locked(cache);
    mutex_unlock(&cache->lock);
}
