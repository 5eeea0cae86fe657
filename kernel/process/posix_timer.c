/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX timers.
 *
 *   stopped --set--> armed --time--> fired (its signal pending) --signal taken--> armed again, or stopped
 *
 * As in Linux a periodic timer starts anew when its signal is taken; what passed meanwhile is its overrun, so that a short
 * interval cannot flood the machine. Timers on CPU clocks are looked after by the wall clock: they cannot fire earlier than the
 * time that is left, divided by the CPUs there are.
 *
 * Locks: system calls hold timers_lock (a mutex); the call-back comes in event context and takes process->lock, which guards
 * the members.
 */
#include "kernel/process/posix_timer.h"

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"

#define TIMERS_LIMIT 4096
#define CPU_CHECK_NS 1000000ull
#define OVERRUN_LIMIT 0x7fffffff

enum { CLOCK_REAL = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS = 2, CLOCK_THREAD = 3, CLOCK_BOOT = 7, CLOCK_REAL_ALARM = 8,
       CLOCK_BOOT_ALARM = 9, CLOCK_TAI = 11 };

/* Locks: p process->lock; f fixed. */
struct posix_timer {
    struct list link;           /* p */
    struct process *process;    /* f not referenced: its timers end first */
    struct task *target;        /* f referenced; NULL: the process */
    struct task *clock_task;    /* f referenced, of CLOCK_THREAD */
    int id, clock, notify, signal; /* f */
    uint64_t value;             /* f */
    struct timer timer;
    uint64_t deadline_ns;       /* p in its clock's time (real time: monotonic); 0: stopped */
    uint64_t interval_ns;       /* p */
    bool pending;               /* p its signal waits to be taken */
    uint64_t overrun, last_overrun; /* p */
};

static struct mutex timers_lock;
static atomic_flag timers_claimed = ATOMIC_FLAG_INIT;
static atomic_bool timers_ready;

static void timers_lock_take(void)
{
    if (unlikely(!atomic_load(&timers_ready))) {
        if (!atomic_flag_test_and_set(&timers_claimed)) {
            mutex_init(&timers_lock, "posix timers", 0);
            atomic_store(&timers_ready, true);
        }
        while (!atomic_load(&timers_ready))
            thread_yield();
    }
    mutex_lock(&timers_lock);
}

static bool clock_counts_cpu(int clock)
{
    return clock == CLOCK_PROCESS || clock == CLOCK_THREAD;
}

static uint64_t posix_timer_now(const struct posix_timer *timer)
{
    if (timer->clock == CLOCK_PROCESS)
        return process_cpu_ns_locked(timer->process);
    if (timer->clock == CLOCK_THREAD)
        return thread_run_time_ns(timer->clock_task->thread);
    return clock_monotonic_ns();
}

/* Sets the wall-clock timer for the deadline. process->lock held. */
static void posix_timer_start(struct posix_timer *timer)
{
    if (!clock_counts_cpu(timer->clock)) {
        timer_start(&timer->timer, timer->deadline_ns);
        return;
    }
    uint64_t now = posix_timer_now(timer), left = timer->deadline_ns > now ? timer->deadline_ns - now : 0;
    timer_start(&timer->timer, clock_monotonic_ns() + maximum(left / cpu_online_count(), CPU_CHECK_NS));
}

/* Moves the deadline past now; answers how many intervals that took besides the first. */
static uint64_t posix_timer_advance(struct posix_timer *timer)
{
    uint64_t now = posix_timer_now(timer), missed = 0;

    timer->deadline_ns += timer->interval_ns;
    if (timer->deadline_ns <= now) {
        missed = (now - timer->deadline_ns) / timer->interval_ns + 1;
        timer->deadline_ns += missed * timer->interval_ns;
    }
    return missed;
}

static void posix_timer_send(struct posix_timer *timer)
{
    struct signal_information information = { .number = timer->signal, .code = SIGNAL_CODE_TIMER };
    struct process *process = timer->process;
    struct signal_queue *queue = timer->target ? &timer->target->pending : &process->pending;
    unsigned int before = queue->queued;

    information.timer.timer_id = timer->id;
    information.timer.value = timer->value;
    signal_send_locked(process, timer->target, timer->signal, &information);
    timer->pending = queue->queued > before;
    if (!timer->pending) /* ignored, or one of the same number is pending already */
        timer->overrun++;
}

