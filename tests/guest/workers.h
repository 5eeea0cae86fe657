/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For guest tests: threads that are counted, so that the test can wait until all have ended.
 */
#pragma once

#include "kernel/sched/thread.h"

/* A thread for the CPUs of the mask, started; the caller releases it. NULL: out of memory, or none of the CPUs is there. */
struct thread *worker_start(const char *name, uint64_t cpus, void (*entry)(void *), void *argument);
/* The same with a thread that the test has made, and that never ran. */
void worker_run(struct thread *thread);
void worker_run_here(struct thread *thread);
/* A worker's last act. */
void worker_leave(void);
/* Waits until all have left; false if they have not in that time. */
bool workers_ended(uint64_t patience_ns);
