/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eventfd: a counter that writes add to and reads take (all of it, or one with EFD_SEMAPHORE). The wait queue's own
 * lock guards the counter, so that a change and its wake are one.
 */
#include <stdatomic.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"

#define COUNT_LIMIT (UINT64_MAX - 1)

/* Locks: q queue.lock; f fixed. */
struct event_file {
    struct wait_queue queue;
    uint64_t count;         /* q */
    bool semaphore;         /* f */
    int number;             /* f for fdinfo */
};

static atomic_int next_number;

/* One try: 0 and the value taken, or -EAGAIN. */
static int event_file_take(struct event_file *event, uint64_t *value)
{
    int error = -EAGAIN;

    spinlock_lock(&event->queue.lock);
    if (event->count > 0) {
        *value = event->semaphore ? 1 : event->count;
        event->count -= *value;
        wait_queue_wake_locked(&event->queue, POLL_OUT | POLL_WRITE_NORMAL, ~0u);
        error = 0;
    }
    spinlock_unlock(&event->queue.lock);
    return error;
}

static int event_file_add(struct event_file *event, uint64_t value)
{
    int error = -EAGAIN;

    spinlock_lock(&event->queue.lock);
    if (value <= COUNT_LIMIT - event->count) {
        event->count += value;
        wait_queue_wake_locked(&event->queue, POLL_IN | POLL_READ_NORMAL, ~0u);
        error = 0;
    }
    spinlock_unlock(&event->queue.lock);
    return error;
}

static bool is_nonblocking(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NONBLOCK) != 0;
}

static long event_file_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct event_file *event = file->data;
    uint64_t value;

    if (vector->remaining_bytes < sizeof(value))
        return -EINVAL;

    int error = event_file_take(event, &value);
    if (error && !is_nonblocking(file)) {
        int taken = error;

        if (WAIT_UNTIL(&event->queue, (taken = event_file_take(event, &value)) == 0, WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return -ERESTARTSYS;
        error = taken;
    }
    if (error)
        return error;
    return io_vector_put(vector, &value, sizeof(value)) == sizeof(value) ? (long)sizeof(value) : -EFAULT;
}

static long event_file_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct event_file *event = file->data;
    uint64_t value;

    if (vector->remaining_bytes < sizeof(value))
        return -EINVAL;
    if (io_vector_get(vector, &value, sizeof(value)) != sizeof(value))
        return -EFAULT;
    if (value == UINT64_MAX)
        return -EINVAL;

    int error = event_file_add(event, value);
    if (error && !is_nonblocking(file)) {
        int added = error;

        if (WAIT_UNTIL(&event->queue, (added = event_file_add(event, value)) == 0, WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return -ERESTARTSYS;
        error = added;
    }
    return error ? error : (long)sizeof(value);
}

static uint32_t event_file_poll(struct file *file, struct poll_table *table)
{
    struct event_file *event = file->data;
    uint32_t ready = 0;

    poll_wait(table, &event->queue);

    uint64_t count = read_once(event->count);
    if (count > 0)
        ready |= POLL_IN | POLL_READ_NORMAL;
    if (count < COUNT_LIMIT)
        ready |= POLL_OUT | POLL_WRITE_NORMAL;
    return ready;
}

static void event_file_release(struct file *file)
{
    memory_free(file->data);
}

static size_t event_file_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "anon_inode:[eventfd]");
}

static const struct file_operations event_file_operations = {
    .read = event_file_read,
    .write = event_file_write,
    .poll = event_file_poll,
    .release = event_file_release,
    .describe = event_file_describe,
};

int event_file_create(uint64_t value, bool semaphore, unsigned int flags, struct credentials *credentials, struct file **file)
{
    struct event_file *event = memory_allocate_zeroed(sizeof(*event));

    if (!event)
        return -ENOMEM;
    wait_queue_init(&event->queue);
    event->count = value;
    event->semaphore = semaphore;
    event->number = atomic_fetch_add(&next_number, 1);

    int error = file_create_anonymous(&event_file_operations, event, flags | FILE_READ_WRITE, credentials, file);
    if (error)
        memory_free(event);
    return error;
}
