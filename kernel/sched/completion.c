/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Completions. `done` is set and the waiters are woken in one hold of the queue's lock, and a waiter looks at `done` under that
 * lock: so the completer has let go of the object when a waiter sees it, and the waiter may free it.
 */
#include "kernel/sched/completion.h"

void completion_init(struct completion *completion)
{
    wait_queue_init(&completion->queue);
    completion->done = false;
}

void completion_complete(struct completion *completion)
{
    spinlock_lock(&completion->queue.lock);
    completion->done = true;
    wait_queue_wake_locked(&completion->queue, 0, ~0u);
    spinlock_unlock(&completion->queue.lock);
}

bool completion_done(struct completion *completion)
{
    spinlock_lock(&completion->queue.lock);
    bool done = completion->done;
    spinlock_unlock(&completion->queue.lock);
    return done;
}

int completion_wait(struct completion *completion, uint64_t deadline_ns, bool interruptible)
{
    return WAIT_UNTIL(&completion->queue, completion_done(completion), deadline_ns, interruptible);
}
