/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables, the same for PV (batched mmu_update on validated tables) and PVH (plain stores): paging_pv.c and
 * paging_pvh.c fill struct paging_ops. A root is one L4; its upper half is the kernel's and the same in all.
 *
 * A call handles a run of consecutive pages and costs one multicall at most (in chunks of 64 entries). Tables are
 * taken from the registered allocator, which must not sleep. The caller serialises changes of the same user range
 * (kernel/vm's address-space lock); roots guard their tables by root->lock.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"
#include "xen/machine/spinlock.h"

#define PAGING_READ 1u
#define PAGING_WRITE 2u
#define PAGING_EXECUTE 4u
#define PAGING_ACCESSED 16u   /* in answers only */
#define PAGING_DIRTY 32u      /* in answers only */
#define PAGING_PRESENT 64u    /* in answers only; an entry mapped with protection 0 (PROT_NONE) is not present */
#define PAGING_MAPPED 256u    /* in answers: there is a page, present or PROT_NONE; so that flags are never 0 then */
#define PAGING_COPY_ON_WRITE 128u /* software bit, kept with the entry; such an entry is never writable */
#define PAGING_UNUSED 1024u   /* to map: nobody has asked for this page, so it is not accessed yet */
#define PAGING_LARGE 512u     /* in answers only: the page is part of a large entry */
#define PAGING_LARGE_COUNT 512u /* pages of a large entry: 2 MiB */

/* User space: what programs may map. */
#define USER_ADDRESS_LOW 0x10000ull
#define USER_ADDRESS_HIGH 0x7ffffffff000ull

struct paging_entry {
    pfn_t pfn;
    uint32_t flags; /* PAGING_* */
};

/* PV: an L1 of a root that no CPU has had, ordinary memory still. */
#define PAGING_FRESH_TABLES 24u
struct paging_fresh_table {
    uint64_t address; /* of the first page it maps */
    pfn_t table;
    uint16_t stores;  /* how often an entry was written */
};

/* Locks: l lock; o the owner. */
struct paging_root {
    struct spinlock lock;
    pfn_t table;            /* o the L4's frame */
    _Atomic uint64_t cpu_mask; /* CPUs on which it is active */
    uint64_t table_pages;   /* l pages used for tables */
    uint64_t large_count;   /* l large entries, */
    pfn_t large_tables;     /* l and as many tables for their parts, each with the next one's number in it */
    bool fresh;             /* l PV: no CPU has had it: it has no tables but these, */
    uint32_t fresh_count;   /* l */
    struct paging_fresh_table fresh_tables[PAGING_FRESH_TABLES]; /* l by address */
    atomic_bool dying;      /* a CPU that still has it active leaves it at its next kick */
};

/* A page for a table, zeroed, or -ENOMEM; and its way back. Any context; must not sleep. Registered by kernel/memory. */
struct paging_table_allocator {
    int (*allocate)(pfn_t *pfn);
    void (*free)(pfn_t pfn);
};
void paging_set_table_allocator(const struct paging_table_allocator *allocator);

int paging_root_create(struct paging_root *root);
/* Until a CPU takes it, entries of a new root cost little; before, this makes true page tables of it. 0 or -ENOMEM: it is as it was. */
int paging_root_seal(struct paging_root *root);
/*
 * Unmaps everything at once, and frees the tables; `gone` is told of each entry in order, which no TLB has any more, with nothing
 * locked. Nobody else changes the root meanwhile. False, with nothing done, where entry by entry is the way (paging_unmap).
 */
typedef void (*paging_gone)(void *context, uint64_t address, const struct paging_entry *entry);
bool paging_root_empty(struct paging_root *root, paging_gone gone, void *context);
/* All user pages must have been unmapped; frees the tables. No thread may have it any more (a CPU may: kernel threads run on whatever is there). */
void paging_root_destroy(struct paging_root *root);
/* Tables that are kept for roots to come become free pages. */
void paging_give_back(void);
/* Makes it this CPU's; events masked. */
void paging_root_activate(struct paging_root *root);

/*
 * Maps entries[0..count) at address, address + 4 KiB, ...; entries whose flags are 0 are skipped (left as they are).
 * Replacing a present entry flushes it. 0 or -ENOMEM (then a prefix may be mapped; unmap it).
 */
int paging_map(struct paging_root *root, uint64_t address, const struct paging_entry *entries, size_t count);
/* Unmaps; old[0..count), if not NULL, receives what was there (flags 0: nothing). Flushed on all CPUs when it returns. */
void paging_unmap(struct paging_root *root, uint64_t address, struct paging_entry *old, size_t count);
/* Sets the protection of mapped entries (0: PROT_NONE, the page stays with the entry); entries with PAGING_COPY_ON_WRITE stay without write. Flushed on return. */
void paging_protect(struct paging_root *root, uint64_t address, size_t count, uint32_t protection);
/* Reads entries; flags 0 where nothing is mapped. */
void paging_query(struct paging_root *root, uint64_t address, struct paging_entry *entries, size_t count);
/*
 * Large entries, for 2 MiB at once, of frames that lie so. PV has none. All the other calls see their pages one by one, and one that
 * changes a part makes small entries of the whole first; for that the entry keeps a table, so that it cannot fail.
 */
bool paging_has_large(void);
/* There are large entries, and nothing (no table either) stands in the way of one around the address. */
bool paging_large_vacant(struct paging_root *root, uint64_t address);
/* Maps one where there is room, or in place of another one (then it cannot fail). 0 or -ENOMEM. */
int paging_map_large(struct paging_root *root, uint64_t address, const struct paging_entry *entry);
/* Reads and clears the accessed bit of one page (reclaim), without a flush. */
bool paging_test_accessed(struct paging_root *root, uint64_t address);

/* The kernel's own upper half: maps machine frames (grants, shared info) or own pages at kernel addresses. */
int paging_map_kernel(uint64_t address, const gfn_t *frames, size_t count, uint32_t protection);
void paging_unmap_kernel(uint64_t address, size_t count);

/* Goes over to the kernel's root: this CPU goes down. Events masked. */
void paging_leave(void);
/* Event context, on a kicked CPU: goes over to the kernel's root if the active one is dying. */
void paging_leave_dying(void);

/* What differs between PV and PVH; the functions above call the active table. Same rules. */
struct paging_ops {
    int (*root_create)(struct paging_root *root);
    int (*root_seal)(struct paging_root *root); /* NULL: nothing to be done; the next one: never */
    bool (*root_empty)(struct paging_root *root, paging_gone gone, void *context);
    void (*give_back)(void); /* NULL: none are kept */
    void (*root_destroy)(struct paging_root *root);
    void (*root_activate)(struct paging_root *root);
    int (*map)(struct paging_root *root, uint64_t address, const struct paging_entry *entries, size_t count);
    void (*unmap)(struct paging_root *root, uint64_t address, struct paging_entry *old, size_t count);
    void (*protect)(struct paging_root *root, uint64_t address, size_t count, uint32_t protection);
    void (*query)(struct paging_root *root, uint64_t address, struct paging_entry *entries, size_t count);
    bool (*test_accessed)(struct paging_root *root, uint64_t address);
    bool (*large_vacant)(struct paging_root *root, uint64_t address); /* NULL: no large entries; the next one as well */
    int (*map_large)(struct paging_root *root, uint64_t address, const struct paging_entry *entry);
    int (*map_kernel)(uint64_t address, const gfn_t *frames, size_t count, uint32_t protection);
    void (*unmap_kernel)(uint64_t address, size_t count);
};
extern const struct paging_ops paging_ops_pv, paging_ops_pvh;
/* Chooses the table; `root` is what the start of day runs on, whose upper half becomes everybody's. After the table allocator. */
void paging_start(const struct paging_ops *ops, pfn_t root);