/* Event context. */
static void posix_timer_expire(struct timer *expired)
{
    struct posix_timer *timer = container_of(expired, struct posix_timer, timer);
    struct process *process = timer->process;

    spinlock_lock(&process->lock);
    if (timer->deadline_ns == 0) {
        /* stopped meanwhile */
    } else if (clock_counts_cpu(timer->clock) && posix_timer_now(timer) < timer->deadline_ns) {
        posix_timer_start(timer);
    } else {
        if (timer->notify != TIMER_NOTIFY_NONE)
            posix_timer_send(timer);
        if (timer->interval_ns == 0) {
            timer->deadline_ns = 0;
        } else if (!timer->pending) { /* nobody will take it: it goes on by itself, not too fast */
            timer->overrun += posix_timer_advance(timer);
            if (timer->interval_ns < CPU_CHECK_NS)
                timer->deadline_ns += CPU_CHECK_NS;
            posix_timer_start(timer);
        }
    }
    spinlock_unlock(&process->lock);
}

void posix_timer_delivered(struct process *process, struct signal_information *information)
{
    struct posix_timer *timer;

    list_for_each(timer, &process->posix_timers, link) {
        if (timer->id != information->timer.timer_id || !timer->pending)
            continue;
        timer->pending = false;
        if (timer->interval_ns != 0 && timer->deadline_ns != 0) {
            timer->overrun += posix_timer_advance(timer);
            posix_timer_start(timer);
        }
        timer->last_overrun = minimum(timer->overrun, (uint64_t)OVERRUN_LIMIT);
        timer->overrun = 0;
        information->timer.overrun = (int32_t)timer->last_overrun;
        return;
    }
}

static struct posix_timer *posix_timer_find(struct process *process, int id)
{
    struct posix_timer *timer;

    list_for_each(timer, &process->posix_timers, link)
        if (timer->id == id)
            return timer;
    return NULL;
}

static int posix_timer_check(int clock, const struct posix_timer_event *event, struct task **target)
{
    bool known = clock == CLOCK_REAL || clock == CLOCK_MONOTONIC || clock_counts_cpu(clock) || clock == CLOCK_BOOT ||
                 clock == CLOCK_REAL_ALARM || clock == CLOCK_BOOT_ALARM || clock == CLOCK_TAI;

    *target = NULL;
    if (!known)
        return -EINVAL;
    if (!event || event->notify == TIMER_NOTIFY_NONE)
        return 0;
    if (event->signal < 1 || event->signal > SIGNAL_COUNT)
        return -EINVAL;
    if (event->notify == TIMER_NOTIFY_SIGNAL)
        return 0;
    if (event->notify != TIMER_NOTIFY_THREAD_ID)
        return -EINVAL;
    *target = task_find(event->tid);
    if (!*target)
        return -EINVAL;
    if ((*target)->process == process_current())
        return 0;
    task_release(*target);
    return -EINVAL;
}

int posix_timer_create(int clock, const struct posix_timer_event *event, int *id)
{
    struct process *process = process_current();
    struct task *target;

    int error = posix_timer_check(clock, event, &target);
    if (error != 0)
        return error;
    struct posix_timer *timer = memory_allocate_zeroed(sizeof(*timer));
    if (!timer) {
        if (target)
            task_release(target);
        return -EAGAIN;
    }
    timer->process = process;
    timer->target = target;
    timer->clock = clock;
    timer->notify = event ? event->notify : TIMER_NOTIFY_SIGNAL;
    timer->signal = event ? event->signal : SIGNAL_ALRM;
    if (clock == CLOCK_THREAD) {
        timer->clock_task = task_current();
        task_take(timer->clock_task);
    }
    timer_init(&timer->timer, posix_timer_expire);
    timers_lock_take();
    spinlock_lock(&process->lock);
    for (timer->id = 0; posix_timer_find(process, timer->id); timer->id++)
        ;
    timer->value = event ? event->value : (uint64_t)timer->id;
    list_add_last(&process->posix_timers, &timer->link);
    *id = timer->id;
    spinlock_unlock(&process->lock);
    mutex_unlock(&timers_lock);
    return 0;
}

