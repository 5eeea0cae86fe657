/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues: for each CPU the runnable threads, in order of weighted run time. For kernel/sched alone.
 *
 * Lock order: a thread's run queue lock is inner to every lock but the timers'. Two run queues are locked in order of
 * CPU number.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/tree.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "xen/machine/cpu.h"
#include "xen/machine/spinlock.h"

/* Locks: q lock; f fixed; a atomic; c its own CPU's, with the lock held. */
struct run_queue {
    struct spinlock lock;
    uint32_t cpu;                /* f */
    struct tree tree;            /* q waiting threads by virtual_time_ns */
    _Atomic unsigned int waiting;/* q, read anywhere: how many */
    uint64_t busy_ns;            /* q time of threads but idle */
    uint64_t minimum_ns;         /* q virtual time of the queue, never goes back */
    struct thread *current;      /* q */
    struct thread *idle;         /* f */
    struct thread *previous;     /* c whom the running switch leaves */
    struct timer slice;
    bool slice_pending;          /* q */
    uint64_t balance_ns;         /* q not before this it looks whether others have less to do */
    bool closing;                /* q its CPU is to go: it runs nobody but idle */
};

/* NULL where the CPU has no scheduler (yet). */
struct run_queue *run_queue_of(unsigned int cpu);
/* CPUs whose schedulers run. */
uint64_t run_queue_cpus(void);

/* Locks the current CPU's queue / the one the thread belongs to. */
struct run_queue *run_queue_lock_current(void);
struct run_queue *run_queue_lock_of(struct thread *thread);

/*
 * Gives the CPU away: to the first waiting thread, or to idle. The queue is locked, and unlocked on return, when the
 * current thread runs again, perhaps on another CPU. Its state says what becomes of it: RUNNING: it goes back into a queue; SLEEPING, DEAD: it does not.
 */
void run_queue_switch(struct run_queue *queue);
/* The second half of a switch, which a new thread's first instructions call. */
void run_queue_switch_finish(void);

/*
 * Makes a sleeping thread, or one that prepares to sleep, runnable; its sleep answers `result`. With `interrupt` only one that sleeps
 * interruptibly. True if it was asleep. Any context.
 */
bool run_queue_wake(struct thread *thread, int result, bool interrupt);
/* Puts a thread that never ran into a queue; this CPU's, `here`, if it may run there. */
void run_queue_add_new(struct thread *thread, bool here);
/* Brings the running thread's times up to date. */
void run_queue_account(struct run_queue *queue);
/* Others wait for this CPU, and the current thread has run for a slice since its turn began. */
bool run_queue_slice_over(void);
/* Gives the CPU away if somebody waits who has had less of it, or the current thread may not stay here. */
void run_queue_yield_if_due(struct run_queue *queue);
/* After a change of its mask: sends it away from a CPU where it may not be any more. */
void run_queue_move_if_forbidden(struct thread *thread);
/* Moves one waiting thread from the busiest other queue to this CPU's. */
bool run_queue_steal(struct run_queue *queue);

/* A queue that is closed. 0 or -ENOMEM. */
int run_queue_create(unsigned int cpu, struct thread *idle);
/* On its own CPU: threads may come. */
void run_queue_open(struct run_queue *queue);
/* No thread comes any more; those that are there go when their CPU's idle thread empties the queue. */
void run_queue_close(struct run_queue *queue);
void run_queue_empty(struct run_queue *queue);

/* The idle thread's announcement: the CPU is about to wait; wakers then prefer it. Queue locked. */
void run_queue_set_idle(struct run_queue *queue, bool idle);
