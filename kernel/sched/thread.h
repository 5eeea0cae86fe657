/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: the scheduler's unit, for kernel work and for programs alike (a program's thread is a thread with a user
 * context, whose `owner` is kernel/process's struct task).
 *
 *   created --thread_start--> runnable <--> running --thread_sleep--> sleeping --wake--> runnable
 *                                              \--thread_exit--> dead (freed with its last reference)
 *
 * Kernel code is not preempted; a program's code is, when its slice ends (reschedule flag, on the way back to user
 * mode). Long loops in the kernel call thread_yield_if_due().
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/base/tree.h"
#include "xen/machine/cpu.h"
#include "xen/machine/spinlock.h"
#include "xen/x86/context.h"

#define THREAD_STACK_BYTES 16384

enum thread_state { THREAD_CREATED, THREAD_RUNNABLE, THREAD_RUNNING, THREAD_SLEEPING, THREAD_DEAD };

struct page;

/* Locks: s the lock of the run queue of `cpu`; a atomic; o owner; f fixed after creation. */
struct thread {
    struct context context;         /* its own CPU, while it does not run */
    struct reference reference;     /* a */
    char name[16];                  /* o */
    _Atomic int state;              /* s written, read anywhere */
    uint32_t cpu;                   /* s where it runs or ran last */
    uint64_t cpu_mask;              /* s CPUs it may run on */
    int nice;                       /* s -20..19 */
    uint64_t virtual_time_ns;       /* s weighted run time, orders the run queue */
    uint64_t run_time_ns;           /* s time on a CPU so far: use thread_run_time_ns() */
    uint64_t started_ns;            /* s when its present turn began */
    uint64_t switches_voluntary;    /* s */
    uint64_t switches_involuntary;  /* s */
    struct tree_node run_node;      /* s */
    bool queued;                    /* s it is in a run queue's tree */
    bool sleep_interruptible;       /* s while sleeping */
    bool wakes_here;                /* o whom it wakes comes to its CPU */
    bool keeps_time;                /* o it looks at the clock itself: thread_keep_time() */
    int wake_result;                /* s what the sleep will answer */
    uint64_t accounted_ns;          /* s up to here its running is in run_time_ns */
    uint64_t turn_offset_ns;        /* o to be added to the clock for its run time, while this turn lasts: thread_own_run_time_ns() */
    void (*entry)(void *argument);  /* f */
    void *argument;                 /* f */
    void *stack;                    /* f */
    struct page *stack_pages;       /* f the block that `stack` maps */
    uint16_t held_ranks[8];         /* o debug builds: ranks of the sleeping locks it holds, in order of taking */
    uint16_t held_count;            /* o */
    void *owner;                    /* f kernel/process's, NULL for kernel threads */
    struct list all_link;           /* thread list lock */
};

static inline struct thread *thread_current(void)
{
    struct thread *thread;
    __asm__("mov %%gs:%c1, %0" : "=r"(thread) : "i"(16)); /* offsetof(struct cpu, current); thread.c asserts it */
    return thread;
}

/* A new thread, not started, that will call entry(argument) and end when it returns. One reference is the caller's. 0 or -ENOMEM. */
int thread_create(struct thread **thread, const char *name, void (*entry)(void *), void *argument);
/* Gives a created thread what programs need: extended state (fresh, or a copy of the current thread's), and the root. 0 or -ENOMEM. */
int thread_make_user(struct thread *thread, struct paging_root *root, bool copy_extended_state);
void thread_start(struct thread *thread);
/* The same, for who will wait for it at once: on this CPU, if it may run here, so that no other CPU need be woken. */
void thread_start_here(struct thread *thread);
/*
 * While true, whom the current thread wakes is to run on this CPU if nobody waits for that, rather than on one that has to be woken: for who has little
 * left to do, or wakes who will wait for it again.
 */
static inline void thread_wake_here(bool here)
{
    thread_current()->wakes_here = here;
}
/*
 * For a kernel thread that often runs, and never for long between two calls of thread_yield_if_due(): it sees there that its slice is over, and its CPU need
 * not set a timer for that each time it gets in before somebody.
 */
void thread_keep_time(void);
void thread_take(struct thread *thread);
void thread_release(struct thread *thread);
void thread_exit(void) attribute_noreturn;

void thread_yield(void);
/* Yields if the slice is over. */
void thread_yield_if_due(void);
/* On the way to user mode: true when the scheduler wants this CPU. */
static inline bool thread_reschedule_due(void)
{
    return read_once(cpu_current()->reschedule);
}

/* Sleeps until the deadline (clock_monotonic_ns() time; UINT64_MAX: for ever), a wake or, if interruptible, thread_interrupt(): 0 woken, -ETIMEDOUT, -EINTR.
 * Callers announce themselves first; see wait_queue.h, which is what most code uses. */
int thread_sleep(uint64_t deadline_ns, bool interruptible);
/* Marks the current thread as about to sleep: a thread_wake() from now on makes the next thread_sleep() return at once. */
void thread_sleep_prepare(void);
/* Takes thread_sleep_prepare() back. */
void thread_sleep_cancel(void);
/* Sleeps for that long, or until somebody wakes the thread. */
void thread_pause(uint64_t duration_ns);
/* Wakes a sleeping (or preparing) thread. Any context. True if this call woke it. */
bool thread_wake(struct thread *thread);
/* Sets `interrupted` and ends an interruptible sleep; thread_interrupt_clear() is the thread's own. */
void thread_interrupt(struct thread *thread);
void thread_interrupt_clear(void);

/* 0, or -EINVAL when no CPU of the mask is online. */
int thread_set_cpu_mask(struct thread *thread, uint64_t cpu_mask);
void thread_set_nice(struct thread *thread, int nice);
uint64_t thread_run_time_ns(struct thread *thread);
/* The current thread's; cheap. */
uint64_t thread_own_run_time_ns(void);

/* Calls visit for every thread there is, under the thread list's lock: for reports. */
void thread_for_each(void (*visit)(struct thread *thread, void *data), void *data);

/* Starts the scheduler on this CPU, whose idle thread the caller is. */
void scheduler_start(void) attribute_noreturn;
/* Before any thread is created: the boot CPU's run queue; the caller becomes thread_current(). 0 or -ENOMEM. */
int scheduler_init(void);
/* Load in 1/2048 over 1, 5, 15 minutes, runnable threads, threads in all. */
void scheduler_load(uint64_t load[3], unsigned int *runnable, unsigned int *total);
/* How long a CPU has run threads, and how long it had none to run, while it was online; 0 for one that never was. */
void scheduler_cpu_times(unsigned int cpu, uint64_t *busy_ns, uint64_t *idle_ns);
