/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling policies, priorities and CPU masks. Policies are checked, kept with the task and answered; the run queue
 * orders all threads by weight (nice), which is what the real-time policies do not change here.
 *
 * Locks: task->sched_* under its process's lock.
 */
#include "kernel/base/error.h"
#include "kernel/linux/abi/system.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "xen/machine/cpu.h"
#include "xen/x86/user_access.h"

#define PRIORITY_MOST 99
#define ROUND_ROBIN_NS 100000000u
#define SLICE_NS 4000000u

static bool policy_real_time(int policy)
{
    return policy == LINUX_SCHED_FIFO || policy == LINUX_SCHED_RR;
}

static bool policy_known(int policy)
{
    return policy_real_time(policy) || policy == LINUX_SCHED_OTHER || policy == LINUX_SCHED_BATCH || policy == LINUX_SCHED_IDLE;
}

/* The task (0: the caller), referenced. */
static int task_argument(int pid, struct task **task)
{
    if (pid < 0)
        return -EINVAL;
    if (pid == 0) {
        *task = task_current();
        task_take(*task);
        return 0;
    }
    *task = task_find(pid);
    return *task ? 0 : -ESRCH;
}

/* The task's process->lock held: its credentials may be replaced. */
static bool may_change(const struct task *task)
{
    const struct credentials *mine = task_current()->credentials, *theirs = task->credentials;
    return task_capable(CAPABILITY_SYS_NICE) || mine->euid == theirs->euid || mine->euid == theirs->uid;
}

/* policy -1 keeps the one it has. */
static int policy_set(struct task *task, int policy, int priority, bool reset_on_fork)
{
    struct process *process = task->process;
    uint64_t limit = process_limit(process, LIMIT_RTPRIO);
    int error = 0;
    bool privileged = task_capable(CAPABILITY_SYS_NICE);
    spinlock_lock(&process->lock);
    if (policy < 0) {
        policy = task->sched_policy;
        reset_on_fork = task->sched_reset_on_fork;
    }
    if (priority < 0 || priority > PRIORITY_MOST || policy_real_time(policy) != (priority != 0))
        error = -EINVAL;
    else if (!may_change(task))
        error = -EPERM;
    else if (!privileged && policy_real_time(policy) && (limit == 0 || (uint64_t)priority > limit))
        error = -EPERM;
    else if (!privileged && task->sched_reset_on_fork && !reset_on_fork)
        error = -EPERM;
    if (!error) {
        task->sched_policy = policy;
        task->sched_priority = priority;
        task->sched_reset_on_fork = reset_on_fork;
    }
    spinlock_unlock(&process->lock);
    return error;
}

static long policy_call(int pid, int policy, uint64_t parameters, bool reset_on_fork)
{
    struct task *task;
    int32_t priority;
    if (parameters == 0 || pid < 0)
        return -EINVAL;
    if (user_load(&priority, parameters))
        return -EFAULT;
    int error = task_argument(pid, &task);
    if (error)
        return error;
    error = policy_set(task, policy, priority, reset_on_fork);
    task_release(task);
    return error;
}

long sys_sched_setscheduler(int pid, int policy, uint64_t parameters)
{
    int plain = policy & ~LINUX_SCHED_RESET_ON_FORK;
    if (policy < 0 || !policy_known(plain))
        return -EINVAL;
    return policy_call(pid, plain, parameters, (policy & LINUX_SCHED_RESET_ON_FORK) != 0);
}

long sys_sched_setparam(int pid, uint64_t parameters)
{
    return policy_call(pid, -1, parameters, false);
}

long sys_sched_getscheduler(int pid)
{
    struct task *task;
    int error = task_argument(pid, &task);
    if (error)
        return error;
    long policy = task->sched_policy | (task->sched_reset_on_fork ? LINUX_SCHED_RESET_ON_FORK : 0);
    task_release(task);
    return policy;
}

long sys_sched_getparam(int pid, uint64_t parameters)
{
    struct task *task;
    if (parameters == 0)
        return -EINVAL;
    int error = task_argument(pid, &task);
    if (error)
        return error;
    int32_t priority = policy_real_time(task->sched_policy) ? task->sched_priority : 0;
    task_release(task);
    return user_store(parameters, &priority);
}

long sys_sched_get_priority_max(int policy)
{
    return policy_real_time(policy) ? PRIORITY_MOST : policy_known(policy) || policy == LINUX_SCHED_DEADLINE ? 0 : -EINVAL;
}

long sys_sched_get_priority_min(int policy)
{
    return policy_real_time(policy) ? 1 : policy_known(policy) || policy == LINUX_SCHED_DEADLINE ? 0 : -EINVAL;
}

