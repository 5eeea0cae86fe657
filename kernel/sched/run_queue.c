/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run queues and the switch between threads.
 *
 * Fairness: each thread's virtual time grows with the time it runs, divided by its weight (nice level); the waiting
 * thread with the smallest runs next, for SLICE_NS at least where others wait. A thread that slept comes back at most
 * WAKE_BONUS_NS behind the queue's own virtual time: it runs soon, but cannot save up more than that.
 *
 * A switch holds the queue's lock from the decision until the next thread runs on its own stack and calls
 * run_queue_switch_finish(). So whoever gets the lock sees threads either on their CPU or wholly off it: a waker on
 * another CPU cannot run a thread whose registers are still being saved.
 *
 * The slice timer runs only while somebody waits for a thread that does not keep its time: an idle or single-threaded CPU takes no ticks.
 * A CPU without threads takes one that waits elsewhere; one with more that wait than another gives it one now and then.
 */
#include "kernel/sched/run_queue.h"

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/load.h"
#include "kernel/sched/thread_life.h"
#include "xen/machine/clock.h"

#define SLICE_NS 4000000ull
#define BALANCE_NS 50000000ull
#define WAKE_BONUS_NS 3000000ull
#define WAKE_GRANULARITY_NS 500000ull /* who is ahead by less does not displace the running thread */
#define WEIGHT_NORMAL 1024ull

/* 1024 * 1.25 ^ -nice: one level is about a tenth of the CPU between two competitors. */
static const uint32_t weights[40] = {
    88818, 71054, 56843, 45475, 36380, 29104, 23283, 18626, 14901, 11921, 9537, 7629, 6104, 4883,
    3906,  3125,  2500,  2000,  1600,  1280,  1024,  819,   655,   524,   419,  336,  268,  215,
    172,   137,   110,   88,    70,    56,    45,    36,    29,    23,    18,   15,
};

static struct run_queue *_Atomic run_queues[CPU_LIMIT];
static _Atomic uint64_t queue_cpus; /* CPUs with a run queue */
static _Atomic uint64_t idle_cpus;  /* CPUs that wait, or are about to, and that no waker has claimed */

struct run_queue *run_queue_of(unsigned int cpu)
{
    return cpu < CPU_LIMIT ? atomic_load_explicit(&run_queues[cpu], memory_order_acquire) : NULL;
}

uint64_t run_queue_cpus(void)
{
    return atomic_load(&queue_cpus);
}

static uint64_t cpu_bit(unsigned int cpu)
{
    return 1ull << cpu;
}

struct run_queue *run_queue_lock_current(void)
{
    cpu_events_mask(); /* so that nothing moves us between the look-up and the lock */
    struct run_queue *queue = cpu_current()->scheduler;
    spinlock_lock(&queue->lock);
    cpu_events_unmask();
    return queue;
}

struct run_queue *run_queue_lock_of(struct thread *thread)
{
    for (;;) {
        struct run_queue *queue = run_queue_of(read_once(thread->cpu));
        spinlock_lock(&queue->lock);
        if (thread->cpu == queue->cpu)
            return queue;
        spinlock_unlock(&queue->lock); /* it moved meanwhile */
    }
}

static uint64_t weighted(const struct thread *thread, uint64_t run_ns)
{
    return run_ns * WEIGHT_NORMAL / weights[thread->nice + 20];
}

static struct thread *run_queue_first(const struct run_queue *queue)
{
    struct tree_node *node = tree_first(&queue->tree);
    return node ? tree_entry(node, struct thread, run_node) : NULL;
}

static void run_queue_insert(struct run_queue *queue, struct thread *thread)
{
    struct tree_node **link = &queue->tree.root, *parent = NULL;

    assert(spinlock_held(&queue->lock));
    assert(!thread->queued);
    while (*link) {
        parent = *link;
        uint64_t other = tree_entry(parent, struct thread, run_node)->virtual_time_ns;
        /* Signed, as virtual times may wrap; equal ones keep the order of arrival. */
        link = (int64_t)(thread->virtual_time_ns - other) < 0 ? &parent->left : &parent->right;
    }
    tree_insert(&queue->tree, &thread->run_node, parent, link);
    thread->queued = true;
    thread->cpu = queue->cpu;
    atomic_store(&thread->state, THREAD_RUNNABLE);
    atomic_fetch_add_explicit(&queue->waiting, 1, memory_order_relaxed);
}

