/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reference counts. An object is created with one reference; whoever drops the last one destroys it.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"
#include "kernel/base/panic.h"

struct reference {
    atomic_uint count;
};

static inline void reference_init(struct reference *reference)
{
    atomic_init(&reference->count, 1);
}

static inline void reference_take(struct reference *reference)
{
    unsigned int before = atomic_fetch_add_explicit(&reference->count, 1, memory_order_relaxed);
    if (unlikely(before == 0))
        panic("reference taken on a dead object");
}

/* For look-ups in tables that hold no reference of their own: false if the object is already dying. */
static inline bool reference_take_if_alive(struct reference *reference)
{
    unsigned int count = atomic_load_explicit(&reference->count, memory_order_relaxed);
    while (count != 0)
        if (atomic_compare_exchange_weak_explicit(&reference->count, &count, count + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* True when this was the last one: the caller destroys the object. */
static inline bool attribute_must_check reference_release(struct reference *reference)
{
    unsigned int before = atomic_fetch_sub_explicit(&reference->count, 1, memory_order_acq_rel);
    if (unlikely(before == 0))
        panic("reference released too often");
    return before == 1;
}
