/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time. Monotonic time is Xen's system time (pvclock with its version protocol), in nanoseconds since boot of the
 * guest, and never goes back. Real time is Xen's wall clock plus an offset that clock_settime may change.
 */
#pragma once

#include <stdint.h>

uint64_t clock_monotonic_ns(void);
/* Nanoseconds since 1970-01-01 UTC. */
uint64_t clock_real_ns(void);
void clock_set_real(uint64_t real_ns);

/* One-shot timer of this CPU; deadline in clock_monotonic_ns() time, UINT64_MAX stops it. Its event calls the handler below. */
void clock_set_event(uint64_t deadline_ns);
/* Registered once by kernel/sched; event context. */
void clock_set_event_handler(void (*handler)(void));