static void run_queue_remove(struct run_queue *queue, struct thread *thread)
{
    tree_remove(&queue->tree, &thread->run_node);
    thread->queued = false;
    atomic_fetch_sub_explicit(&queue->waiting, 1, memory_order_relaxed);
}

void run_queue_account(struct run_queue *queue)
{
    struct thread *thread = queue->current;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t run_ns = now_ns > thread->accounted_ns ? now_ns - thread->accounted_ns : 0;

    assert(spinlock_held(&queue->lock));
    thread->accounted_ns = now_ns;
    thread->run_time_ns += run_ns;
    if (thread == queue->idle)
        return;
    queue->busy_ns += run_ns;
    thread->virtual_time_ns += weighted(thread, run_ns);

    uint64_t least_ns = thread->virtual_time_ns;
    struct thread *first = run_queue_first(queue);
    if (first && (int64_t)(first->virtual_time_ns - least_ns) < 0)
        least_ns = first->virtual_time_ns;
    if ((int64_t)(least_ns - queue->minimum_ns) > 0)
        queue->minimum_ns = least_ns;
}

/* Others wait for a running thread that does not see by itself when its turn is to end. */
static bool run_queue_needs_slice(const struct run_queue *queue)
{
    return queue->waiting > 0 && queue->current != queue->idle && !queue->current->keeps_time;
}

/* This CPU's queue, locked. */
static void run_queue_start_slice(struct run_queue *queue, uint64_t now_ns)
{
    if (queue->slice_pending || !run_queue_needs_slice(queue))
        return;
    queue->slice_pending = true;
    timer_start(&queue->slice, now_ns + SLICE_NS);
}

static void run_queue_slice_expired(struct timer *timer);

int run_queue_create(unsigned int cpu, struct thread *idle)
{
    struct run_queue *queue = memory_allocate_zeroed(sizeof(*queue));

    if (!queue)
        return -ENOMEM;
    spinlock_init(&queue->lock, "run queue", 0); /* unranked: two are taken in order of CPU number */
    queue->cpu = cpu;
    queue->idle = idle;
    queue->current = idle;
    timer_init(&queue->slice, run_queue_slice_expired);
    atomic_store_explicit(&run_queues[cpu], queue, memory_order_release);
    return 0;
}

void run_queue_open(struct run_queue *queue)
{
    spinlock_lock(&queue->lock);
    queue->closing = false;
    if (queue->current == queue->idle)
        queue->idle->started_ns = queue->idle->accounted_ns = clock_monotonic_ns();
    atomic_fetch_or(&queue_cpus, cpu_bit(queue->cpu));
    spinlock_unlock(&queue->lock);
}

void run_queue_close(struct run_queue *queue)
{
    spinlock_lock(&queue->lock);
    atomic_fetch_and(&queue_cpus, ~cpu_bit(queue->cpu));
    queue->closing = true;
    write_once(cpu_by_number(queue->cpu)->reschedule, true);
    spinlock_unlock(&queue->lock);
    cpu_kick(queue->cpu);
}

void run_queue_set_idle(struct run_queue *queue, bool idle)
{
    if (idle)
        atomic_fetch_or(&idle_cpus, cpu_bit(queue->cpu));
    else
        atomic_fetch_and(&idle_cpus, ~cpu_bit(queue->cpu));
}

/* Where it may run; anywhere, if none of its CPUs is there. */
static uint64_t run_queue_allowed(const struct thread *thread)
{
    uint64_t cpus = run_queue_cpus();
    uint64_t allowed = read_once(thread->cpu_mask) & cpus;

    return allowed ? allowed : cpus;
}

static bool run_queue_allows(const struct run_queue *queue, const struct thread *thread)
{
    return run_queue_allowed(thread) & cpu_bit(queue->cpu);
}

/* Where a woken thread should run: on the CPU of a waker that says so, if nobody waits for that; its last CPU if that idles, any idle one, else its last one. */
static unsigned int run_queue_choose(const struct thread *thread)
{
    const struct thread *waker = thread_current();
    uint64_t allowed = run_queue_allowed(thread);
    uint64_t idle = atomic_load(&idle_cpus) & allowed;

    if (waker->wakes_here && allowed & cpu_bit(waker->cpu) && atomic_load(&run_queue_of(waker->cpu)->waiting) == 0)
        return waker->cpu;
    if (idle & cpu_bit(thread->cpu))
        return thread->cpu;
    if (idle)
        return bits_lowest(idle);
    return allowed & cpu_bit(thread->cpu) ? thread->cpu : bits_lowest(allowed);
}

