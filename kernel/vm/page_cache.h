/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages of one file (or of one shared memory object), by page number, filled from and written back to a
 * page_source that the file system provides. kernel/vm never sees inodes.
 *
 * A page's life: absent --get--> BUSY (source reading) --page_cache_complete--> UPTODATE --write--> DIRTY
 * --write-back--> BUSY|UPTODATE --> UPTODATE --reclaim/truncate--> absent. A cache without a source is the only home
 * of its pages (tmpfs, shared anonymous memory): absent pages read as zeroes and nothing is reclaimed.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/tree.h"
#include "kernel/memory/page.h"
#include "kernel/sched/mutex.h"
#include "kernel/vm/io_vector.h"

struct page_cache;
struct file_doors;

struct page_source {
    /*
     * Starts reading `count` consecutive pages (pages[0]->index on), all BUSY and referenced by the cache; bytes past
     * the end of the file are zeroed. Thread context, no locks held, may sleep. Every page is finished by one
     * page_cache_complete(), at once or later from any context. A failure to start is reported the same way.
     */
    void (*read_pages)(struct page_cache *cache, struct page **pages, size_t count);
    /* Same for writing; NULL for a read-only source. Pages past the file's end are not passed. */
    void (*write_pages)(struct page_cache *cache, struct page **pages, size_t count);
};

/* Locks: m lock; f fixed. */
struct page_cache {
    struct mutex lock;
    struct tree chunks;             /* m of 16 neighbouring pages each, by number (page_cache.c) */
    uint64_t page_count;            /* m */
    uint64_t dirty_count;           /* m */
    uint64_t size_bytes;            /* m of the file; pages past it do not exist */
    const struct page_source *source; /* f NULL: memory only */
    void *owner;                    /* f the file system's inode */
    struct list areas;              /* m areas that map it, to unmap on truncation */
    struct list all_link;           /* list of caches, for reclaim */
    struct list dirty_link;         /* list of caches with dirty pages, for write-back */
    struct wait_queue ready;        /* sleepers on BUSY pages */
    uint64_t readahead_next;        /* m the first page that reading ahead has not asked for */
    uint32_t readahead_pages;       /* m current window */
    _Atomic uint32_t fault_pages;   /* to be read at the next fault in pages that are executed; any value will do */
    atomic_bool program_read;       /* page_cache_read_program() has been here */
    uint64_t reclaim_hand;          /* m page number at which the clock stands */
    _Atomic int write_error;        /* a first failed write-back since the last sync */
    struct file_doors *doors;       /* m file_doors.c's; NULL: none */
    atomic_uint users;              /* a completions and write-back at work: destroy waits for them */
};

void page_cache_init(struct page_cache *cache, const struct page_source *source, void *owner, uint64_t size_bytes);
/* No mapping and no user may be left. Waits for I/O; dirty pages are lost (sync first). */
void page_cache_destroy(struct page_cache *cache);

/* The page, up to date and referenced. 0, -EIO, -ENOMEM, or -ENXIO past the end of the file. May sleep. */
int page_cache_get(struct page_cache *cache, uint64_t index, struct page **page);
/* The same, reading `around` (≥ 1) pages from it on if it is absent. */
int page_cache_get_window(struct page_cache *cache, uint64_t index, size_t around, struct page **page);
/* Those of [index, index + count) that are present and up to date now, without sleeping on I/O (fault-around): fills pages[] (NULL where absent), returns how many. */
size_t page_cache_get_present(struct page_cache *cache, uint64_t index, struct page **pages, size_t count);
/* For sources: I/O on the page is over; error 0 or -Exxx. Any context. */
void page_cache_complete(struct page *page, int error);
void page_cache_mark_dirty(struct page *page);

/* File I/O. Copy between the file and the vector; return bytes, 0 at the end, or -Exxx. The caller moves its position. */
long page_cache_read(struct page_cache *cache, uint64_t offset, struct io_vector *vector);
/* Does not extend the file by itself beyond what the caller set with page_cache_resize() first. */
long page_cache_write(struct page_cache *cache, uint64_t offset, struct io_vector *vector);
/*
 * Puts `count` pages, neighbours in memory (whole, and of PAGE_CACHE's kind), into the cache as what was written from `index` on, or a page's bytes into the one that
 * came before it. Takes over the references in any case. 0, -ENXIO (past the end of the file), -ENOMEM, or what reading a page that is there gave.
 */
int page_cache_adopt(struct page_cache *cache, uint64_t index, struct page *fresh, size_t count);
/* Changes the size: growing is a number; shrinking unmaps and frees pages and zeroes the tail of the last. */
int page_cache_resize(struct page_cache *cache, uint64_t size_bytes);
/* Frees [first, first+count) pages and unmaps them (hole punching on memory-only caches). */
void page_cache_punch(struct page_cache *cache, uint64_t first, uint64_t count);
/* Writes dirty pages of the byte range and waits; 0 or the first error. */
int page_cache_synchronize(struct page_cache *cache, uint64_t first_byte, uint64_t last_byte);
/* Starts reading pages ahead (posix_fadvise, readahead(), MADV_WILLNEED). */
void page_cache_read_ahead(struct page_cache *cache, uint64_t index, uint64_t count);
/* The file is about to be executed: starts reading all of it, once, if it is not large and there is memory for it. */
void page_cache_read_program(struct page_cache *cache);

/* Registers the reclaimer; called once by the roof. */
int page_cache_start(void);
