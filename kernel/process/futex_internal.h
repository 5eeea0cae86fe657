/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What futex.c and futex_pi.c share.
 */
#pragma once

#include "kernel/process/futex.h"
#include "kernel/process/process_internal.h"

#define FUTEX_WAITERS 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK 0x3fffffffu

struct futex_key {
    const void *object;              /* the space, or the cache of a shared mapping */
    uint64_t offset;                 /* address, or byte in the cache */
    struct area_backing *backing;    /* referenced, where object is its cache */
};

/* Locks: l lock. */
struct futex_bucket {
    struct spinlock lock;
    struct list waiters;             /* l in order of arrival */
};

/* On the waiting thread's stack. Locks: l its bucket's. */
struct futex_waiter {
    struct list link;                /* l */
    struct futex_key key;            /* l object and offset change with a requeue; backing is the waiter's own */
    struct futex_bucket *bucket;     /* l */
    struct thread *thread;           /* fixed */
    uint32_t bitset;                 /* fixed */
    bool woken;                      /* l set once */
    bool priority_inheriting;        /* fixed */
    int tid;                         /* fixed, of priority-inheriting ones */
    bool granted;                    /* l an unlocker has taken it off the queue and will tell it */
    int grant_error;                 /* l what unlock_pi gave it: 0 ownership, or LOOK_AGAIN */
};

int futex_key_get(uint64_t address, bool shared, struct futex_key *key);
void futex_key_put(struct futex_key *key);
bool futex_key_equal(const struct futex_key *a, const struct futex_key *b);
struct futex_bucket *futex_bucket_of(const struct futex_key *key);
void futex_queue(struct futex_waiter *waiter);
/* Locks the waiter's bucket. */
struct futex_bucket *futex_lock_waiter(struct futex_waiter *waiter);
/* True when it was woken; else it is taken off the queue. */
bool futex_unqueue(struct futex_waiter *waiter);
/* Until woken: 0, -ETIMEDOUT, -EINTR. */
int futex_sleep(struct futex_waiter *waiter, uint64_t deadline_ns);
/* Its bucket locked. */
void futex_wake_waiter(struct futex_waiter *waiter);
