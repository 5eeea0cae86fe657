/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of threads: creation, sleep and wake, exit. Who runs when is run_queue.c's.
 *
 * Sleeping without lost wakes: thread_sleep_prepare() makes the state SLEEPING while the thread still runs; then it looks at its
 * condition; then thread_sleep() gives the CPU away only if the state is still SLEEPING. A waker changes the condition first and
 * looks at the state second, so that one of the two sees the other (both are locked instructions, which order them).
 *
 * A started thread has a reference of its own, dropped when it is dead and off its CPU (thread_bury()).
 */
#include "kernel/sched/thread.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/sched/cpu_hotplug.h"
#include "kernel/sched/load.h"
#include "kernel/sched/run_queue.h"
#include "kernel/sched/stack.h"
#include "kernel/sched/thread_life.h"
#include "kernel/sched/timer.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu_machine.h"

_Static_assert(offsetof(struct cpu, current) == 16, "thread_current() reads it there");

static struct object_cache *thread_cache; /* what mutex.c reads of a holder that has died meanwhile is a hint only */
static struct object_cache *extended_cache;
static struct spinlock all_lock = SPINLOCK_INITIALIZER("thread list", 0);
static struct list all_threads = LIST_INITIALIZER(all_threads); /* all_lock */
static unsigned int all_count;                                  /* all_lock */

static void thread_init(struct thread *thread, const char *name)
{
    memset(thread, 0, sizeof(*thread));
    reference_init(&thread->reference);
    strncpy(thread->name, name, sizeof(thread->name) - 1);
    atomic_init(&thread->state, THREAD_CREATED);
    thread->cpu_mask = ~0ull;
    list_init(&thread->all_link);
}

/* The first thing a new thread does; the switch to it is half done. */
static void thread_main(void *argument)
{
    struct thread *thread = argument;

    run_queue_switch_finish();
    thread->entry(thread->argument);
    thread_exit();
}

int thread_create(struct thread **thread_out, const char *name, void (*entry)(void *), void *argument)
{
    struct thread *thread = object_cache_allocate(thread_cache);
    if (!thread)
        return -ENOMEM;
    thread_init(thread, name);
    int error = stack_allocate(&thread->stack, &thread->stack_pages);
    if (error != 0) {
        object_cache_free(thread_cache, thread);
        return error;
    }
    thread->entry = entry;
    thread->argument = argument;
    thread->cpu = cpu_current()->number;
    context_init(&thread->context, thread->stack, THREAD_STACK_BYTES, thread_main, thread);

    spinlock_lock(&all_lock);
    list_add_last(&all_threads, &thread->all_link);
    all_count++;
    spinlock_unlock(&all_lock);
    *thread_out = thread;
    return 0;
}

/* Extended state past a page (AMX) does not fit an object cache. */
static void *thread_allocate_extended(void)
{
    return extended_cache ? object_cache_allocate(extended_cache) : memory_allocate(context_extended_bytes());
}

static void thread_free_extended(void *state)
{
    if (!state)
        return;
    if (extended_cache)
        object_cache_free(extended_cache, state);
    else
        memory_free(state);
}

int thread_make_user(struct thread *thread, struct paging_root *root, bool copy_extended_state)
{
    struct thread *self = thread_current();

    if (!thread->context.extended_state) {
        thread->context.extended_state = thread_allocate_extended();
        if (!thread->context.extended_state)
            return -ENOMEM;
    }
    if (copy_extended_state && self->context.extended_state) {
        context_extended_save(&self->context);
        memcpy(thread->context.extended_state, self->context.extended_state, context_extended_bytes());
    } else {
        context_extended_init(thread->context.extended_state);
    }
    thread->context.root = root;
    return 0;
}

static void thread_start_at(struct thread *thread, bool here)
{
    assert(atomic_load(&thread->state) == THREAD_CREATED);
    thread_take(thread);
    run_queue_add_new(thread, here);
}

void thread_start(struct thread *thread)
{
    thread_start_at(thread, false);
}

void thread_start_here(struct thread *thread)
{
    thread_start_at(thread, true);
}

void thread_take(struct thread *thread)
{
    reference_take(&thread->reference);
}

void thread_release(struct thread *thread)
{
    if (!reference_release(&thread->reference))
        return;
    spinlock_lock(&all_lock);
    list_remove(&thread->all_link);
    all_count--;
    spinlock_unlock(&all_lock);
    if (thread->stack)
        stack_free(thread->stack, thread->stack_pages); /* it was never started */
    thread_free_extended(thread->context.extended_state);
    object_cache_free(thread_cache, thread);
}

