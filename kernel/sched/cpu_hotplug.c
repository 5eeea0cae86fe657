/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs coming and going. Who adds one makes everything it needs (block, stack, idle thread, run queue), which is kept for good; then
 * Xen starts it, in scheduler_start(). To remove one, its run queue is closed: what runs there leaves at its next switch, what waits is
 * sent away by the idle thread, which then takes the CPU down; the remover takes over its timers, as nobody can start any there
 * any more.
 */
#include "kernel/sched/cpu_hotplug.h"

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/sched/run_queue.h"
#include "kernel/sched/stack.h"
#include "kernel/sched/thread_life.h"
#include "kernel/sched/timer.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu_start.h"
#include "xen/x86/paging.h"

#define POLL_NS 200000ull
#define START_LIMIT_NS 1000000000ull
#define LEAVE_WARNING_NS 5000000000ull

/* What a CPU is made of, kept where it did not come, for the next try. */
static struct cpu_machine *machines[CPU_LIMIT];
static void *stacks[CPU_LIMIT];

static int machine_make(unsigned int number)
{
    struct page *pages;

    if (!machines[number])
        machines[number] = memory_allocate_zeroed(sizeof(struct cpu_machine));
    if (!machines[number])
        return -ENOMEM;
    int error = stacks[number] ? 0 : stack_allocate(&stacks[number], &pages);
    if (error == 0 && !machines[number]->cpu.scheduler) {
        machines[number]->cpu.number = number;
        error = thread_create_idle(&machines[number]->cpu);
    }
    return error;
}

int cpu_hotplug_add(unsigned int number)
{
    if (number >= CPU_LIMIT)
        return -ENOENT;
    if (cpu_online_mask() & (1ull << number))
        return 0;
    if (cpu_by_number(number))
        return cpu_is_down(number) ? cpu_start_again(number) : 0;
    int error = machine_make(number);
    if (error == 0)
        error = cpu_start(machines[number], number, (char *)stacks[number] + THREAD_STACK_BYTES, scheduler_start);
    return error;
}

int cpu_hotplug_wait(unsigned int number)
{
    uint64_t limit_ns = clock_monotonic_ns() + START_LIMIT_NS;

    while (!(cpu_online_mask() & (1ull << number))) {
        if (clock_monotonic_ns() > limit_ns)
            return -ETIMEDOUT;
        thread_pause(POLL_NS);
    }
    return 0;
}

int cpu_hotplug_remove(unsigned int number)
{
    uint64_t start_ns = clock_monotonic_ns();
    bool warned = false;

    if (number == 0 || number >= CPU_LIMIT)
        return -EINVAL;
    if (!(cpu_online_mask() & (1ull << number)))
        return 0;
    run_queue_close(run_queue_of(number));
    thread_yield_if_due(); /* perhaps it is this one */
    while (!cpu_is_down(number)) {
        if (!warned && clock_monotonic_ns() - start_ns > LEAVE_WARNING_NS) {
            log_warning("CPU %u is to go, but a thread does not leave it", number);
            warned = true;
        }
        thread_pause(POLL_NS);
    }
    timers_adopt(number);
    return 0;
}

void cpu_hotplug_leave(void)
{
    unsigned int number = cpu_current()->number;

    page_give_back_spares();
    cpu_events_mask();
    paging_leave();
    cpu_set_online(number, false);
    cpu_leave();
    cpu_set_online(number, true);
    cpu_events_unmask();
}
