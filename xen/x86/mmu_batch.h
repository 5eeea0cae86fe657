/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table updates gathered into one mmu_update hypercall. Xen carries them out in order, so a batch may make a page
 * read-only first and link it as a table afterwards.
 */
#pragma once

#include <stdint.h>

#include <xen/xen.h>

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

#define MMU_BATCH_ENTRIES 64u

/* Locks: its user's; usually on a stack. */
struct mmu_batch {
    uint32_t count;
    uint32_t sent;    /* updates of full batches that have gone already */
    int error;        /* the first one */
    struct mmu_update updates[MMU_BATCH_ENTRIES];
};

static inline void mmu_batch_init(struct mmu_batch *batch)
{
    batch->count = 0;
    batch->sent = 0;
    batch->error = 0;
}

void mmu_batch_send(struct mmu_batch *batch);

/* An update for the entry at a machine address, with its command in the lowest bits. Sends by itself when full. */
static inline void mmu_batch_put(struct mmu_batch *batch, uint64_t place, uint64_t value)
{
    if (unlikely(batch->count == MMU_BATCH_ENTRIES))
        mmu_batch_send(batch);
    batch->updates[batch->count++] = (struct mmu_update){ .ptr = place, .val = value };
}

/* `command` is MMU_NORMAL_PT_UPDATE or MMU_PT_UPDATE_PRESERVE_AD. */
void mmu_batch_add(struct mmu_batch *batch, pfn_t table, unsigned int index, uint64_t value, unsigned int command);
/* Sends the rest; 0 or the first error of all. */
int mmu_batch_flush(struct mmu_batch *batch);
