/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event mask under PV: the byte evtchn_upcall_mask in vcpu_info. Xen looks at it only when it returns to the guest, so
 * after clearing it one must look for events that came meanwhile and enter Xen once to have them delivered (any
 * hypercall does). The byte is written by its own CPU only; compiler barriers are enough.
 */
#include <stdint.h>

#include <xen/sched.h>

#include "xen/machine/cpu_mode.h"
#include "xen/machine/hypercall.h"

static inline void events_hold(struct cpu_machine *machine)
{
    write_once(machine->vcpu_info->evtchn_upcall_mask, 1);
}

static inline void events_let(struct cpu_machine *machine)
{
    struct vcpu_info *vcpu_info = machine->vcpu_info;

    write_once(vcpu_info->evtchn_upcall_mask, 0);
    compiler_barrier(); /* an event after this look finds the mask clear and is delivered by Xen itself */
    if (unlikely(read_once(vcpu_info->evtchn_upcall_pending)))
        hypercall_2(__HYPERVISOR_xen_version, 0, 0);
}

void cpu_events_mask_pv(void)
{
    events_mask();
}

void cpu_events_unmask_pv(void)
{
    events_unmask();
}

void spinlock_lock_pv(struct spinlock *lock)
{
    events_mask_and_lock(lock);
}

void spinlock_unlock_pv(struct spinlock *lock)
{
    events_unlock_and_unmask(lock);
}

void cpu_wait_for_event_pv(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    cpu_send_kicks(machine);
    assert(machine->cpu.event_mask_depth == 1);
    /* Unmasks and sleeps in one step, so no event is lost; what woke us has been delivered when it returns. */
    hypercall_2(__HYPERVISOR_sched_op, SCHEDOP_block, 0);
    write_once(machine->vcpu_info->evtchn_upcall_mask, 1);
    compiler_barrier();
}
