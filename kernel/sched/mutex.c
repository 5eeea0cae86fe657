/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping locks.
 *
 * A mutex is taken by putting oneself into `holder`. Who finds it held by a thread that runs on another CPU spins a
 * little, as it will be free soon; else it sleeps as an exclusive waiter. A woken waiter competes with newcomers, who
 * often win as they are already running, which is fast; so that it cannot go on for ever, a waiter that lost
 * once sets MUTEX_HANDOFF in `waiters`, and the next unlock makes the first waiter the holder directly.
 *
 * No wake is lost: unlock clears `holder`, then reads `waiters`; a waiter raises `waiters`, then tries `holder`; all
 * four are sequentially consistent.
 */
#include "kernel/sched/mutex.h"

#include "kernel/base/panic.h"
#include "kernel/sched/lock_order.h"
#include "kernel/sched/thread.h"
#include "xen/machine/cpu.h"

#define MUTEX_HANDOFF 0x80000000u
#define MUTEX_SPINS 200

void mutex_init(struct mutex *mutex, const char *name, uint16_t rank)
{
    atomic_init(&mutex->holder, NULL);
    atomic_init(&mutex->waiters, 0);
    wait_queue_init(&mutex->queue);
    mutex->name = name;
    mutex->rank = rank;
}

static bool mutex_take(struct mutex *mutex, struct thread *self)
{
    struct thread *nobody = NULL;
    return atomic_compare_exchange_strong(&mutex->holder, &nobody, self);
}

bool mutex_try_lock(struct mutex *mutex)
{
    if (!mutex_take(mutex, thread_current()))
        return false;
    lock_order_take(mutex->rank, mutex->name);
    return true;
}

/* True if it was got. The holder may end meanwhile; its memory stays a struct thread (thread.c). */
static bool mutex_spin(struct mutex *mutex, struct thread *self)
{
    if (cpu_online_mask() == 1)
        return false;
    for (int i = 0; i < MUTEX_SPINS; i++) {
        struct thread *holder = atomic_load_explicit(&mutex->holder, memory_order_relaxed);
        if (!holder && mutex_take(mutex, self))
            return true;
        if (holder && atomic_load_explicit(&holder->state, memory_order_relaxed) != THREAD_RUNNING)
            return false;
        if (atomic_load_explicit(&mutex->waiters, memory_order_relaxed) & MUTEX_HANDOFF)
            return false;
        cpu_relax();
    }
    return false;
}

