/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting and stopping vCPUs other than CPU 0. What is the same for PV and PVH is in cpu_start.c; the registers a vCPU begins
 * with, and its entries, are each mode's (cpu_start_pv.c, cpu_start_pvh.c).
 *
 *   not started --cpu_start--> running --cpu_leave (on it)--> down --cpu_start_again--> running
 */
#pragma once

#include "kernel/base/compiler.h"
#include "xen/machine/cpu_machine.h"

struct cpu_start_ops {
    /* Tells Xen with what registers the vCPU begins: in cpu_begin(), on that stack, GS as the machine, events masked. 0 or Xen's error. */
    int (*prepare)(struct cpu_machine *machine, void *stack_top);
    /* On the new CPU, before anything else: its entries and whatever the mode needs. */
    void (*begin)(void);
};
extern const struct cpu_start_ops cpu_start_pv, cpu_start_pvh;
/* The start of day's choice; without one there is CPU 0 alone. */
void cpu_start_choose(const struct cpu_start_ops *ops);

/* How many vCPUs Xen has for us, whether they run or not, CPU_LIMIT + 1 at most. */
unsigned int cpu_count_possible(void);
/*
 * Starts a vCPU, which runs main() on the given stack, with events masked. `machine` is zeroed memory for its block but for
 * machine->cpu.scheduler and .current. Callers take turns. 0 or Xen's error: then it does not run, and the memory is the caller's again.
 */
int cpu_start(struct cpu_machine *machine, unsigned int number, void *stack_top, void (*main)(void));
/* The current CPU goes down; returns when another one starts it again. Nothing is left on it; events masked. */
void cpu_leave(void);
bool cpu_is_down(unsigned int number);
int cpu_start_again(unsigned int number);

/* Where a new CPU begins. */
void cpu_begin(void) attribute_noreturn;
