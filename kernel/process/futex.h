/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futexes: private ones are keyed by (address space, address), shared ones by (page cache, offset).
 */
#pragma once

#include "kernel/base/compiler.h"

#define FUTEX_BITSET_ANY 0xffffffffu

struct futex_key_flags {
    bool shared;
};

/* 0 woken, -EAGAIN value differs, -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL. deadline in clock_monotonic_ns() time. */
long futex_wait(uint64_t address, bool shared, uint32_t expected, uint32_t bitset, uint64_t deadline_ns);
/* Number woken. */
long futex_wake(uint64_t address, bool shared, uint32_t count, uint32_t bitset);
/* FUTEX_REQUEUE / CMP_REQUEUE (compare != NULL): woken + requeued. */
long futex_requeue(uint64_t address, bool shared, uint32_t wake_count, uint64_t address2, uint32_t requeue_count, const uint32_t *compare);
/* FUTEX_WAKE_OP. */
long futex_wake_operation(uint64_t address, bool shared, uint32_t wake_count, uint64_t address2, uint32_t wake_count2, uint32_t operation);
/* Priority-inheritance mutexes (FUTEX_LOCK_PI, TRYLOCK_PI, UNLOCK_PI): owner in the word; waiters are handed it in order. */
long futex_lock_pi(uint64_t address, bool shared, uint64_t deadline_ns, bool try_only);
long futex_unlock_pi(uint64_t address, bool shared);
/* The dying task's robust list. */
struct task;
void futex_exit_robust(struct task *task);