static void mutex_wait(struct mutex *mutex, struct thread *self)
{
    struct wait_entry entry;
    bool lost = false;

    atomic_fetch_add(&mutex->waiters, 1);
    wait_begin_exclusive(&mutex->queue, &entry);
    for (;;) {
        thread_sleep_prepare();
        if (atomic_load(&mutex->holder) == self || mutex_take(mutex, self))
            break;
        if (lost)
            atomic_fetch_or(&mutex->waiters, MUTEX_HANDOFF);
        lost = true;
        wait_sleep(&entry, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    }
    wait_end(&entry);
    atomic_fetch_sub(&mutex->waiters, 1);
}

void mutex_lock(struct mutex *mutex)
{
    struct thread *self = thread_current();

    assert(cpu_current()->event_context_depth == 0);
    assert(atomic_load(&mutex->holder) != self);
    if (!mutex_take(mutex, self) && !mutex_spin(mutex, self))
        mutex_wait(mutex, self);
    lock_order_take(mutex->rank, mutex->name);
}

/* Makes the longest waiter the holder; false if none is there any more. */
static bool mutex_hand_off(struct mutex *mutex)
{
    spinlock_lock(&mutex->queue.lock);
    struct wait_entry *first = list_first(&mutex->queue.entries, struct wait_entry, link);
    atomic_fetch_and(&mutex->waiters, ~MUTEX_HANDOFF);
    if (first) {
        atomic_store(&mutex->holder, first->thread);
        thread_wake(first->thread);
    }
    spinlock_unlock(&mutex->queue.lock);
    return first != NULL;
}

void mutex_unlock(struct mutex *mutex)
{
    assert(mutex_held(mutex));
    lock_order_drop(mutex->rank);
    if ((atomic_load_explicit(&mutex->waiters, memory_order_relaxed) & MUTEX_HANDOFF) && mutex_hand_off(mutex))
        return;
    atomic_store(&mutex->holder, NULL);
    if (atomic_load(&mutex->waiters) != 0)
        wait_queue_wake_one(&mutex->queue, 0);
}

bool mutex_held(const struct mutex *mutex)
{
    return atomic_load_explicit(&mutex->holder, memory_order_relaxed) == thread_current();
}

void rw_lock_init(struct rw_lock *lock, const char *name, uint16_t rank)
{
    spinlock_init(&lock->lock, name, 0);
    lock->readers = 0;
    lock->writers_waiting = 0;
    lock->readers_waiting = 0;
    lock->readers_admitted = 0;
    lock->writer = NULL;
    wait_queue_init(&lock->queue);
    lock->name = name;
    lock->rank = rank;
}

/* `waiting`: the caller is counted in readers_waiting. */
static bool rw_lock_try_read(struct rw_lock *lock, bool waiting)
{
    spinlock_lock(&lock->lock);
    bool admitted = waiting && lock->readers_admitted > 0;
    bool taken = lock->readers >= 0 && (lock->writers_waiting == 0 || admitted);
    if (taken) {
        lock->readers++;
        if (waiting)
            lock->readers_waiting--;
        if (admitted)
            lock->readers_admitted--;
    }
    spinlock_unlock(&lock->lock);
    return taken;
}

void rw_lock_read(struct rw_lock *lock)
{
    assert(cpu_current()->event_context_depth == 0);
    if (!rw_lock_try_read(lock, false)) {
        spinlock_lock(&lock->lock);
        lock->readers_waiting++;
        spinlock_unlock(&lock->lock);
        WAIT_UNTIL(&lock->queue, rw_lock_try_read(lock, true), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    }
    lock_order_take(lock->rank, lock->name);
}

void rw_unlock_read(struct rw_lock *lock)
{
    lock_order_drop(lock->rank);
    spinlock_lock(&lock->lock);
    assert(lock->readers > 0);
    bool free = --lock->readers == 0 && lock->writers_waiting > 0;
    spinlock_unlock(&lock->lock);
    if (free)
        wait_queue_wake_all(&lock->queue, 0);
}

static bool rw_lock_try_write(struct rw_lock *lock, bool waiting)
{
    spinlock_lock(&lock->lock);
    /* Readers who waited through a writer go before the next one. */
    bool taken = lock->readers == 0 && lock->readers_admitted == 0;
    if (taken) {
        lock->readers = -1;
        lock->writer = thread_current();
        if (waiting)
            lock->writers_waiting--;
    }
    spinlock_unlock(&lock->lock);
    return taken;
}

void rw_lock_write(struct rw_lock *lock)
{
    assert(cpu_current()->event_context_depth == 0);
    if (!rw_lock_try_write(lock, false)) {
        spinlock_lock(&lock->lock);
        lock->writers_waiting++;
        spinlock_unlock(&lock->lock);
        WAIT_UNTIL(&lock->queue, rw_lock_try_write(lock, true), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    }
    lock_order_take(lock->rank, lock->name);
}

static void rw_lock_leave_write(struct rw_lock *lock, int readers)
{
    spinlock_lock(&lock->lock);
    assert(lock->readers == -1 && lock->writer == thread_current());
    lock->readers = readers;
    lock->writer = NULL;
    lock->readers_admitted = lock->readers_waiting;
    spinlock_unlock(&lock->lock);
    wait_queue_wake_all(&lock->queue, 0);
}

void rw_unlock_write(struct rw_lock *lock)
{
    lock_order_drop(lock->rank);
    rw_lock_leave_write(lock, 0);
}

void rw_lock_downgrade(struct rw_lock *lock)
{
    rw_lock_leave_write(lock, 1);
}

bool rw_lock_held_write(const struct rw_lock *lock)
{
    return read_once(lock->writer) == thread_current();
}