void thread_exit(void)
{
    struct thread *thread = thread_current();
    struct run_queue *queue = run_queue_lock_current();

    atomic_store(&thread->state, THREAD_DEAD);
    run_queue_switch(queue);
    panic("thread %s runs after its end", thread->name);
}

void thread_bury(struct thread *thread)
{
    void *stack = thread->stack;

    thread->stack = NULL;
    stack_free(stack, thread->stack_pages);
    thread_release(thread);
}

/* Behind everybody who waits now, whatever it was owed. */
void thread_yield(void)
{
    struct run_queue *queue = run_queue_lock_current();
    struct thread *thread = queue->current;
    struct tree_node *last = tree_last(&queue->tree);

    if (!last) {
        spinlock_unlock(&queue->lock);
        return;
    }
    run_queue_account(queue);
    uint64_t last_ns = tree_entry(last, struct thread, run_node)->virtual_time_ns;
    if (thread != queue->idle && (int64_t)(thread->virtual_time_ns - last_ns) < 0)
        thread->virtual_time_ns = last_ns;
    atomic_store(&thread->state, THREAD_RUNNING); /* a prepared sleep is off: its thread looks again */
    thread->switches_voluntary++;
    run_queue_switch(queue);
}

void thread_yield_if_due(void)
{
    if (!thread_reschedule_due() && !(thread_current()->keeps_time && run_queue_slice_over()))
        return;
    struct run_queue *queue = run_queue_lock_current();
    atomic_store(&queue->current->state, THREAD_RUNNING);
    run_queue_yield_if_due(queue);
}

void thread_keep_time(void)
{
    thread_current()->keeps_time = true;
}

void thread_sleep_prepare(void)
{
    struct thread *thread = thread_current();

    thread->wake_result = 0;
    atomic_exchange(&thread->state, THREAD_SLEEPING); /* full barrier: the condition is read after it */
}

void thread_sleep_cancel(void)
{
    atomic_store(&thread_current()->state, THREAD_RUNNING);
}

struct sleep_timer {
    struct timer timer;
    struct thread *thread;
};

/* Event context. The sleeper cannot have gone: it cancels the timer before it returns. */
static void thread_sleep_expired(struct timer *timer)
{
    run_queue_wake(container_of(timer, struct sleep_timer, timer)->thread, -ETIMEDOUT, false);
}

static int thread_sleep_untimed(bool interruptible)
{
    struct run_queue *queue = run_queue_lock_current();
    struct thread *thread = queue->current;

    if (interruptible && atomic_load(&thread->context.interrupted)) {
        atomic_store(&thread->state, THREAD_RUNNING);
        thread->wake_result = -EINTR;
        spinlock_unlock(&queue->lock);
    } else if (atomic_load(&thread->state) == THREAD_SLEEPING) {
        thread->sleep_interruptible = interruptible;
        thread->switches_voluntary++;
        run_queue_switch(queue);
    } else {
        spinlock_unlock(&queue->lock);
    }
    return thread->wake_result;
}

int thread_sleep(uint64_t deadline_ns, bool interruptible)
{
    struct sleep_timer sleep;

    assert(cpu_current()->event_context_depth == 0);
    if (deadline_ns == UINT64_MAX)
        return thread_sleep_untimed(interruptible);
    if (deadline_ns == 0) {
        struct thread *thread = thread_current();
        bool interrupted = interruptible && atomic_load(&thread->context.interrupted);
        /* A wake that came before counts. */
        bool asleep = atomic_exchange(&thread->state, THREAD_RUNNING) == THREAD_SLEEPING;
        return interrupted ? -EINTR : asleep ? -ETIMEDOUT : thread->wake_result;
    }
    /* Another one that is past comes at once: the clock is not looked at for it. */
    sleep.thread = thread_current();
    timer_init(&sleep.timer, thread_sleep_expired);
    timer_start(&sleep.timer, deadline_ns);
    int result = thread_sleep_untimed(interruptible);
    timer_cancel(&sleep.timer);
    return result;
}

void thread_pause(uint64_t duration_ns)
{
    thread_sleep_prepare();
    thread_sleep(clock_monotonic_ns() + duration_ns, false);
}

bool thread_wake(struct thread *thread)
{
    return run_queue_wake(thread, 0, false);
}

void thread_interrupt(struct thread *thread)
{
    atomic_store(&thread->context.interrupted, true);
    run_queue_wake(thread, -EINTR, true);
}

void thread_interrupt_clear(void)
{
    atomic_store(&thread_current()->context.interrupted, false);
}

int thread_set_cpu_mask(struct thread *thread, uint64_t cpu_mask)
{
    if (!(cpu_mask & run_queue_cpus()))
        return -EINVAL;

    struct run_queue *queue = run_queue_lock_of(thread);
    thread->cpu_mask = cpu_mask;
    spinlock_unlock(&queue->lock);
    run_queue_move_if_forbidden(thread);
    if (thread == thread_current())
        thread_yield_if_due();
    return 0;
}

