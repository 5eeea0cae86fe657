/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's times and nanoseconds, both ways. Pure.
 */
#pragma once

#include "kernel/linux/abi/time.h"

/* The kernel's times end here (292 years); later ones mean it. */
#define TIME_LIMIT_NS 0x7fffffffffffffffull

/* 0 or -EINVAL: negative seconds, nanoseconds not below 10^9. Saturates at TIME_LIMIT_NS. */
int timespec_to_ns(const struct linux_timespec *time, uint64_t *ns);
/* 0 or -EINVAL: microseconds not in 0..999999, negative seconds. */
int timeval_to_ns(const struct linux_timeval *time, uint64_t *ns);
struct linux_timespec timespec_from_ns(uint64_t ns);
struct linux_timeval timeval_from_ns(uint64_t ns);

/* now + relative, saturating: a deadline that is never reached is UINT64_MAX. */
uint64_t deadline_after(uint64_t now_ns, uint64_t relative_ns);