/*
 * The queue's virtual time as of now, before a thread is placed by it: a thread that runs alone is not accounted until somebody comes, and who
 * came by the time of then would have the CPU for as long as that.
 */
static void run_queue_refresh(struct run_queue *queue)
{
    if (queue->current != queue->idle)
        run_queue_account(queue);
}

/* A thread has come into the queue, which was refreshed: tells its CPU if it should do something about it. Locked; unlocks. */
static void run_queue_announce(struct run_queue *queue, const struct thread *thread)
{
    bool kick = false;
    bool here = queue == cpu_current()->scheduler;

    if (queue->current == queue->idle) {
        run_queue_set_idle(queue, false); /* claimed: the next waker looks elsewhere */
        load_note_activity();
        kick = true;
    } else {
        if ((int64_t)(thread->virtual_time_ns + WAKE_GRANULARITY_NS - queue->current->virtual_time_ns) < 0)
            kick = true;
        else if (here)
            run_queue_start_slice(queue, queue->current->accounted_ns);
        else
            kick = !queue->slice_pending && run_queue_needs_slice(queue); /* only the CPU itself can start its slice timer */
    }
    if (kick)
        write_once(cpu_by_number(queue->cpu)->reschedule, true);
    spinlock_unlock(&queue->lock);
    if (kick && !here)
        cpu_kick(queue->cpu);
}

/* Carries a thread that no queue holds from the virtual time of `from` to that of `to`. */
static void run_queue_rebase(struct thread *thread, uint64_t from_ns, uint64_t to_ns)
{
    thread->virtual_time_ns += to_ns - from_ns;
}

/* Finds a queue for a runnable thread that none holds, the CPU's if it may run there; `from_ns` is the virtual time it comes from. No queue is locked. */
static void run_queue_place_on(unsigned int cpu, struct thread *thread, uint64_t from_ns)
{
    for (;; cpu = run_queue_choose(thread)) {
        struct run_queue *queue = run_queue_of(cpu);
        spinlock_lock(&queue->lock);
        run_queue_refresh(queue);
        run_queue_rebase(thread, from_ns, queue->minimum_ns);
        run_queue_insert(queue, thread);
        /* Who changes the mask, or closes the queue, looks for threads after it: one of us sees the other. */
        if (likely(run_queue_allows(queue, thread))) {
            run_queue_announce(queue, thread);
            return;
        }
        run_queue_remove(queue, thread);
        from_ns = queue->minimum_ns;
        spinlock_unlock(&queue->lock);
    }
}

static void run_queue_place(struct thread *thread, uint64_t from_ns)
{
    run_queue_place_on(run_queue_choose(thread), thread, from_ns);
}

static void run_queue_place_woken(struct run_queue *queue, struct thread *thread)
{
    uint64_t floor_ns = queue->minimum_ns - WAKE_BONUS_NS;

    if ((int64_t)(thread->virtual_time_ns - floor_ns) < 0)
        thread->virtual_time_ns = floor_ns;
}

bool run_queue_wake(struct thread *thread, int result, bool interrupt)
{
    struct run_queue *queue = run_queue_lock_of(thread);

    if (atomic_load(&thread->state) != THREAD_SLEEPING) {
        spinlock_unlock(&queue->lock);
        return false;
    }
    if (queue->current == thread) {
        /* It prepares to sleep. An interrupt it will find by itself, as `interrupted` is set. */
        if (!interrupt) {
            thread->wake_result = result;
            atomic_store(&thread->state, THREAD_RUNNING);
        }
        spinlock_unlock(&queue->lock);
        return !interrupt;
    }
    if (interrupt && !thread->sleep_interruptible) {
        spinlock_unlock(&queue->lock);
        return false;
    }
    thread->wake_result = result;
    run_queue_refresh(queue);
    run_queue_place_woken(queue, thread);
    if (run_queue_choose(thread) == queue->cpu) {
        run_queue_insert(queue, thread);
        run_queue_announce(queue, thread);
        return true;
    }
    /* RUNNABLE but in no queue: nobody else touches it until it is placed. */
    atomic_store(&thread->state, THREAD_RUNNABLE);
    uint64_t from_ns = queue->minimum_ns;
    spinlock_unlock(&queue->lock);
    run_queue_place(thread, from_ns);
    return true;
}

