/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of sleeping locks, checked in debug builds: a ranked lock is taken only while all ranked ones that the thread
 * holds have a lower rank. For kernel/sched alone.
 */
#pragma once

#include "kernel/base/compiler.h"

#ifdef XENOLITH_DEBUG
#define LOCK_ORDER_CHECKED true
#else
#define LOCK_ORDER_CHECKED false
#endif

void lock_order_check_take(uint16_t rank, const char *name);
void lock_order_check_drop(uint16_t rank);

static inline void lock_order_take(uint16_t rank, const char *name)
{
    if (LOCK_ORDER_CHECKED && rank != 0)
        lock_order_check_take(rank, name);
}

static inline void lock_order_drop(uint16_t rank)
{
    if (LOCK_ORDER_CHECKED && rank != 0)
        lock_order_check_drop(rank);
}
