/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's clock numbers, read and turned into deadlines.
 */
#pragma once

#include "kernel/base/compiler.h"

/* 0 or -EINVAL: no such clock. */
int clock_read_ns(int clock, uint64_t *ns);
/* Follows settings of the calendar time. */
bool clock_is_real(int clock);
/* An absolute time of a clock that runs (not a CPU-time one) in clock_monotonic_ns() time. */
uint64_t clock_deadline_ns(int clock, uint64_t absolute_ns);
