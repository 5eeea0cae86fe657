/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time. Monotonic time is Xen's system time (pvclock with its version protocol), in nanoseconds since boot of the
 * guest, and never goes back. Real time is Xen's wall clock plus an offset that clock_settime may change.
 */
#pragma once

#include <stdint.h>

#include "kernel/base/frame_number.h"

uint64_t clock_monotonic_ns(void);
/* Nanoseconds since 1970-01-01 UTC. */
uint64_t clock_real_ns(void);
void clock_set_real(uint64_t real_ns);

/*
 * Nanoseconds since the host let CPU 0 run for the first time (xl unpause), which is before our first instruction; times in which
 * the guest was paused again do not count. 0 where Xen does not tell. Source: Xen, public/vcpu.h, VCPUOP_get_runstate_info.
 */
uint64_t clock_since_unpause_ns(void);

/* One-shot timer of this CPU; deadline in clock_monotonic_ns() time, UINT64_MAX stops it. Its event calls the handler below. */
void clock_set_event(uint64_t deadline_ns);
/* Registered once by kernel/sched; event context. */
void clock_set_event_handler(void (*handler)(void));

/* The page of xen/machine/vdso_page.h, which kernel/process maps read-only into programs for their vDSO. */
pfn_t clock_vdso_page(void);

/* A clock_monotonic_ns() time as Xen counts it, for deadlines in hypercalls. */
uint64_t clock_to_system_ns(uint64_t monotonic_ns);

/*
 * Moments before there is a clock: a stamp can be taken from the first instruction on, and be read as clock_monotonic_ns() time once there is one, on the
 * same CPU.
 */
static inline uint64_t clock_stamp(void)
{
    return __builtin_ia32_rdtsc();
}
uint64_t clock_stamp_ns(uint64_t stamp);

/* Boot: the start of time was at that stamp; finds the wall clock. Then for each CPU, before it runs: its timer event; event channels work by then. */
void clock_init(uint64_t start_stamp);
struct cpu_machine;
int clock_start_cpu(struct cpu_machine *machine);
/* Before a second CPU runs. */
void clock_expect_cpus(void);
