/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the page cache share: chunks of pages, and the ways between cached pages and the areas that map
 * them. Everything here wants cache->lock held.
 */
#pragma once

#include "kernel/vm/page_cache.h"

#define PAGE_FLAG_REFERENCED 0x100u /* used since the reclaimer last looked */

#define PAGE_FLAG_HABIT 0x200u      /* and 0x400: a count, how far programs that map the file use to use it (map_ahead.c) */
#define PAGE_FLAG_WRITTEN 0x800u    /* and that they write to their copy of it */

#define CHUNK_PAGES 16u
#define PAGE_CACHE_BATCH 64u        /* pages in one request to the source */

/* Locks: the cache's. */
struct page_chunk {
    struct tree_node node;
    uint64_t number;                /* page number / CHUNK_PAGES */
    uint16_t present, dirty;        /* bit per page */
    uint16_t habits;                /* pages that have a habit (map_ahead.c) */
    struct page *pages[CHUNK_PAGES];
};

static inline uint64_t page_cache_limit(const struct page_cache *cache)
{
    return cache->size_bytes / PAGE_SIZE + (cache->size_bytes % PAGE_SIZE != 0);
}

static inline bool page_flag_test(const struct page *page, uint16_t flag)
{
    return atomic_load_explicit(&page->flags, memory_order_acquire) & flag;
}

static inline void page_flag_set(struct page *page, uint16_t flag)
{
    atomic_fetch_or(&page->flags, flag);
}

static inline void page_flag_clear(struct page *page, uint16_t flag)
{
    atomic_fetch_and(&page->flags, (uint16_t)~flag);
}

/* The chunk with the lowest number at or above `number`, or NULL. */
struct page_chunk *page_chunk_from(const struct page_cache *cache, uint64_t number);
struct page_chunk *page_chunk_next(const struct page_chunk *chunk);

/* The page, or NULL; no reference. */
struct page *page_cache_lookup(const struct page_cache *cache, uint64_t index);
/*
 * Puts pages, neighbours in memory, from `index` on, up to where a page is or their chunk ends; the cache takes over the caller's references of those.
 * How many, or -ENOMEM.
 */
int page_cache_insert(struct page_cache *cache, uint64_t index, struct page *pages, size_t count);
/* Takes a page that is not BUSY out; the cache's reference becomes the caller's. Frees an emptied chunk. */
void page_cache_detach(struct page_cache *cache, struct page *page);
/* Drops cache->lock, waits until the page is not BUSY; does not take the lock again. */
void page_cache_wait_unlock(struct page_cache *cache, struct page *page);
void page_cache_set_dirty(struct page_cache *cache, struct page *page);
void page_cache_set_clean(struct page_cache *cache, struct page *page);
uint64_t page_cache_dirty_total(void);

/* Inserts BUSY pages for the absent ones from `index` on, at most `count`, up to the first present one; fills pages[]. 0 when
 * none was made, or -ENOMEM. The caller hands them to the source after unlocking. */
int page_cache_prepare_read(struct page_cache *cache, uint64_t index, size_t count, struct page **pages);

/* Write-back of dirty pages in [first, last]; with `wait`, also of those that are being written now. */
void page_cache_write_back(struct page_cache *cache, uint64_t first, uint64_t last, bool wait);
/* A writer of pages waits here while too much is dirty; no locks held. */
void write_back_throttle(void);
void write_back_kick(void);
int write_back_start(void);
void write_back_forget(struct page_cache *cache);
/* The cache has a dirty page now. */
void write_back_enlist(struct page_cache *cache);

/* Frees pages of [first, end), unmapping them first; waits for I/O on them (dropping and retaking the lock). */
void page_cache_drop(struct page_cache *cache, uint64_t first, uint64_t end);

void reclaim_add(struct page_cache *cache);
void reclaim_remove(struct page_cache *cache);
int reclaim_start(void);

/* Reverse mapping (area_mapping.c). */
void area_mapping_unmap(struct page_cache *cache, uint64_t first, uint64_t count);
/* Unmaps this very page wherever it is mapped, not private copies made of it. */
void area_mapping_unmap_page(struct page_cache *cache, struct page *page);
/* True if some mapping was used since the last look. */
bool area_mapping_test_accessed(struct page_cache *cache, const struct page *page);
/* The next write through a shared mapping will fault and mark the page dirty again. */
void area_mapping_write_protect(struct page_cache *cache, const struct page *page);
