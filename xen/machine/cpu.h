/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual CPU one runs on: its per-CPU block (found through GS), its number, and its event mask.
 *
 * Events (Xen's upcalls) are the only interrupts there are. Masking them is a byte store in PV and cli in PVH; both
 * hide behind these functions. Kernel code is not preempted: between two points where it may sleep, a thread stays on
 * its CPU, and cpu_current() stays true.
 */
#pragma once

#include "kernel/base/compiler.h"

#define CPU_LIMIT 64

struct thread;

/* Locks: everything here is touched by its own CPU only, unless a member says otherwise. */
struct cpu {
    struct cpu *self;            /* first: %gs:0 */
    uint32_t number;
    uint32_t event_mask_depth;   /* nested spinlocks; its highest bit is cpu_machine.h's */
    struct thread *current;      /* kernel/sched's */
    void *entry_stack_top;       /* where Xen / the IST puts frames from user mode */
    bool reschedule;             /* looked at on the way back to user mode; other CPUs set it under the run queue's lock */
    bool kernel_mode;            /* PV: Xen has it in guest-kernel mode, where `syscall` is a hypercall; entry_pv.S's */
    uint32_t event_context_depth;/* > 0 inside an event handler: must not sleep */
    void *scheduler;             /* kernel/sched's struct for this CPU */
    uint32_t *call_counts;       /* kernel/linux's, by number; NULL: calls by doors take their longer way. The entry code counts in it */
};

static inline struct cpu *cpu_current(void)
{
    struct cpu *cpu;
    /* volatile: not to be remembered across a switch, after which the thread may be on another CPU */
    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* NULL for a CPU that was never started. */
struct cpu *cpu_by_number(unsigned int number);
/* CPUs on which threads run, a bit for each: their numbers may have gaps. CPU 0 is always there. */
uint64_t cpu_online_mask(void);
unsigned int cpu_online_count(void);

/* Nest by counting: events are deliverable again when the outermost unmask has run, which also takes what came meanwhile. */
void cpu_events_mask(void);
void cpu_events_unmask(void);
bool cpu_events_masked(void);

/* Blocks this vCPU until an event; called by the idle thread with events masked; returns with events masked. */
void cpu_wait_for_event(void);
/* Hint inside spin loops. */
static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}
/* Lets other vCPUs that want it have the processor: we wait for what one of them does. Any context. */
void cpu_yield(void);
/* Makes `number` look at its reschedule flag soon (an IPI by event channel; nothing for the current CPU). */
void cpu_kick(unsigned int number);
/*
 * The same for all of the mask, and waits: each that runs has taken an event since the call, and with that passed a full barrier and
 * will look at what is due before it goes on with its program. Thread context, events deliverable.
 */
void cpu_kick_and_wait(uint64_t mask);
