/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of RAM: one struct page for each, and the buddy allocator over them.
 *
 * A page is allocated with one reference and is freed when the last one goes. Mappings, the page cache and I/O in
 * flight each hold references. `owner` and `index` belong to whoever allocated it (the page cache: itself and the
 * file page's number).
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "xen/x86/frames.h"

#define PAGE_ORDER_LIMIT 11 /* largest block: 2^10 pages, 4 MiB */

/* Locks: z the zone's; o the owner; a atomic. */
struct page {
    struct list link;          /* z free lists; o while allocated */
    struct reference reference;/* a */
    _Atomic uint16_t flags;    /* a PAGE_FLAG_* */
    uint8_t order;             /* z of the block it heads */
    uint8_t kind;              /* o enum page_kind, for memory accounting */
    void *owner;               /* o */
    uint64_t index;            /* o */
};

enum page_kind { PAGE_FREE, PAGE_KERNEL, PAGE_TABLE, PAGE_STACK, PAGE_ANONYMOUS, PAGE_CACHE, PAGE_DEVICE, PAGE_RESERVED, PAGE_KIND_COUNT };

/* page->flags; bits 8 to 11 are the page cache's own (page_cache_internal.h), 12 to 15 its owner's (the file system's). */
#define PAGE_FLAG_UPTODATE 1u  /* page cache: content is valid */
#define PAGE_FLAG_DIRTY 2u     /* page cache: newer than the disk */
#define PAGE_FLAG_BUSY 4u      /* page cache: I/O in flight */
#define PAGE_FLAG_ERROR 8u

#define PAGE_ALLOCATE_ZERO 1u
#define PAGE_ALLOCATE_ATOMIC 2u   /* do not sleep, do not reclaim; may dip into the reserve */

/* One block of 2^order pages, or NULL when there is none even after reclaim. Without ATOMIC it may sleep. */
struct page *page_allocate(unsigned int order, enum page_kind kind, unsigned int flags);
/* A block that nobody else has a reference of becomes single pages with one each. */
void page_split(struct page *block);
void page_take(struct page *page);
void page_release(struct page *page);

/* The single pages that this CPU keeps for itself go back to all. */
void page_give_back_spares(void);

struct page *page_from_pfn(pfn_t pfn);
pfn_t page_pfn(const struct page *page);
struct page *page_from_address(const void *direct_map_address);

static inline void *page_address(const struct page *page)
{
    return frames_address(page_pfn(page));
}

struct page_statistics {
    uint64_t total_pages;
    uint64_t free_pages;
    uint64_t kind_pages[PAGE_KIND_COUNT];
};
void page_statistics_get(struct page_statistics *statistics);

/* Less than an eighth of memory is free: not the time to take any for what may not be wanted. */
static inline bool page_memory_is_short(void)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    return statistics.free_pages < statistics.total_pages / 8;
}

/*
 * Reclaim: called with memory short (thread context, no spinlocks) to free about `target_pages`; returns how many it
 * freed. kernel/vm registers the page cache's; at most 8 of them.
 */
int page_register_reclaimer(const char *name, size_t (*reclaim)(size_t target_pages));
