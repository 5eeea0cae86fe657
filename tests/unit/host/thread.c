/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/sched/thread.h on the host: a thread is a detached pthread with a wake flag, a mutex and a condition. Mutexes, reader/writer
 * locks and wait queues are the kernel's own files above it.
 */
#include "kernel/sched/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/base/error.h"
#include "tests/unit/host/host.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"

#define SLICE_NS 2000000 /* a sleep looks this often for a clock that was moved */

struct host_thread {
    struct thread thread;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool prepared;
    bool woken;
    void (*entry)(void *argument);
    void *argument;
};

static struct host_thread *host_thread(struct thread *thread)
{
    return container_of(thread, struct host_thread, thread);
}

static struct host_thread *host_thread_create(const char *name)
{
    struct host_thread *created = calloc(1, sizeof(*created));
    if (created == NULL)
        abort();
    reference_init(&created->thread.reference);
    snprintf(created->thread.name, sizeof(created->thread.name), "%s", name);
    created->thread.cpu_mask = 1;
    pthread_mutex_init(&created->mutex, NULL);
    pthread_cond_init(&created->condition, NULL);
    return created;
}

int thread_create(struct thread **thread, const char *name, void (*entry)(void *), void *argument)
{
    if (host_allocation_fails())
        return -ENOMEM;
    struct host_thread *created = host_thread_create(name);
    created->entry = entry;
    created->argument = argument;
    *thread = &created->thread;
    return 0;
}

static void *host_thread_main(void *argument)
{
    struct host_thread *self = argument;
    host_cpu_enter(&self->thread);
    self->entry(self->argument);
    thread_exit();
}

void thread_start(struct thread *thread)
{
    pthread_t handle;
    thread_take(thread); /* its own, until it exits */
    thread->state = THREAD_RUNNING;
    if (pthread_create(&handle, NULL, host_thread_main, host_thread(thread)) != 0)
        abort();
    pthread_detach(handle);
}

void thread_take(struct thread *thread)
{
    reference_take(&thread->reference);
}

void thread_release(struct thread *thread)
{
    if (!reference_release(&thread->reference))
        return;
    struct host_thread *dead = host_thread(thread);
    pthread_mutex_destroy(&dead->mutex);
    pthread_cond_destroy(&dead->condition);
    free(dead);
}

void thread_exit(void)
{
    struct thread *self = thread_current();
    self->state = THREAD_DEAD;
    thread_release(self);
    pthread_exit(NULL);
}

void thread_yield(void)
{
    sched_yield();
}

void thread_yield_if_due(void)
{
}

void thread_keep_time(void)
{
}

void thread_sleep_prepare(void)
{
    struct host_thread *self = host_thread(thread_current());
    pthread_mutex_lock(&self->mutex);
    self->prepared = true;
    self->woken = false;
    pthread_mutex_unlock(&self->mutex);
}

void thread_sleep_cancel(void)
{
    struct host_thread *self = host_thread(thread_current());
    pthread_mutex_lock(&self->mutex);
    self->prepared = false;
    self->woken = false;
    pthread_mutex_unlock(&self->mutex);
}

static void condition_wait_slice(struct host_thread *self)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += SLICE_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&self->condition, &self->mutex, &until);
}

int thread_sleep(uint64_t deadline_ns, bool interruptible)
{
    struct host_thread *self = host_thread(thread_current());
    int result = 0;

    if (cpu_events_masked())
        panic("thread %s sleeps with events masked", self->thread.name);
    pthread_mutex_lock(&self->mutex);
    while (!self->woken) {
        if (interruptible && atomic_load(&self->thread.context.interrupted))
            result = -EINTR;
        else if (clock_monotonic_ns() >= deadline_ns)
            result = -ETIMEDOUT;
        if (result != 0)
            break;
        condition_wait_slice(self);
        pthread_mutex_unlock(&self->mutex);
        host_timers_expire();
        pthread_mutex_lock(&self->mutex);
    }
    self->prepared = false;
    self->woken = false;
    pthread_mutex_unlock(&self->mutex);
    return result;
}

bool thread_wake(struct thread *thread)
{
    struct host_thread *sleeper = host_thread(thread);
    pthread_mutex_lock(&sleeper->mutex);
    bool wakes = sleeper->prepared && !sleeper->woken;
    sleeper->woken = true;
    pthread_cond_signal(&sleeper->condition);
    pthread_mutex_unlock(&sleeper->mutex);
    return wakes;
}

void thread_interrupt(struct thread *thread)
{
    atomic_store(&thread->context.interrupted, true);
    pthread_cond_signal(&host_thread(thread)->condition);
}

void thread_interrupt_clear(void)
{
    atomic_store(&thread_current()->context.interrupted, false);
}

uint64_t thread_run_time_ns(struct thread *thread)
{
    return 0;
}

/* The test program's first thread becomes a kernel thread too. */
__attribute__((constructor)) static void host_thread_start(void)
{
    static struct host_thread *first;
    first = host_thread_create("test");
    first->thread.state = THREAD_RUNNING;
    host_cpu_enter(&first->thread);
}
