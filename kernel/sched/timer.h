/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: a call-back at a time, in event context on the CPU that started it. And deferred work: a call-back soon, in
 * a thread, for what event handlers must not do themselves.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/tree.h"

struct timer {
    struct tree_node node;
    uint64_t deadline_ns;
    void (*expire)(struct timer *timer); /* event context; may start the timer again; must not free it unless nobody cancels it */
    uint32_t cpu;
    _Atomic int state;
};

void timer_init(struct timer *timer, void (*expire)(struct timer *timer));
/* (Re)starts it; deadline in clock_monotonic_ns() time. Any context. */
void timer_start(struct timer *timer, uint64_t deadline_ns);
/* When it returns the call-back is not running on another CPU and will not run. True if it was still to come. */
bool timer_cancel(struct timer *timer);

struct deferred_work {
    struct list link;
    void (*run)(struct deferred_work *work); /* thread context, may sleep; one at a time for the same work */
    _Atomic int state;
};

void deferred_work_init(struct deferred_work *work, void (*run)(struct deferred_work *work));
/* Runs it soon; once, however often it was asked for before it ran. Any context. */
void deferred_work_schedule(struct deferred_work *work);
/* Waits until it is neither waiting nor running. */
void deferred_work_cancel(struct deferred_work *work);
int deferred_work_start(void);

/* scheduler_init()'s: from now on this room has the CPUs' one-shot timers. */
void timers_init(void);
/* Takes over the timers of another CPU, which is down. */
void timers_adopt(unsigned int cpu);
