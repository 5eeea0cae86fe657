/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timerfd: a timer that is read. A periodic timer is not started again by its expiry but by whoever reads it, who
 * counts the periods that went by: so a fast timer that nobody reads costs nothing.
 *
 * The wait queue's lock guards the state. timer_start() and timer_cancel() are called under `setting` only (a mutex),
 * as cancelling waits for the call-back, which takes the queue's lock. Lock order: timers_lock > setting > queue.lock.
 */
#include "kernel/vfs/timer_file.h"

#include <stdatomic.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/timer.h"
#include "kernel/vfs/file.h"
#include "xen/machine/clock.h"

#define CLOCK_REAL 0
#define CLOCK_REAL_ALARM 8

/* Locks: q queue.lock; s setting; t timers_lock; f fixed. */
struct timer_file {
    struct wait_queue queue;
    struct mutex setting;
    struct timer timer;        /* s */
    bool real;                 /* f counts on the real-time clock */
    bool armed;                /* q */
    bool expired;              /* q since the last read */
    bool cancel_on_set;        /* q */
    bool cancelled;            /* q the clock was set */
    bool absolute_real;        /* q the deadline was given as a time of the real-time clock */
    uint64_t ticks;            /* q counted, not read */
    uint64_t deadline_ns;      /* q on clock_monotonic_ns() */
    uint64_t real_deadline_ns; /* q with absolute_real */
    uint64_t interval_ns;      /* q */
    struct list link;          /* t timers on the real-time clock */
};

static struct mutex timers_lock = MUTEX_INITIALIZER(timers_lock, "timer files", 0);
static struct list real_timers = LIST_INITIALIZER(real_timers); /* timers_lock */
static const struct file_operations timer_file_operations;

/* Event context. */
static void timer_file_expire(struct timer *timer)
{
    struct timer_file *file = container_of(timer, struct timer_file, timer);

    spinlock_lock(&file->queue.lock);
    if (file->armed && file->deadline_ns <= clock_monotonic_ns()) {
        file->armed = file->interval_ns != 0;
        file->expired = true;
        file->ticks++;
        wait_queue_wake_locked(&file->queue, POLL_IN | POLL_READ_NORMAL, ~0u);
    }
    spinlock_unlock(&file->queue.lock);
}

/* Moves a periodic timer past now, counting the periods; true where it must be started again. queue.lock held. */
static bool timer_file_advance(struct timer_file *file)
{
    uint64_t now = clock_monotonic_ns();

    if (!file->armed || file->interval_ns == 0 || file->deadline_ns > now)
        return false;

    uint64_t periods = (now - file->deadline_ns) / file->interval_ns + 1;
    /* The expiry counted one, unless it has not come yet. */
    file->ticks += file->expired ? periods - 1 : periods;
    file->expired = false;
    if (__builtin_add_overflow(file->deadline_ns, periods * file->interval_ns, &file->deadline_ns))
        file->deadline_ns = UINT64_MAX;
    return true;
}

/* 0 and the count, -EAGAIN, -ECANCELED. setting held. */
static int timer_file_take(struct timer_file *file, uint64_t *ticks)
{
    bool start = false;
    int error = -EAGAIN;

    spinlock_lock(&file->queue.lock);
    if (file->cancelled) {
        file->cancelled = false;
        error = -ECANCELED;
    } else if (file->ticks > 0) {
        start = timer_file_advance(file);
        *ticks = file->ticks;
        file->ticks = 0;
        file->expired = false;
        error = 0;
    }
    uint64_t deadline_ns = file->deadline_ns;
    spinlock_unlock(&file->queue.lock);
    if (start)
        timer_start(&file->timer, deadline_ns);
    return error;
}

static int timer_file_try_take(struct timer_file *file, uint64_t *ticks)
{
    mutex_lock(&file->setting);
    int error = timer_file_take(file, ticks);
    mutex_unlock(&file->setting);
    return error;
}

static bool timer_file_ready(const struct timer_file *file)
{
    return read_once(file->ticks) != 0 || read_once(file->cancelled);
}

static long timer_file_read(struct file *open, struct io_vector *vector, uint64_t *position)
{
    struct timer_file *file = open->data;
    uint64_t ticks = 0;

    if (vector->remaining_bytes < sizeof(ticks))
        return -EINVAL;

    int error = timer_file_try_take(file, &ticks);
    while (error == -EAGAIN && !(atomic_load(&open->flags) & FILE_NONBLOCK)) {
        if (WAIT_UNTIL(&file->queue, timer_file_ready(file), WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return -ERESTARTSYS;
        error = timer_file_try_take(file, &ticks);
    }
    if (error)
        return error;
    return io_vector_put(vector, &ticks, sizeof(ticks)) == sizeof(ticks) ? (long)sizeof(ticks) : -EFAULT;
}

static uint32_t timer_file_poll(struct file *open, struct poll_table *table)
{
    struct timer_file *file = open->data;

    poll_wait(table, &file->queue);
    return timer_file_ready(file) ? POLL_IN | POLL_READ_NORMAL : 0;
}

static void timer_file_release(struct file *open)
{
    struct timer_file *file = open->data;

    mutex_lock(&timers_lock);
    list_remove(&file->link);
    mutex_unlock(&timers_lock);
    spinlock_lock(&file->queue.lock);
    file->armed = false;
    spinlock_unlock(&file->queue.lock);
    timer_cancel(&file->timer);
    memory_free(file);
}

static size_t timer_file_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "anon_inode:[timerfd]");
}

