/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counting threads of a test. The last one to leave wakes the test.
 */
#include "tests/guest/workers.h"

#include "kernel/sched/wait_queue.h"
#include "xen/machine/clock.h"

static atomic_uint running;
static struct wait_queue ended = WAIT_QUEUE_INITIALIZER(ended, "test ended");

void worker_run(struct thread *thread)
{
    atomic_fetch_add(&running, 1);
    thread_start(thread);
}

void worker_run_here(struct thread *thread)
{
    atomic_fetch_add(&running, 1);
    thread_start_here(thread);
}

struct thread *worker_start(const char *name, uint64_t cpus, void (*entry)(void *), void *argument)
{
    struct thread *thread;

    if (thread_create(&thread, name, entry, argument) != 0 || thread_set_cpu_mask(thread, cpus) != 0)
        return NULL;
    worker_run(thread);
    return thread;
}

void worker_leave(void)
{
    if (atomic_fetch_sub(&running, 1) == 1)
        wait_queue_wake_all(&ended, 0);
}

bool workers_ended(uint64_t patience_ns)
{
    return WAIT_UNTIL(&ended, atomic_load(&running) == 0, clock_monotonic_ns() + patience_ns, false) == 0;
}
