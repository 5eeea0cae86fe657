/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The doors of a file: sites, changed copies of the file's pages, pages of trampolines.
 *
 * A set never changes once others may have it: one more door makes a new set, which shares the other pages with the old one, and those who
 * have the old one keep it. Only trampolines are added in place, where nobody jumps to yet. Addresses in a set are as if the file's first page
 * were mapped at DOOR_AREA_BYTES, and its trampolines from 0 on: jumps and trampolines are the same wherever both lie so.
 */
#pragma once

#include "kernel/vm/code_patch_internal.h"

#define FILE_SEEN_COUNT 64u
#define SET_PAGES 64u
#define SET_PATCHES 512u

struct door_page {
    uint64_t index; /* in the file */
    struct page *page;
};

struct door_set {
    struct reference reference;
    uint64_t file;               /* the file_doors it belongs to */
    uint32_t patch_count, page_count;
    uint64_t page_bits;          /* of the pages' numbers, modulo 64 */
    struct patch_area area;
    struct page *trampolines[DOOR_AREA_PAGES]; /* NULL: none yet */
    struct door_page pages[SET_PAGES];
    struct patch patches[];      /* by address */
};

/* cache->doors. Locks: the cache's. */
struct file_doors {
    uint64_t number;             /* no other has it, ever */
    _Atomic uint64_t seen[FILE_SEEN_COUNT];
    struct door_set *set;        /* NULL: none yet */
};

void door_set_release(struct door_set *set); /* NULL is allowed */
/* A set with what is in the old one (or NULL), and with room for one patch more. NULL: no memory. */
struct door_set *door_set_copy(const struct door_set *old, uint64_t file);
/* The set's page in place of the file's page `index`, or NULL. */
struct page *door_set_page(const struct door_set *set, uint64_t index);
/* The set gets a page of its own for the file's page `index`, a copy of `page`, in place of the one that it had. NULL: no memory, or no room. */
struct page *door_set_page_copy(struct door_set *set, uint64_t index, const struct page *page);
