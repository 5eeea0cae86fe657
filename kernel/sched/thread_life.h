/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a thread, as the switch away from it sees it. For kernel/sched alone.
 */
#pragma once

struct thread;

/* Gives back the stack of a thread that is dead and off its CPU, and the scheduler's reference on it. No locks held. */
void thread_bury(struct thread *thread);
