/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futexes whose word names the owner (FUTEX_LOCK_PI), and the robust lists of dying tasks.
 *
 * Ownership is handed over by the unlocker: it takes the first waiter off the queue, writes that one's tid into the word,
 * and wakes it as the owner. An owner by the kernel always has FUTEX_WAITERS, so that it comes back to let go, and looks at the queue: a waiter that
 * finds the bit there leaves no trace in the word. (There are no priorities to inherit among these threads: the scheduler shares time by weight,
 * and the order of arrival is the order of service.)
 */
#include "kernel/base/error.h"
#include "kernel/process/futex_internal.h"
#include "xen/x86/user_access.h"

#define ROBUST_LIST_LIMIT 2048u
#define WAIT_FOR_OWNER 1
#define LOOK_AGAIN 2

/* The first waiter of the key, taken off its queue. NULL: none. Woken by futex_pi_grant(). */
static struct futex_waiter *futex_pi_take(const struct futex_key *key)
{
    struct futex_bucket *bucket = futex_bucket_of(key);
    struct futex_waiter *waiter, *first = NULL;

    spinlock_lock(&bucket->lock);
    if (bucket->waiters.next)
        list_for_each(waiter, &bucket->waiters, link) {
            if (waiter->priority_inheriting && futex_key_equal(&waiter->key, key)) {
                first = waiter;
                break;
            }
        }
    if (first) {
        list_remove(&first->link);
        first->granted = true; /* from here on it waits for our word, whatever wakes it */
    }
    spinlock_unlock(&bucket->lock);
    return first;
}

static void futex_pi_grant(struct futex_waiter *waiter, int error)
{
    struct futex_bucket *bucket = futex_lock_waiter(waiter);

    waiter->grant_error = error;
    write_once(waiter->woken, true);
    thread_wake(waiter->thread);
    spinlock_unlock(&bucket->lock);
}

/* Tries to become the owner, or else marks the word as waited for: 0 owner, WAIT_FOR_OWNER, or -Exxx. */
static long futex_pi_try(uint64_t address, int tid, bool mark)
{
    uint32_t value, seen;

    int error = user_load_u32(address, &value);
    while (error == 0) {
        uint32_t owner = value & FUTEX_TID_MASK;
        if (owner == (uint32_t)tid)
            return -EDEADLK;
        if (owner == 0 || (mark && !(value & FUTEX_WAITERS))) {
            uint32_t desired = owner == 0 ? (uint32_t)tid | FUTEX_WAITERS | (value & FUTEX_OWNER_DIED) : value | FUTEX_WAITERS;
            error = user_compare_exchange_u32(address, value, desired, &seen);
            if (error == 0 && seen != value) {
                value = seen;
                continue;
            }
            if (error != 0 || owner == 0)
                return error;
        }
        struct task *task = task_find((int)owner);
        if (task) {
            task_release(task);
            return WAIT_FOR_OWNER;
        }
        error = user_load_u32(address, &value);
        if (error == 0 && (value & FUTEX_TID_MASK) == owner)
            return -ESRCH; /* it died without a robust list; else it let go, and ended, since we looked */
    }
    return error;
}

/* Off the queue, unless ownership is on its way: then waits for it. True when it is the owner (or *error says why not). */
static bool futex_pi_leave(struct futex_waiter *waiter, long *error)
{
    struct futex_bucket *bucket = futex_lock_waiter(waiter);
    bool granted = waiter->granted;

    if (!granted)
        list_remove(&waiter->link);
    spinlock_unlock(&bucket->lock);
    while (granted && !read_once(waiter->woken)) /* the unlocker is between taking us and telling us */
        thread_yield();
    if (granted) { /* and holds our bucket while it tells */
        bucket = futex_lock_waiter(waiter);
        *error = waiter->grant_error;
        spinlock_unlock(&bucket->lock);
    }
    return granted;
}

