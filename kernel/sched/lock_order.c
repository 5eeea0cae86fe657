/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each thread's list of the ranks it holds; the functions are called by debug builds only. A thread that holds more ranked
 * locks than the list has room for goes unchecked for the rest.
 */
#include "kernel/sched/lock_order.h"

#include "kernel/base/panic.h"
#include "kernel/sched/thread.h"

void lock_order_check_take(uint16_t rank, const char *name)
{
    struct thread *thread = thread_current();

    for (unsigned int i = 0; i < thread->held_count; i++)
        if (thread->held_ranks[i] >= rank)
            panic("lock order: %s (rank %u) taken with rank %u held", name, rank, thread->held_ranks[i]);
    if (thread->held_count < array_count(thread->held_ranks))
        thread->held_ranks[thread->held_count++] = rank;
}

void lock_order_check_drop(uint16_t rank)
{
    struct thread *thread = thread_current();

    for (unsigned int i = 0; i < thread->held_count; i++) {
        if (thread->held_ranks[i] != rank)
            continue;
        thread->held_count--;
        for (; i < thread->held_count; i++)
            thread->held_ranks[i] = thread->held_ranks[i + 1];
        return;
    }
}
