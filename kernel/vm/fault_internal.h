/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fault under way, as fault.c (pages that are not there) and fault_present.c (those that are) share it.
 */
#pragma once

#include "kernel/vm/address_space_internal.h"

/* Locks: on the faulting thread's stack. */
struct fault {
    struct address_space *space;
    struct area *area;
    uint64_t address;      /* page-aligned */
    uint32_t access;
    uint64_t start;        /* window: pages that come along */
    size_t count;
    size_t target;         /* address within the window */
    struct page *pages[FAULT_LIMIT];
    struct paging_entry entries[FAULT_LIMIT];
    uint64_t used;         /* bit per page of the window: an entry was there when it was looked at */
};

#define FAULT_RETRY 1      /* things changed: look again */
#define FAULT_READ 2       /* the page must be read first, without locks */

/* The entry that is there does not let the access through. */
static inline bool fault_wants_other(const struct fault *fault, struct paging_entry entry)
{
    return fault->access & FAULT_PRIVATE ? entry.flags & PAGING_COPY_ON_WRITE : (fault->access & ~entry.flags & PAGING_WRITE);
}

/* From start to end, as far as the area goes. */
static inline void fault_set_window(struct fault *fault, uint64_t start, uint64_t end)
{
    fault->start = maximum(start, fault->area->start);
    fault->count = (size_t)((minimum(end, fault->area->end) - fault->start) >> PAGE_SHIFT);
    fault->target = (size_t)((fault->address - fault->start) >> PAGE_SHIFT);
}

static inline void fault_release_pages(struct fault *fault)
{
    for (size_t i = 0; i < fault->count; i++)
        if (fault->pages[i])
            page_release(fault->pages[i]);
}

/*
 * The entry is there: a store to a page mapped without write, or another thread was faster. 0, FAULT_RETRY, or the error that the fault ends with.
 * space->lock held for reading.
 */
int fault_present(struct fault *fault, struct paging_entry entry);