void run_queue_add_new(struct thread *thread, bool here)
{
    cpu_events_mask();
    thread->cpu = cpu_current()->number;
    atomic_store(&thread->state, THREAD_RUNNABLE);
    thread->virtual_time_ns = 0;
    run_queue_place_on(here ? thread->cpu : run_queue_choose(thread), thread, 0);
    cpu_events_unmask();
}

void run_queue_switch(struct run_queue *queue)
{
    struct cpu *cpu = cpu_current();
    struct thread *previous = queue->current;

    assert(spinlock_held(&queue->lock));
    assert((cpu->event_mask_depth & 0xff) == 1); /* above: kicks that wait */
    assert(cpu->event_context_depth == 0);
    run_queue_account(queue);
    cpu->reschedule = false;
    /* A thread that may not stay goes to its new queue when it is off this CPU: run_queue_switch_finish(). */
    if (previous != queue->idle && atomic_load(&previous->state) == THREAD_RUNNING && run_queue_allows(queue, previous))
        run_queue_insert(queue, previous);

    struct thread *next = queue->closing ? NULL : run_queue_first(queue);
    if (next)
        run_queue_remove(queue, next);
    else
        next = queue->idle;
    uint64_t now_ns = previous->accounted_ns;
    next->started_ns = now_ns;
    next->accounted_ns = now_ns;
    next->turn_offset_ns = next->run_time_ns - now_ns;
    atomic_store(&next->state, THREAD_RUNNING);
    if (next == previous) {
        spinlock_unlock(&queue->lock);
        return;
    }
    queue->current = next;
    queue->previous = previous;
    write_once(previous->context.switched, true);
    cpu->current = next;
    run_queue_start_slice(queue, now_ns);
    context_switch(&previous->context, &next->context);
    run_queue_switch_finish();
}

void run_queue_switch_finish(void)
{
    struct run_queue *queue = cpu_current()->scheduler;
    struct thread *previous = queue->previous;
    int state = atomic_load(&previous->state);
    bool leaves = state == THREAD_RUNNING && previous != queue->idle;
    uint64_t from_ns = queue->minimum_ns;

    if (leaves)
        atomic_store(&previous->state, THREAD_RUNNABLE);
    spinlock_unlock(&queue->lock);
    if (state == THREAD_DEAD) {
        thread_bury(previous);
    } else if (leaves) {
        run_queue_place(previous, from_ns);
    }
}

bool run_queue_slice_over(void)
{
    const struct run_queue *queue = cpu_current()->scheduler; /* a thread in the kernel stays where it is until it gives way */

    return queue->waiting > 0 && clock_monotonic_ns() >= read_once(thread_current()->started_ns) + SLICE_NS;
}

void run_queue_yield_if_due(struct run_queue *queue)
{
    write_once(cpu_current()->reschedule, false);
    run_queue_account(queue);
    struct thread *thread = queue->current, *first = run_queue_first(queue);

    bool displaced = first && (int64_t)(first->virtual_time_ns - thread->virtual_time_ns) < 0;
    if (thread == queue->idle || displaced || !run_queue_allows(queue, thread)) {
        thread->switches_involuntary++;
        run_queue_switch(queue);
        return;
    }
    if (first) {
        thread->started_ns = thread->accounted_ns;
        run_queue_start_slice(queue, thread->started_ns);
    }
    spinlock_unlock(&queue->lock);
}

/* Sends a waiting thread to another queue. Locked; unlocks. */
static void run_queue_evict(struct run_queue *queue, struct thread *thread)
{
    run_queue_remove(queue, thread);
    uint64_t from_ns = queue->minimum_ns;
    spinlock_unlock(&queue->lock);
    run_queue_place(thread, from_ns);
}

void run_queue_move_if_forbidden(struct thread *thread)
{
    struct run_queue *queue = run_queue_lock_of(thread);

    if (queue->current == thread && !run_queue_allows(queue, thread)) {
        write_once(cpu_by_number(queue->cpu)->reschedule, true);
        spinlock_unlock(&queue->lock);
        cpu_kick(queue->cpu);
        return;
    }
    if (!thread->queued || run_queue_allows(queue, thread)) {
        spinlock_unlock(&queue->lock); /* asleep: it is placed when it wakes */
        return;
    }
    run_queue_evict(queue, thread);
}

