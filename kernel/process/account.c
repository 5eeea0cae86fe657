/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU time: the scheduler knows how long a thread ran; how much of that was in user mode is counted in time-stamp ticks
 * between the door that let it out and the door that took it back. What remains is system time.
 *
 * Ticks belong to their own thread. Their rate is measured against the clock over the time since boot.
 */
#include "kernel/process/process_internal.h"
#include "xen/machine/clock.h"

static uint64_t start_ticks, start_ns;

void account_init(void)
{
    start_ticks = account_ticks();
    start_ns = clock_monotonic_ns();
}

uint64_t account_ticks_to_ns(uint64_t ticks)
{
    uint64_t passed_ticks = account_ticks() - start_ticks, passed_ns = clock_monotonic_ns() - start_ns;

    if (passed_ticks == 0)
        return 0;
    return (uint64_t)((unsigned __int128)ticks * passed_ns / passed_ticks);
}

void task_enter_kernel(struct task *task)
{
    if (task->in_kernel)
        return;
    task->in_kernel = true;
    task->user_ticks += account_ticks() - task->door_ticks;
}

void task_times_get(struct task *task, uint64_t *user_ns, uint64_t *system_ns)
{
    uint64_t total = thread_run_time_ns(task->thread);
    uint64_t ticks = read_once(task->user_ticks);

    if (!read_once(task->in_kernel) && atomic_load(&task->thread->state) == THREAD_RUNNING)
        ticks += account_ticks() - read_once(task->door_ticks);
    *user_ns = minimum(account_ticks_to_ns(ticks), total);
    *system_ns = total - *user_ns;
}

uint64_t process_cpu_ns_locked(struct process *process)
{
    uint64_t total = process->times.user_ns + process->times.system_ns;
    struct task *task;

    list_for_each(task, &process->tasks, process_link)
        total += thread_run_time_ns(task->thread);
    return total;
}

uint64_t process_cpu_ns(struct process *process)
{
    spinlock_lock(&process->lock);
    uint64_t total = process_cpu_ns_locked(process);
    spinlock_unlock(&process->lock);
    return total;
}

void process_times_get(struct process *process, struct process_times *times)
{
    struct task *task;

    spinlock_lock(&process->lock);
    *times = process->times;
    times->children_user_ns = process->waited.user_ns;
    times->children_system_ns = process->waited.system_ns;
    list_for_each(task, &process->tasks, process_link) {
        uint64_t user_ns, system_ns;
        task_times_get(task, &user_ns, &system_ns);
        times->user_ns += user_ns;
        times->system_ns += system_ns;
    }
    spinlock_unlock(&process->lock);
}
