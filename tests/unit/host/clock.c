/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xen/machine/clock.h, kernel/sched/timer.h on the host. Timers that are due expire, in "event context", when a test moves
 * the clock or a thread sleeps; deferred work runs in a thread of its own, one at a time.
 */
#include "xen/machine/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/base/list.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "tests/unit/host/host.h"
#include "xen/machine/cpu.h"

enum { IDLE, WAITING, RUNNING, RUNNING_AGAIN };

#define TIMER_LIMIT 256

static _Atomic uint64_t clock_offset_ns;
static _Atomic int64_t real_offset_ns;

static pthread_mutex_t timer_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct timer *timers[TIMER_LIMIT]; /* timer_mutex */

static pthread_mutex_t work_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_changed = PTHREAD_COND_INITIALIZER;
static struct list work_list = LIST_INITIALIZER(work_list); /* work_mutex */
static bool work_started;                                   /* work_mutex */

static uint64_t host_time_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return host_time_ns(CLOCK_MONOTONIC) + clock_offset_ns;
}

uint64_t clock_real_ns(void)
{
    return host_time_ns(CLOCK_REALTIME) + clock_offset_ns + (uint64_t)real_offset_ns;
}

void clock_set_real(uint64_t real_ns)
{
    real_offset_ns += (int64_t)(real_ns - clock_real_ns());
}

void host_clock_advance(uint64_t nanoseconds)
{
    clock_offset_ns += nanoseconds;
    host_timers_expire();
}

void timer_init(struct timer *timer, void (*expire)(struct timer *timer))
{
    *timer = (struct timer){.expire = expire};
}

void timer_start(struct timer *timer, uint64_t deadline_ns)
{
    pthread_mutex_lock(&timer_mutex);
    unsigned int free_slot = TIMER_LIMIT;
    for (unsigned int i = 0; i < TIMER_LIMIT; i++) {
        if (timers[i] == timer)
            timers[i] = NULL;
        if (timers[i] == NULL && free_slot == TIMER_LIMIT)
            free_slot = i;
    }
    if (free_slot == TIMER_LIMIT)
        abort();
    timer->deadline_ns = deadline_ns;
    timer->state = WAITING;
    timers[free_slot] = timer;
    pthread_mutex_unlock(&timer_mutex);
}

bool timer_cancel(struct timer *timer)
{
    for (;;) {
        pthread_mutex_lock(&timer_mutex);
        bool waited = false, running = timer->state == RUNNING;
        for (unsigned int i = 0; i < TIMER_LIMIT; i++)
            if (timers[i] == timer) {
                timers[i] = NULL;
                timer->state = IDLE;
                waited = true;
            }
        pthread_mutex_unlock(&timer_mutex);
        if (waited || !running)
            return waited;
        thread_yield();
    }
}

static struct timer *timer_take_due(void)
{
    struct timer *due = NULL;
    uint64_t now_ns = clock_monotonic_ns();

    pthread_mutex_lock(&timer_mutex);
    for (unsigned int i = 0; i < TIMER_LIMIT && due == NULL; i++)
        if (timers[i] != NULL && timers[i]->deadline_ns <= now_ns) {
            due = timers[i];
            timers[i] = NULL;
            due->state = RUNNING;
        }
    pthread_mutex_unlock(&timer_mutex);
    return due;
}

void host_timers_expire(void)
{
    struct timer *timer;

    while ((timer = timer_take_due()) != NULL) {
        cpu_current()->event_context_depth++;
        cpu_events_mask();
        timer->expire(timer);
        cpu_events_unmask();
        cpu_current()->event_context_depth--;
        pthread_mutex_lock(&timer_mutex);
        if (timer->state == RUNNING)
            timer->state = IDLE;
        pthread_mutex_unlock(&timer_mutex);
    }
}

void deferred_work_init(struct deferred_work *work, void (*run)(struct deferred_work *work))
{
    *work = (struct deferred_work){.run = run};
    list_init(&work->link);
}

static void deferred_work_main(void *argument)
{
    pthread_mutex_lock(&work_mutex);
    for (;;) {
        while (list_empty(&work_list))
            pthread_cond_wait(&work_changed, &work_mutex);
        struct deferred_work *work = list_first(&work_list, struct deferred_work, link);
        list_remove(&work->link);
        work->state = RUNNING;
        pthread_mutex_unlock(&work_mutex);
        work->run(work);
        pthread_mutex_lock(&work_mutex);
        if (work->state == RUNNING_AGAIN) {
            work->state = WAITING;
            list_add_last(&work_list, &work->link);
        } else {
            work->state = IDLE;
        }
        pthread_cond_broadcast(&work_changed);
    }
}

int deferred_work_start(void)
{
    struct thread *thread;

    pthread_mutex_lock(&work_mutex);
    bool start = !work_started;
    work_started = true;
    pthread_mutex_unlock(&work_mutex);
    if (!start)
        return 0;
    int error = thread_create(&thread, "deferred work", deferred_work_main, NULL);
    if (error == 0) {
        thread_start(thread);
        thread_release(thread);
    }
    return error;
}

void deferred_work_schedule(struct deferred_work *work)
{
    if (deferred_work_start() != 0)
        abort();
    pthread_mutex_lock(&work_mutex);
    if (work->state == IDLE) {
        work->state = WAITING;
        list_add_last(&work_list, &work->link);
    } else if (work->state == RUNNING) {
        work->state = RUNNING_AGAIN;
    }
    pthread_cond_broadcast(&work_changed);
    pthread_mutex_unlock(&work_mutex);
}

void deferred_work_cancel(struct deferred_work *work)
{
    pthread_mutex_lock(&work_mutex);
    if (work->state == WAITING) {
        list_remove(&work->link);
        work->state = IDLE;
    }
    while (work->state != IDLE)
        pthread_cond_wait(&work_changed, &work_mutex);
    pthread_mutex_unlock(&work_mutex);
}
