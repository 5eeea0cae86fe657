/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU time: the scheduler knows how long a thread ran; how much of that was in user mode is counted between its way out and its next way in,
 * on the thread's own run time. What remains is system time.
 *
 * A system call that comes by a door is far shorter than looking at the clock twice (where Xen emulates the time-stamp counter). Of those,
 * one in DOOR_SAMPLE is measured and stands for all; the others count as user mode until then.
 */
#include "kernel/process/process_internal.h"

void task_enter_kernel(struct task *task)
{
    if (task->in_kernel)
        return;
    task->in_kernel = true;
    task->entered_ns = thread_own_run_time_ns();
    task->user_ns += task->entered_ns - task->left_ns;
}

void task_leave_kernel(struct task *task)
{
    task->left_ns = thread_own_run_time_ns();
    task->in_kernel = false;
}

void task_leave_sampled(struct task *task)
{
    uint64_t own_ns, others_ns;

    task_leave_kernel(task);
    own_ns = task->left_ns - task->entered_ns;
    others_ns = own_ns * (DOOR_SAMPLE - 1);
    task->user_ns -= minimum(task->user_ns, others_ns);
}

void task_times_get(struct task *task, uint64_t *user_ns, uint64_t *system_ns)
{
    uint64_t total = thread_run_time_ns(task->thread), left_ns = read_once(task->left_ns);
    uint64_t user = read_once(task->user_ns);

    if (!read_once(task->in_kernel) && total > left_ns)
        user += total - left_ns;
    *user_ns = minimum(user, total);
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
