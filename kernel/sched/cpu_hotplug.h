/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs that come and go. CPU 0 stays. The first two sleep, and their callers take turns.
 */
#pragma once

#include "kernel/base/compiler.h"

/*
 * Starts the CPU; it takes threads as soon as it runs (cpu_hotplug_wait()). 0 (also where it runs already), -ENOMEM, or Xen's
 * error: -ENOENT for a vCPU there is not.
 */
int cpu_hotplug_add(unsigned int number);
/* 0 once it runs, -ETIMEDOUT if it does not in a second's time. */
int cpu_hotplug_wait(unsigned int number);
/* Sends its threads and timers away and stops it; waits until it is down. -EINVAL: CPU 0. */
int cpu_hotplug_remove(unsigned int number);

/* scheduler_start()'s: goes down, and returns when the CPU is added again. */
void cpu_hotplug_leave(void);
