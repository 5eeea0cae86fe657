/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending a change of PV page tables to Xen: the batch of updates and the flush after it in one multicall; a single page of
 * the active root by the one hypercall that does both. A change that Xen refuses means that our tables are broken.
 */
#include "xen/x86/page_change.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu.h"
#include "xen/machine/hypercall.h"

/* Fills the flush operations; returns how many. */
static unsigned int flush_prepare(const struct page_change *change, struct mmuext_op *operations, const _Atomic uint64_t *mask)
{
    bool single = change->flush_count <= FLUSH_SINGLE_LIMIT;
    unsigned int count = single ? change->flush_count : 1;

    for (unsigned int i = 0; i < count; i++) {
        operations[i].cmd = single ? MMUEXT_INVLPG_MULTI : MMUEXT_TLB_FLUSH_MULTI;
        operations[i].arg1.linear_addr = single ? change->flush_addresses[i] : 0;
        set_xen_guest_handle(operations[i].arg2.vcpumask, (void *)(uintptr_t)mask);
    }
    return count;
}

/* One page of the active root: Xen has a hypercall that writes and flushes at once. */
static bool change_commit_single(struct page_change *change, const _Atomic uint64_t *mask)
{
    if (change->batch.count != 1 || change->batch.sent != 0 || change->flush_count != 1 ||
        !(atomic_load_explicit(mask, memory_order_relaxed) & (1ull << cpu_current()->number)) ||
        (change->batch.updates[0].ptr & 7) != MMU_NORMAL_PT_UPDATE)
        return false;
    change->batch.count = 0;
    long result = hypercall_3(__HYPERVISOR_update_va_mapping, change->flush_addresses[0], change->batch.updates[0].val,
                              UVMF_INVLPG | UVMF_MULTI | (uint64_t)mask);
    if (result != 0)
        panic("Xen refuses the page-table entry for 0x%llx: error %ld", (unsigned long long)change->flush_addresses[0],
              result);
    return true;
}

void page_change_commit(struct page_change *change, const _Atomic uint64_t *mask)
{
    struct mmuext_op operations[FLUSH_SINGLE_LIMIT];
    unsigned int done = 0;

    if (change->batch.count == 0 && change->batch.error == 0 && change->flush_count == 0)
        return;
    if (mask && change->batch.error == 0 && change_commit_single(change, mask)) {
        change->flush_count = 0;
        return;
    }
    if (change->batch.count != 0)
        hypercall_queue(__HYPERVISOR_mmu_update, (uint64_t)change->batch.updates, change->batch.count, (uint64_t)&done,
                        DOMID_SELF);
    if (change->flush_count != 0 && mask) {
        unsigned int count = flush_prepare(change, operations, mask);
        hypercall_queue(__HYPERVISOR_mmuext_op, (uint64_t)operations, count, 0, DOMID_SELF);
    }
    int error = hypercall_queue_flush();
    if (error != 0 || change->batch.error != 0)
        panic("Xen refuses page-table updates: error %d", error != 0 ? error : change->batch.error);
    change->batch.count = 0;
    change->batch.sent = 0;
    change->flush_count = 0;
}
