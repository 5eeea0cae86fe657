/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the address space share. "Locked" means space->lock held for writing.
 */
#pragma once

#include "kernel/memory/page.h"
#include "kernel/vm/address_space.h"
#include "kernel/vm/area_tree.h"

/* Between them comes the cache's lock, unranked: the reclaimer only tries it. */
#define SPACE_LOCK_RANK 0x3000
#define SPACE_PAGE_LOCK_RANK 0x3800

#define AREA_COUNT_LIMIT 65530u   /* Linux's vm.max_map_count */
#define SPACE_TABLE_BYTES (512ull * PAGE_SIZE) /* what one lowest page table maps */
#define SPACE_BATCH 64u           /* page-table entries handled in one go */
#define FAULT_CLUSTER 16u         /* pages one fault may bring in, */
#define FAULT_LIMIT 64u           /* of what has been gone through for long, */
#define FAULT_SHARE 16u           /* so that this is one part of so many */
#define FAULT_PRIVATE 0x10000u    /* an access: to have a page of one's own there, whatever the protection; private areas */
#define PROTECTION_ALL (PAGING_READ | PAGING_WRITE | PAGING_EXECUTE)

/* The entry holds a page (also where mprotect(PROT_NONE) made it not present). */
static inline bool paging_entry_used(const struct paging_entry *entry)
{
    return entry->flags != 0;
}

static inline bool area_is_private(const struct area *area)
{
    return !(area->flags & (AREA_SHARED | AREA_SPECIAL));
}

/* Its program stores to the file's own pages, or may come to. */
static inline bool area_stores_to_file(const struct area *area)
{
    return (area->flags & (AREA_SHARED | AREA_MAY_WRITE)) == (AREA_SHARED | AREA_MAY_WRITE);
}

static inline uint64_t area_index(const struct area *area, uint64_t address)
{
    return area->backing_index + ((address - area->start) >> PAGE_SHIFT);
}

/* A new area, not in the tree; takes its own reference of the backing. NULL: out of memory. */
struct area *area_create(struct address_space *space, uint64_t start, uint64_t end, uint32_t protection, uint32_t flags,
                         struct area_backing *backing, uint64_t backing_index, const char *name);
/* Into the tree, the cache's list and the counts / out of them and freed (its pages must be unmapped by the caller). Locked. */
void area_attach(struct address_space *space, struct area *area);
void area_detach(struct address_space *space, struct area *area);
void area_free(struct area *area);
/* Cuts at `address` (inside): the lower part stays `area`, *upper is the rest. Locked. */
int area_split(struct area *area, uint64_t address, struct area **upper);
/* Makes it one with the neighbours it continues; answers the area that now holds its start. Locked. */
struct area *area_merge(struct area *area);
/* Cuts so that [start, end) is made of whole areas. Locked. */
int area_isolate(struct address_space *space, uint64_t start, uint64_t end);
/* Changes bounds under the cache's lock. Locked. */
void area_set_bounds(struct area *area, uint64_t start, uint64_t end, uint64_t backing_index);
/* Protection and flags with their counts. Locked. */
void area_set_kind(struct area *area, uint32_t protection, uint32_t flags);
/* [start, end) holds pages now. page_lock held. */
void area_touch(struct area *area, uint64_t start, uint64_t end);
/* How many pages the first fault in an area of zero pages is to bring: what the last ones like it came to. */
size_t area_expect(struct address_space *space);
/* The part of [start, end) in which the area may hold pages; false: none. */
bool area_touched_range(const struct area *area, uint64_t *start, uint64_t *end);

/* That many pages more are mapped. */
void address_space_count_resident(struct address_space *space, uint64_t pages);

/* A store to an address of an anonymous area, where nothing is: true when a large page was brought for it. space->lock held for reading. */
bool large_page_bring(struct area *area, uint64_t address);
/* A large page that is copy-on-write, `pfn` a page of it, may be written again if nobody else has any page of it. page_lock held. */
bool large_page_reuse(struct area *area, uint64_t address, pfn_t pfn);
/* For fork, as area_duplicate_pages(): 1 when a large page at `start` was shared, 0 where there is none of which all is in [start, end), -ENOMEM. */
int large_page_share(struct area *area, struct area *copy, uint64_t start, uint64_t end);

/* map_ahead.c: what the end of an entry, of that page, says of how the file's pages are used; no lock of the space's is needed, as nobody else knows the area. */
void area_note_use(struct area *area, uint64_t address, struct page *page, const struct paging_entry *entry);
/* Maps those of the area's cached pages that will be used, by what is known. Locked. */
void area_map_ahead(struct area *area);
/* Unmaps and frees the pages of [start, end), all in `area`. */
void area_zap(struct area *area, uint64_t start, uint64_t end);
/* Everything in the range goes. 0 or -ENOMEM (a split failed). Locked. */
int address_space_unmap_locked(struct address_space *space, uint64_t start, uint64_t end);
/* A place for length_bytes; 0: none. Locked. */
uint64_t address_space_place(struct address_space *space, uint64_t hint, uint64_t length_bytes, bool low_32_bit);
/* 0 or -ENOMEM: limits and overcommit, for `pages` more of that kind. Locked. */
int address_space_admit(struct address_space *space, uint64_t pages, uint32_t protection, uint32_t flags);
/* Brings in all pages of the range, as MAP_POPULATE does. 0 or the first error. No lock. */
int address_space_populate(struct address_space *space, uint64_t start, uint64_t end);
/* Destroys the root, once no CPU has it, and frees the struct (space_reaper.c). */
void space_retire(struct address_space *space);
/* Rounds and checks [address, address + length): false when it is not in user space. */
bool address_space_range(uint64_t address, uint64_t length_bytes, uint64_t *end);

/* code_patch.c: the code of [start, end) is as it was again, or is gone, and so are doors whose trampolines lie there. 0 or -ENOMEM. Locked. */
int code_patch_leave(struct address_space *space, uint64_t start, uint64_t end, bool gone);
/* For fork, while the areas are copied: 0 or -ENOMEM. Locked. */
int code_patch_duplicate(struct address_space *space, struct address_space *copy);
void code_patch_free(struct address_space *space);
/* An area of trampolines. */
bool code_patch_owns(const struct area *area);
