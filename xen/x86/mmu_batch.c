/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending batches of page-table updates. An update that Xen refuses ends the hypercall; as it is a broken invariant of
 * ours, the rest of the batch is dropped and the caller told.
 */
#include "xen/x86/mmu_batch.h"

#include "xen/machine/hypercall.h"
#include "xen/x86/frames.h"

void mmu_batch_send(struct mmu_batch *batch)
{
    unsigned int done = 0;

    if (batch->count == 0)
        return;
    long result = hypercall_4(__HYPERVISOR_mmu_update, (uint64_t)batch->updates, batch->count, (uint64_t)&done,
                              DOMID_SELF);
    if (result < 0 && batch->error == 0)
        batch->error = (int)result;
    batch->sent += batch->count;
    batch->count = 0;
}

void mmu_batch_add(struct mmu_batch *batch, pfn_t table, unsigned int index, uint64_t value, unsigned int command)
{
    mmu_batch_put(batch, (frames_gfn(table).number << PAGE_SHIFT) | (index * 8u) | command, value);
}

int mmu_batch_flush(struct mmu_batch *batch)
{
    mmu_batch_send(batch);
    return batch->error;
}