static void run_queue_lock_two(struct run_queue *one, struct run_queue *other)
{
    spinlock_lock(one->cpu < other->cpu ? &one->lock : &other->lock);
    spinlock_lock(one->cpu < other->cpu ? &other->lock : &one->lock);
}

/* The first thread that waits in `from` and may run at `to` goes there; NULL: none. Both are locked. */
static struct thread *run_queue_pull(struct run_queue *from, struct run_queue *to)
{
    for (struct tree_node *node = tree_first(&from->tree); node; node = tree_next(node)) {
        struct thread *thread = tree_entry(node, struct thread, run_node);
        if (!run_queue_allows(to, thread))
            continue;
        run_queue_refresh(from);
        run_queue_refresh(to);
        run_queue_remove(from, thread);
        run_queue_rebase(thread, from->minimum_ns, to->minimum_ns);
        run_queue_insert(to, thread);
        return thread;
    }
    return NULL;
}

/*
 * Where others have fewer that wait, one of ours goes to them. With one thread more than CPUs it is another one after
 * each while that has a CPU for itself, and in the long run all get the same.
 */
static void run_queue_balance(struct run_queue *queue)
{
    struct run_queue *shortest = queue;

    for (uint64_t rest = run_queue_cpus(); rest; rest &= rest - 1) {
        struct run_queue *other = run_queue_of(bits_lowest(rest));
        if (other->waiting < shortest->waiting)
            shortest = other;
    }
    if (shortest == queue)
        return;
    run_queue_lock_two(queue, shortest);
    struct thread *thread = run_queue_pull(queue, shortest);
    spinlock_unlock(&queue->lock);
    if (thread)
        run_queue_announce(shortest, thread);
    else
        spinlock_unlock(&shortest->lock);
}

/* Event context, on the queue's CPU; elsewhere if that went down meanwhile and came back. */
static void run_queue_slice_expired(struct timer *timer)
{
    struct run_queue *queue = container_of(timer, struct run_queue, slice);
    uint64_t now_ns = clock_monotonic_ns(), helpers = 0;
    bool balance = false;

    spinlock_lock(&queue->lock);
    queue->slice_pending = false;
    if (run_queue_needs_slice(queue)) {
        uint64_t end_ns = queue->current->started_ns + SLICE_NS;
        if (now_ns >= end_ns || queue != cpu_current()->scheduler) {
            write_once(cpu_by_number(queue->cpu)->reschedule, true);
            helpers = cpu_bit(queue->cpu);
            /* An idle CPU may have looked just before the waiting thread came: let it look again. */
            uint64_t idle = atomic_load(&idle_cpus);
            helpers |= idle & -idle;
            balance = now_ns >= queue->balance_ns;
            if (balance)
                queue->balance_ns = now_ns + BALANCE_NS;
        } else {
            queue->slice_pending = true;
            timer_start(&queue->slice, end_ns);
        }
    }
    spinlock_unlock(&queue->lock);
    for (; helpers; helpers &= helpers - 1)
        cpu_kick(bits_lowest(helpers));
    if (balance)
        run_queue_balance(queue);
}

bool run_queue_steal(struct run_queue *queue)
{
    struct run_queue *busiest = NULL;

    for (uint64_t rest = run_queue_cpus() & ~cpu_bit(queue->cpu); rest; rest &= rest - 1) {
        struct run_queue *other = run_queue_of(bits_lowest(rest));
        if (other->waiting > (busiest ? busiest->waiting : 0))
            busiest = other;
    }
    if (!busiest)
        return false;

    run_queue_lock_two(queue, busiest);
    bool stolen = run_queue_pull(busiest, queue) != NULL;
    spinlock_unlock(&busiest->lock);
    spinlock_unlock(&queue->lock);
    return stolen;
}

void run_queue_empty(struct run_queue *queue)
{
    struct thread *thread;

    spinlock_lock(&queue->lock);
    while ((thread = run_queue_first(queue)) != NULL) {
        run_queue_evict(queue, thread);
        spinlock_lock(&queue->lock);
    }
    spinlock_unlock(&queue->lock);
}
