/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event mask and the spinlocks' common ways, once for PV and once for PVH: cpu_pv.c and cpu_pvh.c define how events are held
 * back and let through, include this file, and have functions of both made of it without a call between. xen/x86/mode_gates.S chooses.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/spinlock.h"

void cpu_events_mask_pv(void);
void cpu_events_mask_pvh(void);
void cpu_events_unmask_pv(void);
void cpu_events_unmask_pvh(void);
void cpu_wait_for_event_pv(void);
void cpu_wait_for_event_pvh(void);
void spinlock_lock_pv(struct spinlock *lock);
void spinlock_lock_pvh(struct spinlock *lock);
void spinlock_unlock_pv(struct spinlock *lock);
void spinlock_unlock_pvh(struct spinlock *lock);

/* Of the file that includes this one. */
static inline void events_hold(struct cpu_machine *machine);
static inline void events_let(struct cpu_machine *machine);

static inline void events_mask(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    events_hold(machine);
    compiler_barrier();
    machine->cpu.event_mask_depth++;
}

/* The last level is taken back when no kicks wait for it: they are a bit of the same word. */
static inline void events_unmask(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    assert(machine->cpu.event_mask_depth > 0);
    if (--machine->cpu.event_mask_depth == 0) {
        compiler_barrier();
        events_let(machine);
    } else if (unlikely(machine->cpu.event_mask_depth == CPU_KICKS_DUE)) {
        cpu_unmask_kicking();
    }
}

static inline void events_mask_and_lock(struct spinlock *lock)
{
    events_mask();
    if (unlikely(!spinlock_take(lock, 0)))
        spinlock_wait(lock);
    if (DEBUG_BUILD)
        spinlock_order_take(lock);
}

static inline void events_unlock_and_unmask(struct spinlock *lock)
{
    if (DEBUG_BUILD)
        spinlock_order_release(lock);
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
    events_unmask();
}
