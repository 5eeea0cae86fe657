/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * setitimer: ITIMER_REAL by the clock, ITIMER_VIRTUAL and ITIMER_PROF by the process's CPU time.
 *
 * The CPU timers are looked after by the wall clock: they cannot run out before the time that is left, divided by the CPUs
 * there are, has passed. Call-backs come in event context; process->lock guards the members.
 */
#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"

enum { INTERVAL_REAL = 0, INTERVAL_VIRTUAL = 1, INTERVAL_PROFILE = 2 };

#define CPU_CHECK_NS 1000000ull
#define INTERVAL_LEAST_NS 1000ull

/* Locks: p process->lock. */
struct cpu_timer {
    struct process *process;
    struct timer timer;
    uint64_t deadline_ns[2], interval_ns[2]; /* p VIRTUAL, PROFILE; deadline 0: off */
};

static void interval_send(struct process *process, int number)
{
    struct signal_information information = { .number = number, .code = SIGNAL_CODE_KERNEL };

    signal_send_locked(process, NULL, number, &information);
}

/* Event context. */
static void interval_real_expire(struct timer *timer)
{
    struct process *process = container_of(timer, struct process, interval_timer);

    spinlock_lock(&process->lock);
    if (process->interval_deadline_ns != 0) {
        interval_send(process, SIGNAL_ALRM);
        process->interval_deadline_ns = 0;
        if (process->interval_ns != 0) {
            process->interval_deadline_ns = maximum(timer->deadline_ns + process->interval_ns,
                                                    clock_monotonic_ns() + INTERVAL_LEAST_NS);
            timer_start(timer, process->interval_deadline_ns);
        }
    }
    spinlock_unlock(&process->lock);
}

void interval_timer_init(struct process *process)
{
    timer_init(&process->interval_timer, interval_real_expire);
}

/* CPU time by kind; process->lock held. */
static void cpu_times(struct process *process, uint64_t now_ns[2])
{
    uint64_t user_total = process->times.user_ns, system_total = process->times.system_ns;
    struct task *task;

    list_for_each(task, &process->tasks, process_link) {
        uint64_t user_ns, system_ns;
        task_times_get(task, &user_ns, &system_ns);
        user_total += user_ns;
        system_total += system_ns;
    }
    now_ns[0] = user_total;
    now_ns[1] = user_total + system_total;
}

/* Fires what has run out and looks when to come again. process->lock held. */
static void cpu_timers_check(struct cpu_timer *timers)
{
    static const int numbers[2] = { SIGNAL_VTALRM, SIGNAL_PROF };
    uint64_t now_ns[2], left_ns = UINT64_MAX;

    cpu_times(timers->process, now_ns);
    for (int i = 0; i < 2; i++) {
        if (timers->deadline_ns[i] == 0)
            continue;
        if (now_ns[i] >= timers->deadline_ns[i]) {
            interval_send(timers->process, numbers[i]);
            timers->deadline_ns[i] = timers->interval_ns[i] != 0 ? now_ns[i] + timers->interval_ns[i] : 0;
        }
        if (timers->deadline_ns[i] != 0)
            left_ns = minimum(left_ns, timers->deadline_ns[i] - now_ns[i]);
    }
    if (left_ns != UINT64_MAX)
        timer_start(&timers->timer, clock_monotonic_ns() + maximum(left_ns / cpu_online_count(), CPU_CHECK_NS));
}

/* Event context. */
static void cpu_timers_expire(struct timer *timer)
{
    struct cpu_timer *timers = container_of(timer, struct cpu_timer, timer);

    spinlock_lock(&timers->process->lock);
    cpu_timers_check(timers);
    spinlock_unlock(&timers->process->lock);
}

static struct cpu_timer *cpu_timers_get(struct process *process)
{
    struct cpu_timer *fresh;

    if (read_once(process->cpu_timers))
        return process->cpu_timers;
    fresh = memory_allocate_zeroed(sizeof(*fresh));
    if (!fresh)
        return NULL;
    fresh->process = process;
    timer_init(&fresh->timer, cpu_timers_expire);
    spinlock_lock(&process->lock);
    if (!process->cpu_timers) {
        write_once(process->cpu_timers, fresh);
        fresh = NULL;
    }
    spinlock_unlock(&process->lock);
    memory_free(fresh);
    return process->cpu_timers;
}

void cpu_timers_exit(struct process *process)
{
    if (!process->cpu_timers)
        return;
    spinlock_lock(&process->lock);
    process->cpu_timers->deadline_ns[0] = process->cpu_timers->deadline_ns[1] = 0;
    spinlock_unlock(&process->lock);
    timer_cancel(&process->cpu_timers->timer);
}

void cpu_timers_destroy(struct process *process)
{
    memory_free(process->cpu_timers);
}

static void interval_read(struct process *process, int which, uint64_t *value_ns, uint64_t *interval_ns)
{
    uint64_t now_ns[2], deadline_ns, now;

    *value_ns = *interval_ns = 0;
    if (which == INTERVAL_REAL) {
        deadline_ns = process->interval_deadline_ns;
        *interval_ns = process->interval_ns;
        now = clock_monotonic_ns();
    } else {
        if (!process->cpu_timers)
            return;
        cpu_times(process, now_ns);
        deadline_ns = process->cpu_timers->deadline_ns[which - 1];
        *interval_ns = process->cpu_timers->interval_ns[which - 1];
        now = now_ns[which - 1];
    }
    if (deadline_ns != 0)
        *value_ns = deadline_ns > now ? deadline_ns - now : 1000;
}

int interval_timer_get(int which, uint64_t *value_ns, uint64_t *interval_ns)
{
    struct process *process = process_current();

    if (which < INTERVAL_REAL || which > INTERVAL_PROFILE)
        return -EINVAL;
    spinlock_lock(&process->lock);
    interval_read(process, which, value_ns, interval_ns);
    spinlock_unlock(&process->lock);
    return 0;
}

int interval_timer_set(int which, uint64_t value_ns, uint64_t interval_ns, uint64_t *old_value_ns, uint64_t *old_interval_ns)
{
    struct process *process = process_current();
    uint64_t old_value, old_interval;

    if (which < INTERVAL_REAL || which > INTERVAL_PROFILE)
        return -EINVAL;
    struct cpu_timer *timers = which == INTERVAL_REAL ? NULL : cpu_timers_get(process);
    if (which != INTERVAL_REAL && !timers)
        return -ENOMEM;
    spinlock_lock(&process->lock);
    interval_read(process, which, &old_value, &old_interval);
    if (which == INTERVAL_REAL) {
        process->interval_ns = interval_ns;
        process->interval_deadline_ns = 0;
        if (value_ns != 0) {
            process->interval_deadline_ns = clock_monotonic_ns() + minimum(value_ns, UINT64_MAX / 4);
            timer_start(&process->interval_timer, process->interval_deadline_ns);
        } else {
            process->interval_ns = 0;
        }
    } else {
        uint64_t now_ns[2];
        cpu_times(process, now_ns);
        timers->interval_ns[which - 1] = value_ns != 0 ? interval_ns : 0;
        timers->deadline_ns[which - 1] = value_ns != 0 ? now_ns[which - 1] + minimum(value_ns, UINT64_MAX / 4) : 0;
        cpu_timers_check(timers);
    }
    spinlock_unlock(&process->lock);
    if (which == INTERVAL_REAL && value_ns == 0)
        timer_cancel(&process->interval_timer);
    if (old_value_ns)
        *old_value_ns = old_value;
    if (old_interval_ns)
        *old_interval_ns = old_interval;
    return 0;
}
