/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deferred work: one queue, served by a few threads. Work may be asked for in contexts that cannot create threads; so the last idle
 * worker, before it runs something, starts another (up to WORKER_LIMIT), lest work wait for a call-back that sleeps.
 *
 * A work item may free itself in its call-back: nothing of it is touched after run() was called. That it runs is known from the
 * worker's `work`, and a second worker passes over an item that still runs.
 */
#include "kernel/sched/timer.h"

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait_queue.h"
#include "xen/machine/spinlock.h"

#define WORKER_LIMIT 8u

enum { WORK_IDLE, WORK_QUEUED };

struct worker {
    struct thread *thread;      /* work_lock */
    struct deferred_work *work; /* work_lock; what it runs */
};

static struct spinlock work_lock = SPINLOCK_INITIALIZER("deferred work", 0);
static struct list work_queue = LIST_INITIALIZER(work_queue); /* work_lock */
static struct worker workers[WORKER_LIMIT];
static unsigned int worker_count; /* work_lock */
static unsigned int worker_idle;  /* work_lock */
static struct wait_queue work_wanted = WAIT_QUEUE_INITIALIZER(work_wanted, "work wanted");
static struct wait_queue work_done = WAIT_QUEUE_INITIALIZER(work_done, "work done");

void deferred_work_init(struct deferred_work *work, void (*run)(struct deferred_work *work))
{
    list_init(&work->link);
    work->run = run;
    atomic_init(&work->state, WORK_IDLE);
}

void deferred_work_schedule(struct deferred_work *work)
{
    spinlock_lock(&work_lock);
    bool added = atomic_load(&work->state) == WORK_IDLE;
    if (added) {
        atomic_store(&work->state, WORK_QUEUED);
        list_add_last(&work_queue, &work->link);
    }
    spinlock_unlock(&work_lock);
    if (added)
        wait_queue_wake_one(&work_wanted, 0); /* before deferred_work_start() it stays in the queue */
}

static bool work_is_running(const struct deferred_work *work)
{
    for (unsigned int i = 0; i < worker_count; i++)
        if (workers[i].work == work)
            return true;
    return false;
}

/* Takes the first item that does not run already; NULL if there is none. */
static struct deferred_work *work_take(struct worker *worker)
{
    struct deferred_work *work;

    spinlock_lock(&work_lock);
    list_for_each(work, &work_queue, link) {
        if (work_is_running(work))
            continue;
        list_remove(&work->link);
        atomic_store(&work->state, WORK_IDLE); /* from here it may be scheduled again */
        worker->work = work;
        worker_idle--;
        spinlock_unlock(&work_lock);
        return work;
    }
    spinlock_unlock(&work_lock);
    return NULL;
}

static bool work_need_worker(void)
{
    spinlock_lock(&work_lock);
    bool need = worker_idle == 0 && worker_count < WORKER_LIMIT;
    spinlock_unlock(&work_lock);
    return need;
}

static void worker_main(void *argument)
{
    struct worker *worker = argument;

    for (;;) {
        struct deferred_work *work;
        struct wait_entry entry;

        wait_begin_exclusive(&work_wanted, &entry);
        for (;;) {
            thread_sleep_prepare();
            work = work_take(worker);
            if (work)
                break;
            wait_sleep(&entry, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        }
        wait_end(&entry);
        if (work_need_worker())
            deferred_work_start();
        work->run(work);

        spinlock_lock(&work_lock);
        worker->work = NULL;
        worker_idle++;
        spinlock_unlock(&work_lock);
        wait_queue_wake_all(&work_done, 0);
    }
}

/* Starts a worker; the first call starts the room's service. 0 or -ENOMEM. */
int deferred_work_start(void)
{
    struct thread *thread;

    spinlock_lock(&work_lock);
    bool full = worker_count == WORKER_LIMIT;
    bool first = worker_count == 0;
    struct worker *worker = &workers[full ? 0 : worker_count];
    if (!full) {
        worker_count++;
        worker_idle++;
    }
    spinlock_unlock(&work_lock);
    if (full)
        return 0;
    int error = thread_create(&thread, "deferred", worker_main, worker);
    if (error != 0) {
        /* Its place stays empty; the other workers go on. */
        spinlock_lock(&work_lock);
        worker_idle--;
        spinlock_unlock(&work_lock);
        log_warning("sched: no memory for a worker thread");
        return first ? error : 0;
    }
    worker->thread = thread;
    thread_start(thread);
    return 0;
}

static bool work_is_over(struct deferred_work *work, struct thread *self)
{
    bool over = true;

    spinlock_lock(&work_lock);
    if (atomic_load(&work->state) == WORK_QUEUED) {
        list_remove(&work->link);
        atomic_store(&work->state, WORK_IDLE);
    }
    for (unsigned int i = 0; i < worker_count; i++)
        if (workers[i].work == work && workers[i].thread != self)
            over = false; /* our own call-back may cancel its work: it will not wait for itself */
    spinlock_unlock(&work_lock);
    return over;
}

void deferred_work_cancel(struct deferred_work *work)
{
    struct thread *self = thread_current();

    WAIT_UNTIL(&work_done, work_is_over(work, self), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
}
