/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wait queues: where threads sleep for a condition, and where pollers hang their call-backs.
 *
 * Sleeping:  int error = WAIT_UNTIL(&queue, condition, deadline_ns, WAIT_INTERRUPTIBLE);
 * The condition is evaluated by the sleeper, after it is on the queue, so that no wake is lost; it may take locks.
 * Waking:    change what the condition reads, then wait_queue_wake_all(&queue, key).
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/sched/thread.h"
#include "xen/machine/spinlock.h"

#define WAIT_FOREVER UINT64_MAX
#define WAIT_INTERRUPTIBLE true
#define WAIT_UNINTERRUPTIBLE false

struct wait_queue {
    struct spinlock lock;
    struct list entries;   /* lock */
};

#define WAIT_QUEUE_INITIALIZER(queue_name, label)                                                   \
    { .lock = SPINLOCK_INITIALIZER((label), 0), .entries = LIST_INITIALIZER((queue_name).entries) }

/* One waiter. `wake` runs with the queue's lock held, any context: it must not sleep nor touch this queue; it answers whether the wake counts against the number to wake. */
struct wait_entry {
    struct list link;                 /* queue's lock */
    struct wait_queue *queue;
    bool (*wake)(struct wait_entry *entry, uint32_t key);
    bool exclusive;                   /* counted by wait_queue_wake(); others are always woken */
    struct thread *thread;
    void *data;
};

void wait_queue_init(struct wait_queue *queue);
void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry);
/* When it returns, entry->wake is not running and will not run. Harmless on an entry that was never added (zeroed). */
void wait_queue_remove(struct wait_entry *entry);
/* Wakes all non-exclusive entries and up to `count` exclusive ones. `key` goes to the call-backs (poll events, or 0). */
void wait_queue_wake(struct wait_queue *queue, uint32_t key, unsigned int count);

/* The same for a caller that holds queue->lock. */
void wait_queue_wake_locked(struct wait_queue *queue, uint32_t key, unsigned int count);

static inline void wait_queue_wake_all(struct wait_queue *queue, uint32_t key)
{
    wait_queue_wake(queue, key, ~0u);
}

static inline void wait_queue_wake_one(struct wait_queue *queue, uint32_t key)
{
    wait_queue_wake(queue, key, 1);
}

bool wait_queue_empty(struct wait_queue *queue);

/* The pieces of WAIT_UNTIL. */
void wait_begin(struct wait_queue *queue, struct wait_entry *entry);
/* As an exclusive entry: wait_queue_wake_one() wakes one of these, the one that waits longest. */
void wait_begin_exclusive(struct wait_queue *queue, struct wait_entry *entry);
int wait_sleep(struct wait_entry *entry, uint64_t deadline_ns, bool interruptible);
void wait_end(struct wait_entry *entry);

/* 0 once the condition holds; -ETIMEDOUT or -EINTR when it still did not. */
#define WAIT_UNTIL(queue, condition, deadline_ns, interruptible)                                    \
    ({                                                                                              \
        int wait_result = 0;                                                                        \
        if (!(condition)) {                                                                         \
            struct wait_entry wait_entry_;                                                          \
            wait_begin((queue), &wait_entry_);                                                      \
            for (;;) {                                                                              \
                thread_sleep_prepare();                                                             \
                if (condition) {                                                                    \
                    wait_result = 0;                                                                \
                    break;                                                                          \
                }                                                                                   \
                if (wait_result != 0)                                                               \
                    break;                                                                          \
                wait_result = wait_sleep(&wait_entry_, (deadline_ns), (interruptible));             \
            }                                                                                       \
            wait_end(&wait_entry_);                                                                 \
        }                                                                                           \
        wait_result;                                                                                \
    })