/* Time left and period; 0 left: not running. queue.lock held. */
static void timer_file_state(struct timer_file *file, uint64_t *value_ns, uint64_t *interval_ns)
{
    uint64_t now = clock_monotonic_ns();

    *interval_ns = file->interval_ns;
    *value_ns = 0;
    if (!file->armed)
        return;
    if (file->deadline_ns > now)
        *value_ns = file->deadline_ns - now;
    else if (file->interval_ns != 0) /* overdue and not read yet: the next period */
        *value_ns = file->interval_ns - (now - file->deadline_ns) % file->interval_ns;
    else
        *value_ns = 1;
}

/* When a time of the real-time clock comes, on the monotonic one. */
static uint64_t monotonic_from_real(uint64_t real_ns)
{
    uint64_t now_real = clock_real_ns(), now = clock_monotonic_ns(), deadline;

    if (real_ns <= now_real)
        return now;
    return __builtin_add_overflow(now, real_ns - now_real, &deadline) ? UINT64_MAX : deadline;
}

int timer_file_set(struct file *open, bool absolute, bool cancel_on_set, uint64_t value_ns, uint64_t interval_ns,
                   uint64_t *old_value_ns, uint64_t *old_interval_ns)
{
    struct timer_file *file = open->data;
    uint64_t deadline_ns = value_ns;

    if (open->operations != &timer_file_operations)
        return -EINVAL;
    if (absolute && file->real)
        deadline_ns = monotonic_from_real(value_ns);
    else if (!absolute && __builtin_add_overflow(clock_monotonic_ns(), value_ns, &deadline_ns))
        deadline_ns = UINT64_MAX;

    mutex_lock(&file->setting);
    timer_cancel(&file->timer);
    spinlock_lock(&file->queue.lock);
    timer_file_state(file, old_value_ns, old_interval_ns);
    file->armed = value_ns != 0;
    file->expired = false;
    file->ticks = 0;
    file->cancelled = false;
    file->cancel_on_set = cancel_on_set && absolute && file->real;
    file->absolute_real = absolute && file->real;
    file->real_deadline_ns = value_ns;
    file->deadline_ns = deadline_ns;
    file->interval_ns = value_ns != 0 ? interval_ns : 0;
    spinlock_unlock(&file->queue.lock);
    if (value_ns != 0)
        timer_start(&file->timer, deadline_ns);
    mutex_unlock(&file->setting);
    return 0;
}

int timer_file_get(struct file *open, uint64_t *value_ns, uint64_t *interval_ns)
{
    struct timer_file *file = open->data;

    if (open->operations != &timer_file_operations)
        return -EINVAL;
    spinlock_lock(&file->queue.lock);
    timer_file_state(file, value_ns, interval_ns);
    spinlock_unlock(&file->queue.lock);
    return 0;
}

static void timer_file_reset(struct timer_file *file)
{
    mutex_lock(&file->setting);
    spinlock_lock(&file->queue.lock);
    bool start = file->armed && file->absolute_real && !file->expired;
    if (start)
        file->deadline_ns = monotonic_from_real(file->real_deadline_ns);
    if (file->cancel_on_set) {
        file->cancelled = true;
        wait_queue_wake_locked(&file->queue, POLL_IN | POLL_READ_NORMAL, ~0u);
    }
    uint64_t deadline_ns = file->deadline_ns;
    spinlock_unlock(&file->queue.lock);
    if (start)
        timer_start(&file->timer, deadline_ns);
    mutex_unlock(&file->setting);
}

void timer_file_clock_changed(void)
{
    struct timer_file *file;

    mutex_lock(&timers_lock);
    list_for_each(file, &real_timers, link)
        timer_file_reset(file);
    mutex_unlock(&timers_lock);
}

static const struct file_operations timer_file_operations = {
    .read = timer_file_read,
    .poll = timer_file_poll,
    .release = timer_file_release,
    .describe = timer_file_describe,
};

int timer_file_create(int clock, unsigned int flags, struct credentials *credentials, struct file **open)
{
    struct timer_file *file = memory_allocate_zeroed(sizeof(*file));

    if (!file)
        return -ENOMEM;
    wait_queue_init(&file->queue);
    mutex_init(&file->setting, "timer file", 0);
    timer_init(&file->timer, timer_file_expire);
    list_init(&file->link);
    file->real = clock == CLOCK_REAL || clock == CLOCK_REAL_ALARM;

    int error = file_create_anonymous(&timer_file_operations, file, flags | FILE_READ_WRITE, credentials, open);
    if (error) {
        memory_free(file);
    } else if (file->real) {
        mutex_lock(&timers_lock);
        list_add_last(&real_timers, &file->link);
        mutex_unlock(&timers_lock);
    }
    return error;
}