void thread_set_nice(struct thread *thread, int nice)
{
    struct run_queue *queue = run_queue_lock_of(thread);

    if (queue->current == thread)
        run_queue_account(queue); /* the time so far at the old weight */
    thread->nice = maximum(minimum(nice, 19), -20);
    spinlock_unlock(&queue->lock);
}

uint64_t thread_run_time_ns(struct thread *thread)
{
    struct run_queue *queue = run_queue_lock_of(thread);

    if (queue->current == thread)
        run_queue_account(queue);
    uint64_t run_time_ns = thread->run_time_ns;
    spinlock_unlock(&queue->lock);
    return run_time_ns;
}

/* Others account for it meanwhile, which the offset does not show. */
uint64_t thread_own_run_time_ns(void)
{
    return clock_monotonic_ns() + read_once(thread_current()->turn_offset_ns);
}

void thread_for_each(void (*visit)(struct thread *thread, void *data), void *data)
{
    struct thread *thread;

    spinlock_lock(&all_lock);
    list_for_each(thread, &all_threads, all_link)
        visit(thread, data);
    spinlock_unlock(&all_lock);
}

int thread_create_idle(struct cpu *cpu)
{
    struct thread *idle = object_cache_allocate(thread_cache);
    char name[16];

    if (!idle)
        return -ENOMEM;
    format_string(name, sizeof(name), "idle/%u", cpu->number);
    thread_init(idle, name);
    idle->cpu = cpu->number;
    idle->cpu_mask = 1ull << cpu->number;
    atomic_store(&idle->state, THREAD_RUNNING);
    int error = run_queue_create(cpu->number, idle);
    if (error != 0) {
        object_cache_free(thread_cache, idle);
        return error;
    }
    cpu->scheduler = run_queue_of(cpu->number);
    cpu->current = idle;
    return 0;
}

int scheduler_init(void)
{
    thread_cache = object_cache_create("thread", sizeof(struct thread), 64);
    if (!thread_cache)
        return -ENOMEM;
    if (context_extended_bytes() <= PAGE_SIZE) {
        extended_cache = object_cache_create("extended-state", context_extended_bytes(), 64);
        if (!extended_cache)
            return -ENOMEM;
    }
    timers_init();
    stack_init();
    load_init();
    int error = thread_create_idle(cpu_current());
    if (error == 0)
        run_queue_open(cpu_current()->scheduler);
    return error;
}

/* Asked to leave: the last thing that runs here, until the CPU is started again. */
static void scheduler_leave(struct run_queue *queue)
{
    run_queue_empty(queue);
    cpu_hotplug_leave();
    run_queue_open(queue);
}

void scheduler_start(void)
{
    struct cpu *cpu = cpu_current();
    struct run_queue *queue = cpu->scheduler;

    cpu_set_online(cpu->number, true);
    run_queue_open(queue);
    while (cpu->event_mask_depth > 0)
        cpu_events_unmask();

    for (;;) {
        queue = run_queue_lock_current();
        if (queue->waiting > 0 && !queue->closing) {
            run_queue_switch(queue);
            continue;
        }
        bool closing = queue->closing;
        spinlock_unlock(&queue->lock);
        if (closing) {
            scheduler_leave(queue);
            continue;
        }
        if (run_queue_steal(queue))
            continue;

        /* From the look at the queue to the wait, events stay masked: a wake after the look makes the wait end at once. */
        queue = run_queue_lock_current();
        if (queue->waiting > 0 || queue->closing) {
            spinlock_unlock(&queue->lock);
            continue;
        }
        run_queue_set_idle(queue, true);
        cpu_events_mask();
        spinlock_unlock(&queue->lock);
        cpu_wait_for_event();
        run_queue_set_idle(queue, false);
        cpu_events_unmask();
    }
}

void scheduler_load(uint64_t load[3], unsigned int *runnable, unsigned int *total)
{
    load_get(load);
    *runnable = load_runnable();
    *total = all_count;
}

void scheduler_cpu_times(unsigned int cpu, uint64_t *busy_ns, uint64_t *idle_ns)
{
    struct run_queue *queue = run_queue_of(cpu);

    *busy_ns = *idle_ns = 0;
    if (!queue)
        return;
    spinlock_lock(&queue->lock);
    if (run_queue_cpus() & (1ull << cpu))
        run_queue_account(queue);
    *busy_ns = queue->busy_ns;
    *idle_ns = queue->idle->run_time_ns;
    spinlock_unlock(&queue->lock);
}
