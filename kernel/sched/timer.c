/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: for each CPU a tree by deadline, whose first one the CPU's one-shot clock event is set to.
 *
 * A timer lives on the CPU that started it last. The clock is programmed (a hypercall) only when a timer becomes the earliest;
 * cancelling the earliest leaves it programmed, and an early event finds nothing due and programs the next.
 *
 * A call-back runs without the lock, with `running` naming it, so that timer_cancel() can wait for it. Lock order: a
 * base's lock is inner to everything that may start a timer; two bases in order of CPU number.
 */
#include "kernel/sched/timer.h"

#include "kernel/base/bits.h"
#include "kernel/base/panic.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/machine/spinlock.h"

/* Xen takes a timer more than 2^50 ns ahead for a mistake, and fires it soon: such a one is set in steps. */
#define STEP_NS (1ull << 49)

enum { TIMER_IDLE, TIMER_PENDING };

/* Locks: b lock; a atomic. */
struct timer_base {
    struct spinlock lock;
    struct tree tree;                /* b */
    uint64_t programmed_ns;          /* b what the clock event is set to; UINT64_MAX: nothing */
    _Atomic(struct timer *) running; /* a set under lock; the call-back that runs on this CPU */
};

static struct timer_base bases[CPU_LIMIT];

void timer_init(struct timer *timer, void (*expire)(struct timer *timer))
{
    timer->expire = expire;
    timer->cpu = cpu_current()->number;
    atomic_init(&timer->state, TIMER_IDLE);
}

static struct timer *timer_base_first(const struct timer_base *base)
{
    struct tree_node *node = tree_first(&base->tree);
    return node ? tree_entry(node, struct timer, node) : NULL;
}

static void timer_insert(struct timer_base *base, struct timer *timer)
{
    struct tree_node **link = &base->tree.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = timer->deadline_ns < tree_entry(parent, struct timer, node)->deadline_ns ? &parent->left : &parent->right;
    }
    tree_insert(&base->tree, &timer->node, parent, link);
    atomic_store(&timer->state, TIMER_PENDING);
}

/* True if it was pending. Its base is locked. */
static bool timer_remove(struct timer_base *base, struct timer *timer)
{
    if (atomic_load(&timer->state) != TIMER_PENDING)
        return false;
    tree_remove(&base->tree, &timer->node);
    atomic_store(&timer->state, TIMER_IDLE);
    return true;
}

static struct timer_base *timer_lock(struct timer *timer)
{
    for (;;) {
        uint32_t cpu = read_once(timer->cpu);
        spinlock_lock(&bases[cpu].lock);
        if (timer->cpu == cpu)
            return &bases[cpu];
        spinlock_unlock(&bases[cpu].lock);
    }
}

/* Programs the clock for the earliest timer if that is earlier than what it is set to. Own CPU, locked. */
static void timer_program(struct timer_base *base)
{
    struct timer *first = timer_base_first(base);

    if (!first || first->deadline_ns >= base->programmed_ns)
        return;
    uint64_t deadline_ns = first->deadline_ns;
    if (deadline_ns > STEP_NS)
        deadline_ns = minimum(deadline_ns, clock_monotonic_ns() + STEP_NS);
    base->programmed_ns = deadline_ns;
    clock_set_event(deadline_ns);
}

/* Takes a timer from another CPU's base. Events masked. */
static void timer_move_here(struct timer *timer, uint32_t here)
{
    for (;;) {
        uint32_t cpu = read_once(timer->cpu);
        spinlock_lock(&bases[minimum(cpu, here)].lock);
        if (cpu != here)
            spinlock_lock(&bases[maximum(cpu, here)].lock);
        bool found = timer->cpu == cpu;
        if (found) {
            timer_remove(&bases[cpu], timer);
            timer->cpu = here;
        }
        if (cpu != here)
            spinlock_unlock(&bases[cpu].lock);
        if (found)
            return; /* here's lock is kept */
        spinlock_unlock(&bases[here].lock);
    }
}

void timer_start(struct timer *timer, uint64_t deadline_ns)
{
    cpu_events_mask();
    uint32_t here = cpu_current()->number;
    struct timer_base *base = &bases[here];

    timer_move_here(timer, here);
    timer->deadline_ns = deadline_ns;
    timer_insert(base, timer);
    timer_program(base);
    spinlock_unlock(&base->lock);
    cpu_events_unmask();
}

static bool timer_running_elsewhere(const struct timer *timer)
{
    const struct timer_base *own = &bases[cpu_current()->number];

    for (uint64_t rest = cpu_online_mask(); rest != 0; rest &= rest - 1) {
        const struct timer_base *base = &bases[bits_lowest(rest)];
        if (base != own && atomic_load_explicit(&base->running, memory_order_acquire) == timer)
            return true;
    }
    return false;
}

bool timer_cancel(struct timer *timer)
{
    bool was_pending = false;

    /* A call-back may start the timer again while we wait for it: then it goes once more. The base's lock keeps it from doing so after the look. */
    for (;;) {
        struct timer_base *base = timer_lock(timer);
        was_pending |= timer_remove(base, timer);
        bool running = timer_running_elsewhere(timer);
        spinlock_unlock(&base->lock);
        if (!running)
            return was_pending;
        cpu_relax();
    }
}

/* Event context: the clock event of this CPU. */
static void timers_expire(void)
{
    struct timer_base *base = &bases[cpu_current()->number];
    struct timer *timer;

    spinlock_lock(&base->lock);
    base->programmed_ns = UINT64_MAX;
    while ((timer = timer_base_first(base)) != NULL && timer->deadline_ns <= clock_monotonic_ns()) {
        timer_remove(base, timer);
        atomic_store_explicit(&base->running, timer, memory_order_release);
        spinlock_unlock(&base->lock);
        timer->expire(timer);
        spinlock_lock(&base->lock);
        atomic_store_explicit(&base->running, NULL, memory_order_release);
    }
    timer_program(base);
    spinlock_unlock(&base->lock);
}

void timers_adopt(unsigned int cpu)
{
    struct timer *timer;

    cpu_events_mask();
    uint32_t here = cpu_current()->number;
    spinlock_lock(&bases[minimum(cpu, here)].lock);
    spinlock_lock(&bases[maximum(cpu, here)].lock);
    while ((timer = timer_base_first(&bases[cpu])) != NULL) {
        timer_remove(&bases[cpu], timer);
        timer->cpu = here;
        timer_insert(&bases[here], timer);
    }
    bases[cpu].programmed_ns = UINT64_MAX;
    timer_program(&bases[here]);
    spinlock_unlock(&bases[maximum(cpu, here)].lock);
    spinlock_unlock(&bases[minimum(cpu, here)].lock);
    cpu_events_unmask();
}

void timers_init(void)
{
    for (unsigned int cpu = 0; cpu < CPU_LIMIT; cpu++) {
        spinlock_init(&bases[cpu].lock, "timers", 0);
        bases[cpu].programmed_ns = UINT64_MAX;
    }
    clock_set_event_handler(timers_expire);
}
