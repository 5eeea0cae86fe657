/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one operation changes in PV page tables: updates, and the pages whose old translations must go.
 *
 *     page_change_init → page_change_add and page_change_flush, any number → page_change_commit
 */
#pragma once

#include <stdatomic.h>

#include "xen/x86/mmu_batch.h"

#define FLUSH_SINGLE_LIMIT 8u /* more pages than this: flush everything */

/* Locks: its user's; on a stack. */
struct page_change {
    struct mmu_batch batch;
    uint32_t flush_count;                       /* pages to flush; beyond the limit only the count */
    uint64_t flush_addresses[FLUSH_SINGLE_LIMIT];
};

static inline void page_change_init(struct page_change *change)
{
    mmu_batch_init(&change->batch);
    change->flush_count = 0;
}

static inline void page_change_flush(struct page_change *change, uint64_t address)
{
    if (change->flush_count < FLUSH_SINGLE_LIMIT)
        change->flush_addresses[change->flush_count] = address;
    change->flush_count++;
}

static inline void page_change_flush_all(struct page_change *change)
{
    change->flush_count = FLUSH_SINGLE_LIMIT + 1;
}

static inline void page_change_add(struct page_change *change, pfn_t table, unsigned int index, uint64_t value)
{
    mmu_batch_add(&change->batch, table, index, value, MMU_NORMAL_PT_UPDATE);
}

/*
 * Sends it, with the flush for the CPUs that are in *mask once the tables have changed (NULL: none): Xen reads it between the two, so
 * that a CPU which takes the root at the same time either is among them or sees the new entries. The change is empty again. Events masked.
 */
void page_change_commit(struct page_change *change, const _Atomic uint64_t *mask);