long futex_lock_pi(uint64_t address, bool shared, uint64_t deadline_ns, bool try_only)
{
    struct futex_waiter waiter = { .bitset = FUTEX_BITSET_ANY, .priority_inheriting = true, .tid = task_current()->tid };

    long result = futex_key_get(address, shared, &waiter.key);
    if (result != 0)
        return result;
    if (try_only) {
        result = futex_pi_try(address, waiter.tid, false);
        futex_key_put(&waiter.key);
        return result == WAIT_FOR_OWNER ? -EAGAIN : result;
    }
    do {
        long told;
        waiter.granted = waiter.woken = false;
        futex_queue(&waiter);
        result = futex_pi_try(address, waiter.tid, true);
        bool owns = result == 0;
        if (result == WAIT_FOR_OWNER)
            result = futex_sleep(&waiter, deadline_ns);
        if (futex_pi_leave(&waiter, &told) && !owns)
            result = told;
    } while (result == LOOK_AGAIN);
    futex_key_put(&waiter.key);
    return result == -EINTR ? -ERESTARTSYS : result;
}

/* Hands the word on from `tid`; died: marks it so. The word is the current owner's, or it is exiting. */
static long futex_pi_release(uint64_t address, const struct futex_key *key, int tid, bool died)
{
    uint32_t value, seen;

    struct futex_waiter *next = futex_pi_take(key);
    int error = user_load_u32(address, &value);
    while (error == 0) {
        if ((value & FUTEX_TID_MASK) != (uint32_t)tid) {
            error = -EPERM;
            break;
        }
        uint32_t desired = (next ? (uint32_t)next->tid | FUTEX_WAITERS : 0) | (died ? FUTEX_OWNER_DIED : 0);
        error = user_compare_exchange_u32(address, value, desired, &seen);
        if (error == 0 && seen == value)
            break;
        value = seen;
    }
    if (next)
        futex_pi_grant(next, error == 0 ? 0 : LOOK_AGAIN);
    else if (error == 0 && (next = futex_pi_take(key))) /* it came since, and saw the bit that is gone now */
        futex_pi_grant(next, LOOK_AGAIN);
    return error;
}

long futex_unlock_pi(uint64_t address, bool shared)
{
    struct futex_key key;
    uint32_t value;
    int tid = task_current()->tid;

    long result = futex_key_get(address, shared, &key);
    if (result != 0)
        return result;
    result = user_load_u32(address, &value);
    if (result == 0 && (value & FUTEX_TID_MASK) != (uint32_t)tid)
        result = -EPERM;
    if (result == 0)
        result = futex_pi_release(address, &key, tid, false);
    futex_key_put(&key);
    return result;
}

/* One lock of the dying task: marks it and lets one waiter know. */
static bool robust_release(struct task *task, uint64_t address, bool priority_inheriting)
{
    uint32_t value, seen;

    if (address % 4 != 0 || user_load_u32(address, &value) != 0)
        return false;
    while ((value & FUTEX_TID_MASK) == (uint32_t)task->tid) {
        struct futex_key key;
        if (priority_inheriting) {
            if (futex_key_get(address, true, &key) != 0)
                return false;
            futex_pi_release(address, &key, task->tid, true);
            futex_key_put(&key);
            return true;
        }
        if (user_compare_exchange_u32(address, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen) != 0)
            return false;
        if (seen == value) {
            if (value & FUTEX_WAITERS)
                futex_wake(address, true, 1, FUTEX_BITSET_ANY);
            return true;
        }
        value = seen;
    }
    return true;
}

void futex_exit_robust(struct task *task)
{
    uint64_t head = task->robust_list, entry, pending = 0;
    int64_t offset;

    task->robust_list = 0;
    if (head == 0 || user_load(&entry, head) != 0 || user_load(&offset, head + 8) != 0 || user_load(&pending, head + 16) != 0)
        return;
    for (unsigned int i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ull) != head; i++) {
        uint64_t address = (entry & ~1ull), next;
        bool readable = user_load(&next, address) == 0; /* before the release: its memory may be reused after */
        if (entry != pending && !robust_release(task, address + (uint64_t)offset, entry & 1))
            return;
        if (!readable)
            return;
        entry = next;
    }
    if (pending != 0)
        robust_release(task, (pending & ~1ull) + (uint64_t)offset, pending & 1);
}
