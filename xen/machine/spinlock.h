/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks: short, never slept under, always with events masked on the holder's CPU, so that event handlers may take
 * any of them. Whoever runs takes a free lock: with more vCPUs than processors the next one in an order may be off its processor for
 * tens of milliseconds. Who has waited long comes before those who have just come. Debug builds record the holder and check the lock order by rank: a lock is taken only
 * while all held locks have a lower rank (0 = unranked, not checked); ARCHITECTURE.md lists the ranks.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"

struct spinlock {
    union {
        _Atomic uint32_t word;     /* both of: */
        struct {
            _Atomic uint16_t taken;
            _Atomic uint16_t impatient; /* how many have waited long */
        };
    };
    uint16_t rank;
    uint16_t holder; /* CPU number + 1, debug builds */
    const char *name;
};

/* Takes a lock that was seen as `word`, free; false: it is not like that any more. */
static inline bool spinlock_take(struct spinlock *lock, uint32_t word)
{
    return atomic_compare_exchange_strong_explicit(&lock->word, &word, word | 1, memory_order_acquire, memory_order_relaxed);
}

#define SPINLOCK_INITIALIZER(lock_name, lock_rank) { .rank = (lock_rank), .name = (lock_name) }

void spinlock_init(struct spinlock *lock, const char *name, uint16_t rank);
void spinlock_lock(struct spinlock *lock);
bool spinlock_try_lock(struct spinlock *lock);
void spinlock_unlock(struct spinlock *lock);
/* cpu_mode.h's: takes it where it was not free; debug builds' book of the locks that are held. */
void spinlock_wait(struct spinlock *lock);
void spinlock_order_take(struct spinlock *lock);
void spinlock_order_release(struct spinlock *lock);
/* For assertions. In builds without lock checks it answers whether anybody holds it. */
bool spinlock_held(const struct spinlock *lock);
