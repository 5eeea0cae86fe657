/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user half of an address space: areas in a tree, their pages brought in by faults, with fault-around so that one
 * batched page-table update serves many pages.
 *
 * Area kinds: anonymous private (backing NULL), private file (copy on write over a page cache), shared file or shared
 * memory (the cache's own pages). Reads may run together: faults hold space->lock for reading, changes of the tree for
 * writing.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/base/tree.h"
#include "kernel/sched/mutex.h"
#include "kernel/vm/page_cache.h"
#include "xen/x86/paging.h"

/* Protection: PAGING_READ | PAGING_WRITE | PAGING_EXECUTE of xen/x86/paging.h. */

#define AREA_SHARED 1u
#define AREA_GROWS_DOWN 2u     /* main stack: grows on faults down to the stack limit */
#define AREA_LOCKED 4u
#define AREA_NO_RESERVE 8u
#define AREA_DONT_FORK 16u
#define AREA_WIPE_ON_FORK 32u
#define AREA_SPECIAL 64u       /* vDSO, vvar: pages given by the backing, never copied or swapped */
#define AREA_DONT_DUMP 128u
#define AREA_MAY_WRITE 256u    /* mprotect may add write (file opened for it, or private) */
#define AREA_LARGE_PAGES 512u  /* MADV_HUGEPAGE */
#define AREA_SMALL_PAGES 1024u /* MADV_NOHUGEPAGE */
#define AREA_PATCHED 2048u     /* code_patch.c has changed code in it, or its trampolines are here */
#define AREA_DOORS 4096u       /* pages of the file come with its doors (file_doors.c) */

/* What an area maps; shared by the areas cut from one mapping. Contract filled by vfs (files), vm itself (shared anonymous) and process (vDSO). */
struct area_backing {
    struct reference reference;
    struct page_cache *cache;                   /* NULL for special areas */
    const struct area_backing_operations *operations;
    void *owner;                                /* the file */
};

struct area_backing_operations {
    /* Last reference is gone: free the backing, drop the file. Thread context, space->lock may be held for writing. */
    void (*destroy)(struct area_backing *backing);
    /* Special areas: the page at this page number, referenced; 0 or -EFAULT. May be NULL. */
    int (*special_page)(struct area_backing *backing, uint64_t index, struct page **page);
    /* Name for /proc/PID/maps, device and inode number; may be NULL. Returns the length. */
    size_t (*describe)(struct area_backing *backing, char *name, size_t size_bytes, uint64_t *device, uint64_t *inode);
};

/* Locks: w space->lock for writing to change, for reading to look; p pages mutex of the cache. */
struct area {
    struct tree_node node;            /* w */
    uint64_t start, end;              /* w page-aligned, end exclusive */
    uint32_t protection;              /* w */
    uint32_t flags;                   /* w AREA_* */
    struct area_backing *backing;     /* w NULL: anonymous private */
    uint64_t backing_index;           /* w page number in the backing of `start` */
    struct address_space *space;      /* fixed */
    struct list cache_link;           /* p in backing->cache->areas */
    const char *name;                 /* w "[heap]", "[stack]", "[vdso]" or NULL */
    uint64_t touched_start, touched_end; /* space->page_lock: all pages ever mapped lie between; empty: start > end */
    _Atomic uint64_t fault_next;      /* a a hint: where a sequential user will fault next */
    _Atomic uint32_t fault_cluster;   /* a a hint: pages mapped by the last fault */
    _Atomic uint32_t copied;          /* a a hint: its private pages that stores took copies of */
};
/* With a backing that has a cache, start, end and backing_index change under the cache's lock as well (reverse mapping). */

struct address_space {
    struct reference reference;
    struct rw_lock lock;
    struct mutex page_lock;           /* look at page-table entries, then change them; inner to the page caches' locks */
    struct paging_root root;
    struct list dying_link;           /* space_reaper.c's */
    atomic_uint users;                /* a processes that run in it; nobody left: emptied */
    struct tree areas;                /* w */
    uint64_t area_count;              /* w */
    uint64_t gap_hint, gap_hint_bytes;/* w no gap that large lies above gap_hint and below map_top */
    uint64_t map_top;                 /* w mmap area grows down from here */
    uint64_t break_start, break_end;  /* w */
    uint64_t stack_limit_bytes;       /* w */
    uint64_t size_limit_bytes;        /* w RLIMIT_AS, UINT64_MAX: none */
    uint64_t data_limit_bytes;        /* w RLIMIT_DATA */
    uint64_t lock_limit_bytes;        /* w RLIMIT_MEMLOCK, UINT64_MAX for those above it */
    uint32_t lock_future;             /* w AREA_LOCKED after mlockall(MCL_FUTURE) */
    uint64_t mapped_pages;            /* w sizes of all areas */
    uint64_t data_pages;              /* w of private writable ones */
    uint64_t locked_pages;            /* w of locked ones */
    atomic_uint expect_pages, expect_left; /* a a hint: what small areas came to, and how many may be taken to come to it (area.c) */
    _Atomic uint64_t resident_pages;
    uint64_t resident_peak_pages;
    _Atomic uint64_t faults_minor, faults_major;
    struct code_patches *_Atomic patches; /* a code_patch.c's; NULL: none yet */
    /* For /proc: where exec put things. */
    uint64_t code_start, code_end, data_start, data_end, stack_start, arguments_start, arguments_end, environment_start, environment_end;
    bool no_large_pages;              /* w prctl(PR_SET_THP_DISABLE); read without */
};

/* Makes the root that CPUs run on between programs. Once, before the first space. */
int address_space_start(void);
/* The current CPU leaves whatever root it runs on for the kernel's: before a program's last thread ends. */
void address_space_leave_cpu(void);
/* With one reference and one user. */
int address_space_create(struct address_space **space);
void address_space_take(struct address_space *space);
void address_space_release(struct address_space *space);
/* One more process runs in it (CLONE_VM) / one less: the last one unmaps everything. References are separate, as threads keep the root. */
void address_space_enter(struct address_space *space);
void address_space_leave(struct address_space *space);
/* Unmaps everything. */
void address_space_clear(struct address_space *space);
/* Where the two who come out of a fork will write at once: addresses of pages that are better copied. 0: none. */
struct duplicate_written {
    uint64_t addresses[3];
};
/* A copy for fork: areas duplicated, private pages shared copy-on-write, but for what is `written` (or NULL). 0 or -ENOMEM. */
int address_space_duplicate(struct address_space *space, const struct duplicate_written *written, struct address_space **copy);

struct area_request {
    uint64_t address;           /* hint, or exact with fixed */
    uint64_t length_bytes;
    uint32_t protection;
    uint32_t flags;             /* AREA_* */
    struct area_backing *backing; /* the call takes its own reference */
    uint64_t backing_index;
    bool fixed;                 /* replace what is there */
    bool fixed_no_replace;      /* -EEXIST instead */
    bool low_32_bit;            /* MAP_32BIT */
    bool populate;
    bool ahead;                 /* of a private mapping of a file: pages that use to be used are mapped at once if they are cached */
    const char *name;
};

/* mmap, munmap, mprotect, mremap, brk, madvise, mincore, msync with Linux's errors. */
int address_space_map(struct address_space *space, const struct area_request *request, uint64_t *address);
int address_space_unmap(struct address_space *space, uint64_t address, uint64_t length_bytes);
int address_space_protect(struct address_space *space, uint64_t address, uint64_t length_bytes, uint32_t protection);
/* flags: Linux's MREMAP_MAYMOVE 1, MREMAP_FIXED 2, MREMAP_DONTUNMAP 4. */
int address_space_remap(struct address_space *space, uint64_t address, uint64_t old_bytes, uint64_t new_bytes,
                        unsigned int flags, uint64_t new_address, uint64_t *result);
uint64_t address_space_set_break(struct address_space *space, uint64_t new_break);
int address_space_advise(struct address_space *space, uint64_t address, uint64_t length_bytes, int advice);
int address_space_residency(struct address_space *space, uint64_t address, size_t pages, uint8_t *vector);
int address_space_synchronize(struct address_space *space, uint64_t address, uint64_t length_bytes, int flags);
int address_space_lock_pages(struct address_space *space, uint64_t address, uint64_t length_bytes, bool lock);
/* A shared anonymous object of that size, as backing (MAP_SHARED|MAP_ANONYMOUS, memfd, System V shared memory). */
int area_backing_create_shared(uint64_t size_bytes, struct area_backing **backing);
void area_backing_take(struct area_backing *backing);
void area_backing_release(struct area_backing *backing);

/*
 * Brings in the page for an access (PAGING_READ/WRITE/EXECUTE): 0, or -EFAULT (no area: SIGSEGV SEGV_MAPERR), -EACCES
 * (protection: SEGV_ACCERR), -ENXIO (past the file's end: SIGBUS), -EIO (SIGBUS), -ENOMEM. May sleep.
 */
int address_space_fault(struct address_space *space, uint64_t address, uint32_t access);

/* mlockall's MCL_FUTURE for later maps, and its MCL_CURRENT; munlockall. */
int address_space_lock_all(struct address_space *space, bool current_areas, bool future_areas);
/* The page behind an address, referenced, brought in for reading or writing: 0 or address_space_fault()'s errors. */
int address_space_get_page(struct address_space *space, uint64_t address, uint32_t access, struct page **page);
/* Where a futex word lives: the cache and byte offset for shared mappings; *cache NULL for private ones. 0 or -EFAULT. */
int address_space_shared_key(struct address_space *space, uint64_t address, struct area_backing **backing, uint64_t *offset);

/* The area holding address, or the next above; NULL. Caller holds space->lock. */
struct area *address_space_find(struct address_space *space, uint64_t address);
struct area *area_next(const struct area *area);
struct area *area_previous(const struct area *area);

/* Access to another space's memory (ptrace, process_vm_readv, /proc/PID/mem, building a new program's stack): bytes copied or -EFAULT. */
long address_space_read(struct address_space *space, uint64_t address, void *buffer, size_t length_bytes);
long address_space_write(struct address_space *space, uint64_t address, const void *buffer, size_t length_bytes);
