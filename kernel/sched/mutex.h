/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping locks: mutexes and reader/writer locks, for thread context only. Not recursive. FIFO enough not to starve.
 * Debug builds check the holder and the lock order by rank, as for spinlocks (spinlocks are inner to all mutexes).
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"
#include "kernel/sched/wait_queue.h"

/*
 * An object with a mutex inside may be freed when nobody can still be unlocking it (as by its last reference), not as soon as it
 * was locked once more: mutex_unlock() looks at the waiters after it let go.
 */
struct mutex {
    _Atomic(struct thread *) holder;
    atomic_uint waiters;
    struct wait_queue queue;
    const char *name;
    uint16_t rank;
};

#define MUTEX_INITIALIZER(mutex_name, label, lock_rank)                                             \
    { .queue = WAIT_QUEUE_INITIALIZER((mutex_name).queue, (label)), .name = (label), .rank = (lock_rank) }

void mutex_init(struct mutex *mutex, const char *name, uint16_t rank);
void mutex_lock(struct mutex *mutex);
bool mutex_try_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
/* By the current thread. */
bool mutex_held(const struct mutex *mutex);

struct rw_lock {
    struct spinlock lock;
    int readers;                 /* lock; -1: a writer holds it */
    unsigned int writers_waiting;/* lock; new readers wait behind them */
    unsigned int readers_waiting;/* lock */
    unsigned int readers_admitted;/* lock; readers who may enter in spite of waiting writers, as they waited through one */
    struct thread *writer;       /* lock */
    struct wait_queue queue;
    const char *name;
    uint16_t rank;
};

void rw_lock_init(struct rw_lock *lock, const char *name, uint16_t rank);
void rw_lock_read(struct rw_lock *lock);
void rw_unlock_read(struct rw_lock *lock);
void rw_lock_write(struct rw_lock *lock);
void rw_unlock_write(struct rw_lock *lock);
/* Turns a write lock into a read lock without letting another writer in. */
void rw_lock_downgrade(struct rw_lock *lock);
bool rw_lock_held_write(const struct rw_lock *lock);
