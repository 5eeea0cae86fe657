/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a thread, as the switch away from it sees it. For kernel/sched alone.
 */
#pragma once

struct cpu;
struct thread;

/* The idle thread, and the closed run queue, of a CPU to come. 0 or -ENOMEM. */
int thread_create_idle(struct cpu *cpu);

/* Gives back the stack of a thread that is dead and off its CPU, and the scheduler's reference on it. No locks held. */
void thread_bury(struct thread *thread);
