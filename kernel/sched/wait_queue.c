/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wait queues. Exclusive entries stand behind the others and in order of arrival, so that waking one wakes who waits longest and
 * stops there. An entry stays on its queue until its owner removes it: a thread that was woken in vain sleeps again in
 * its old place.
 */
#include "kernel/sched/wait_queue.h"

#include "kernel/base/panic.h"

void wait_queue_init(struct wait_queue *queue)
{
    spinlock_init(&queue->lock, "wait queue", 0); /* unranked: call-backs may wake other queues */
    list_init(&queue->entries);
}

void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry)
{
    spinlock_lock(&queue->lock);
    entry->queue = queue;
    if (entry->exclusive)
        list_add_last(&queue->entries, &entry->link);
    else
        list_add_first(&queue->entries, &entry->link);
    spinlock_unlock(&queue->lock);
}

void wait_queue_remove(struct wait_entry *entry)
{
    struct wait_queue *queue = entry->queue;

    if (!queue)
        return;
    spinlock_lock(&queue->lock);
    list_remove(&entry->link);
    spinlock_unlock(&queue->lock);
    entry->queue = NULL;
}

void wait_queue_wake_locked(struct wait_queue *queue, uint32_t key, unsigned int count)
{
    struct wait_entry *entry, *following;

    assert(spinlock_held(&queue->lock));
    list_for_each_safe(entry, following, &queue->entries, link) {
        if (entry->exclusive && count == 0)
            break;
        if (entry->wake(entry, key) && entry->exclusive)
            count--;
    }
}

void wait_queue_wake(struct wait_queue *queue, uint32_t key, unsigned int count)
{
    spinlock_lock(&queue->lock);
    wait_queue_wake_locked(queue, key, count);
    spinlock_unlock(&queue->lock);
}

bool wait_queue_empty(struct wait_queue *queue)
{
    spinlock_lock(&queue->lock);
    bool empty = list_empty(&queue->entries);
    spinlock_unlock(&queue->lock);
    return empty;
}

static bool wait_wake_thread(struct wait_entry *entry, uint32_t key)
{
    return thread_wake(entry->thread);
}

static void wait_begin_as(struct wait_queue *queue, struct wait_entry *entry, bool exclusive)
{
    entry->wake = wait_wake_thread;
    entry->exclusive = exclusive;
    entry->thread = thread_current();
    entry->data = NULL;
    wait_queue_add(queue, entry);
}

void wait_begin(struct wait_queue *queue, struct wait_entry *entry)
{
    wait_begin_as(queue, entry, false);
}

void wait_begin_exclusive(struct wait_queue *queue, struct wait_entry *entry)
{
    wait_begin_as(queue, entry, true);
}

int wait_sleep(struct wait_entry *entry, uint64_t deadline_ns, bool interruptible)
{
    assert(entry->thread == thread_current());
    return thread_sleep(deadline_ns, interruptible);
}

/* The thread is awake for good: it may still be marked as about to sleep. */
void wait_end(struct wait_entry *entry)
{
    wait_queue_remove(entry);
    thread_sleep_cancel();
}
