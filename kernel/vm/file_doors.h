/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors that come with a file. A program that starts would have to find its doors anew each time, with its first calls and a copy of each
 * page that has one. So a file remembers from where it was called, and once several spaces have called from the same place, it has that
 * door in a page of its own, next to the cached one: whoever maps the file later gets that page, with the place's trampoline
 * 64 KiB below the file's first page, and calls by doors from its first call on.
 */
#pragma once

#include "kernel/vm/address_space.h"

/* So many spaces that called from a place make a door of it that comes with the file. */
#define FILE_DOORS_SPACES 4u

struct door_set;

/* Room below a private mapping of the file, from its first page on, in which its trampolines are to lie; 0: none is needed. */
uint64_t file_doors_room(const struct area_backing *backing, uint64_t backing_index, uint32_t flags);
/* An area is new: it gets the doors of its file, if it is where they can be used. space->lock held for writing. */
void file_doors_enter(struct area *area);
/* The page that the area is to map instead of the file's page of this number; NULL: there is none. No reference. space->lock held, cache locked. */
struct page *file_doors_find(const struct area *area, uint64_t index);
static inline struct page *file_doors_page(const struct area *area, uint64_t index)
{
    return unlikely(area->flags & AREA_DOORS) ? file_doors_find(area, index) : NULL;
}

/* The file's bytes change, or may from now on: its doors are forgotten, by those who map it later. Cache locked. */
void file_doors_forget_locked(struct page_cache *cache);
/* The same; not locked. */
void file_doors_forget(struct page_cache *cache);