/* Remaining time and interval. process->lock held. */
static void posix_timer_read(struct posix_timer *timer, uint64_t *value_ns, uint64_t *interval_ns)
{
    *interval_ns = timer->interval_ns;
    *value_ns = 0;
    if (timer->deadline_ns == 0)
        return;
    uint64_t now = posix_timer_now(timer), deadline = timer->deadline_ns;
    if (deadline <= now && timer->interval_ns != 0)
        deadline += ((now - deadline) / timer->interval_ns + 1) * timer->interval_ns;
    if (deadline <= now)
        *value_ns = timer->notify == TIMER_NOTIFY_NONE ? 0 : 1;
    else
        *value_ns = deadline - now;
}

int posix_timer_set(int id, bool absolute, uint64_t value_ns, uint64_t interval_ns, uint64_t *old_value_ns, uint64_t *old_interval_ns)
{
    struct process *process = process_current();
    uint64_t left_ns = 0, old_ns = 0;

    timers_lock_take();
    spinlock_lock(&process->lock);
    struct posix_timer *timer = posix_timer_find(process, id);
    if (timer) {
        posix_timer_read(timer, &left_ns, &old_ns);
        timer->deadline_ns = 0;
    }
    spinlock_unlock(&process->lock);
    if (timer) {
        timer_cancel(&timer->timer);
        spinlock_lock(&process->lock);
        timer->pending = false;
        timer->overrun = timer->last_overrun = 0;
        timer->interval_ns = value_ns != 0 ? interval_ns : 0;
        if (value_ns != 0) {
            uint64_t now = posix_timer_now(timer);
            bool real = timer->clock == CLOCK_REAL || timer->clock == CLOCK_REAL_ALARM || timer->clock == CLOCK_TAI;
            if (!absolute) {
                timer->deadline_ns = value_ns > UINT64_MAX / 2 ? UINT64_MAX / 2 : now + value_ns;
            } else if (real) {
                uint64_t real_ns = clock_real_ns();
                timer->deadline_ns = value_ns > real_ns ? now + (value_ns - real_ns) : now;
            } else {
                timer->deadline_ns = value_ns;
            }
            timer->deadline_ns = maximum(timer->deadline_ns, 1ull);
            posix_timer_start(timer);
        }
        spinlock_unlock(&process->lock);
    }
    mutex_unlock(&timers_lock);
    if (old_value_ns)
        *old_value_ns = left_ns;
    if (old_interval_ns)
        *old_interval_ns = old_ns;
    return timer ? 0 : -EINVAL;
}

int posix_timer_get(int id, uint64_t *value_ns, uint64_t *interval_ns)
{
    struct process *process = process_current();

    spinlock_lock(&process->lock);
    struct posix_timer *timer = posix_timer_find(process, id);
    if (timer)
        posix_timer_read(timer, value_ns, interval_ns);
    spinlock_unlock(&process->lock);
    return timer ? 0 : -EINVAL;
}

int posix_timer_overrun(int id)
{
    struct process *process = process_current();

    spinlock_lock(&process->lock);
    struct posix_timer *timer = posix_timer_find(process, id);
    int result = timer ? (int)timer->last_overrun : -EINVAL;
    spinlock_unlock(&process->lock);
    return result;
}

static void posix_timer_end(struct posix_timer *timer)
{
    timer_cancel(&timer->timer);
    if (timer->target)
        task_release(timer->target);
    if (timer->clock_task)
        task_release(timer->clock_task);
    memory_free(timer);
}

int posix_timer_delete(int id)
{
    struct process *process = process_current();

    timers_lock_take();
    spinlock_lock(&process->lock);
    struct posix_timer *timer = posix_timer_find(process, id);
    if (timer) {
        list_remove(&timer->link);
        timer->deadline_ns = 0;
    }
    spinlock_unlock(&process->lock);
    if (timer)
        posix_timer_end(timer);
    mutex_unlock(&timers_lock);
    return timer ? 0 : -EINVAL;
}

void posix_timers_exit(struct process *process)
{
    struct posix_timer *timer;

    if (list_empty(&process->posix_timers))
        return;
    timers_lock_take();
    while ((timer = list_first(&process->posix_timers, struct posix_timer, link))) {
        spinlock_lock(&process->lock);
        list_remove(&timer->link);
        timer->deadline_ns = 0;
        spinlock_unlock(&process->lock);
        posix_timer_end(timer);
    }
    mutex_unlock(&timers_lock);
}
