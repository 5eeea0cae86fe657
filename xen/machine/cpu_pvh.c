/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event mask under PVH: the processor's interrupt flag, as events come as an interrupt. Xen keeps no mask of its own
 * there (evtchn_upcall_mask means nothing), and what is pending is delivered by sti itself.
 */
#include "xen/machine/cpu_mode.h"

/* xen/x86/entry_pvh.S, which also sees to it that no event is lost before the halt. */
void entry_halt_pvh(void);

static inline void events_hold(struct cpu_machine *machine)
{
    (void)machine;
    __asm__ volatile("cli" : : : "memory");
}

static inline void events_let(struct cpu_machine *machine)
{
    (void)machine;
    __asm__ volatile("sti" : : : "memory");
}

void cpu_events_mask_pvh(void)
{
    events_mask();
}

void cpu_events_unmask_pvh(void)
{
    events_unmask();
}

void spinlock_lock_pvh(struct spinlock *lock)
{
    events_mask_and_lock(lock);
}

void spinlock_unlock_pvh(struct spinlock *lock)
{
    events_unlock_and_unmask(lock);
}

void cpu_wait_for_event_pvh(void)
{
    cpu_send_kicks(cpu_machine_current());
    assert(cpu_current()->event_mask_depth == 1);
    entry_halt_pvh();
}
