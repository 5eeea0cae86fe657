/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load average: every five seconds the number of runnable threads enters three exponential averages. An idle guest is
 * not woken for it: the timer stops when it finds nobody runnable, load_note_activity() starts it again, and the
 * samples missed meanwhile, which all were 0, are caught up.
 */
#include "kernel/sched/load.h"

#include <stdatomic.h>

#include "kernel/base/bits.h"
#include "kernel/sched/run_queue.h"
#include "kernel/sched/timer.h"
#include "xen/machine/clock.h"
#include "xen/machine/spinlock.h"

#define LOAD_ONE 2048ull
#define LOAD_PERIOD_NS 5000000000ull

/* LOAD_ONE * exp(-5 s / 1, 5, 15 min) */
static const uint64_t decay[3] = { 1884, 2014, 2037 };

static struct spinlock load_lock = SPINLOCK_INITIALIZER("load", 0);
static uint64_t averages[3];  /* load_lock */
static uint64_t sampled_ns;   /* load_lock when the last sample was, or should have been */
static struct timer sampler;
static atomic_bool sampling;  /* the sampler is started, or is being started */

unsigned int load_runnable(void)
{
    unsigned int count = 0;

    for (uint64_t rest = run_queue_cpus(); rest; rest &= rest - 1) {
        struct run_queue *queue = run_queue_of(bits_lowest(rest));
        count += queue->waiting + (read_once(queue->current) != queue->idle);
    }
    return count;
}

static void load_sample(unsigned int runnable)
{
    for (int i = 0; i < 3; i++)
        averages[i] = (averages[i] * decay[i] + runnable * LOAD_ONE * (LOAD_ONE - decay[i])) / LOAD_ONE;
}

/* Enters the samples that are due; those before the last one saw nobody, or the sampler would have run. */
static void load_catch_up(unsigned int runnable)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t periods = now_ns > sampled_ns ? (now_ns - sampled_ns) / LOAD_PERIOD_NS : 0;

    if (periods == 0)
        return;
    sampled_ns += periods * LOAD_PERIOD_NS;
    for (uint64_t i = 1; i < minimum(periods, 2000ull); i++)
        load_sample(0);
    load_sample(runnable);
}

/* Event context. */
static void load_sampler_expired(struct timer *timer)
{
    unsigned int runnable = load_runnable();

    spinlock_lock(&load_lock);
    load_catch_up(runnable);
    uint64_t next_ns = sampled_ns + LOAD_PERIOD_NS;
    spinlock_unlock(&load_lock);
    if (runnable > 0)
        timer_start(timer, next_ns);
    else
        atomic_store(&sampling, false);
}

void load_note_activity(void)
{
    if (atomic_load_explicit(&sampling, memory_order_relaxed) || atomic_exchange(&sampling, true))
        return;
    timer_start(&sampler, clock_monotonic_ns() + LOAD_PERIOD_NS);
}

void load_get(uint64_t load[3])
{
    unsigned int runnable = load_runnable();

    spinlock_lock(&load_lock);
    load_catch_up(runnable);
    for (int i = 0; i < 3; i++)
        load[i] = averages[i];
    spinlock_unlock(&load_lock);
}

void load_init(void)
{
    sampled_ns = clock_monotonic_ns();
    timer_init(&sampler, load_sampler_expired);
}