long sys_sched_rr_get_interval(int pid, uint64_t interval)
{
    struct task *task;
    int error = task_argument(pid, &task);
    if (error)
        return error;
    int policy = task->sched_policy;
    task_release(task);
    return time_answer(interval, policy == LINUX_SCHED_RR ? ROUND_ROBIN_NS : policy == LINUX_SCHED_FIFO ? 0 : SLICE_NS);
}

#define ATTRIBUTE_FLAG_RESET_ON_FORK 1u
#define ATTRIBUTE_FLAG_KEEP_POLICY 8u
#define ATTRIBUTE_FLAG_KEEP_PARAMETERS 16u
#define ATTRIBUTE_FIRST_BYTES 48u

long sys_sched_setattr(int pid, uint64_t attributes, uint32_t flags)
{
    struct linux_sched_attr wanted = { 0 };
    struct task *task;
    uint32_t size;
    if (attributes == 0 || pid < 0 || flags)
        return -EINVAL;
    if (user_load(&size, attributes))
        return -EFAULT;
    size = size == 0 ? ATTRIBUTE_FIRST_BYTES : size;
    if (size < ATTRIBUTE_FIRST_BYTES || size > 4096)
        return -E2BIG;
    if (user_copy_in(&wanted, attributes, minimum((size_t)size, sizeof(wanted))))
        return -EFAULT;
    if (wanted.policy == LINUX_SCHED_DEADLINE)
        return -EPERM;
    if (!policy_known((int)wanted.policy) || (wanted.flags & ~(uint64_t)(ATTRIBUTE_FLAG_RESET_ON_FORK | ATTRIBUTE_FLAG_KEEP_POLICY | ATTRIBUTE_FLAG_KEEP_PARAMETERS)))
        return -EINVAL;
    int error = task_argument(pid, &task);
    if (error)
        return error;
    bool keep = (wanted.flags & ATTRIBUTE_FLAG_KEEP_PARAMETERS) != 0;
    error = policy_set(task, wanted.flags & ATTRIBUTE_FLAG_KEEP_POLICY ? -1 : (int)wanted.policy, keep ? task->sched_priority : (int)wanted.priority,
                       (wanted.flags & ATTRIBUTE_FLAG_RESET_ON_FORK) != 0);
    int nice = maximum(minimum(wanted.nice, 19), -20);
    if (!error && !keep && !policy_real_time((int)wanted.policy) && nice != task->thread->nice) {
        if (nice < task->thread->nice && !task_capable(CAPABILITY_SYS_NICE))
            error = -EPERM;
        else
            thread_set_nice(task->thread, nice);
    }
    task_release(task);
    return error;
}

long sys_sched_getattr(int pid, uint64_t attributes, uint32_t size_bytes, uint32_t flags)
{
    struct task *task;
    if (attributes == 0 || pid < 0 || flags || size_bytes < ATTRIBUTE_FIRST_BYTES || size_bytes > 4096)
        return -EINVAL;
    int error = task_argument(pid, &task);
    if (error)
        return error;
    uint32_t size = minimum(size_bytes, (uint32_t)sizeof(struct linux_sched_attr));
    struct linux_sched_attr answer = { .size_bytes = size, .policy = (uint32_t)task->sched_policy, .nice = task->thread->nice,
                                       .priority = (uint32_t)task->sched_priority, .clamp_high = 1024,
                                       .flags = task->sched_reset_on_fork ? ATTRIBUTE_FLAG_RESET_ON_FORK : 0 };
    task_release(task);
    return user_copy_out(attributes, &answer, size);
}

long sys_sched_setaffinity(int pid, uint32_t length_bytes, uint64_t mask)
{
    uint64_t wanted = 0;
    struct task *task;
    if (user_copy_in(&wanted, mask, minimum((size_t)length_bytes, sizeof(wanted))))
        return -EFAULT;
    int error = task_argument(pid, &task);
    if (error)
        return pid < 0 ? -ESRCH : error;
    spinlock_lock(&task->process->lock);
    bool may = may_change(task);
    spinlock_unlock(&task->process->lock);
    if (!may)
        error = -EPERM;
    else
        error = thread_set_cpu_mask(task->thread, wanted);
    task_release(task);
    return error;
}

/* Answers the bytes written, not 0: programs use it to learn the size of the kernel's masks. */
long sys_sched_getaffinity(int pid, uint32_t length_bytes, uint64_t mask)
{
    struct task *task;
    if (length_bytes == 0 || (length_bytes & 7) != 0)
        return -EINVAL;
    int error = task_argument(pid, &task);
    if (error)
        return pid < 0 ? -ESRCH : error;
    uint64_t online = cpu_online_mask(), answer = read_once(task->thread->cpu_mask) & online;
    if (answer == 0)
        answer = online; /* its CPUs have gone: it runs on any */
    task_release(task);
    size_t size = minimum((size_t)length_bytes, sizeof(answer));
    return user_copy_out(mask, &answer, size) ? -EFAULT : (long)size;
}
