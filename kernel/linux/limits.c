/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits, usage and priorities of processes.
 *
 * Locks: limits under process->lock.
 */
#include "kernel/base/error.h"
#include "kernel/linux/abi/system.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define DESCRIPTORS_MOST 1048576u

/* The process and whether the caller may look at and change its limits: 0, -ESRCH, -EPERM. Referenced. */
static int limits_owner(int pid, struct process **process)
{
    struct process *own = process_current();
    const struct credentials *mine = task_current()->credentials;
    if (pid == 0 || pid == own->pid) {
        process_take(own);
        *process = own;
        return 0;
    }
    struct task *task = pid > 0 ? task_find(pid) : NULL;
    if (!task)
        return -ESRCH;
    spinlock_lock(&task->process->lock);
    const struct credentials *theirs = task->credentials;
    bool same = mine->uid == theirs->uid && mine->uid == theirs->euid && mine->uid == theirs->suid &&
                mine->gid == theirs->gid && mine->gid == theirs->egid && mine->gid == theirs->sgid;
    spinlock_unlock(&task->process->lock);
    *process = task->process;
    process_take(*process);
    bool own_thread = task->process == own;
    task_release(task);
    if (same || own_thread || task_capable(CAPABILITY_SYS_RESOURCE))
        return 0;
    process_release(*process);
    return -EPERM;
}

/* The range and the right are checked here; kernel/process sets it with what follows from it. */
static int limit_set(struct process *process, uint32_t resource, const struct linux_rlimit *fresh, struct linux_rlimit *old)
{
    struct resource_limit before, wanted;
    spinlock_lock(&process->lock);
    before = process->limits[resource];
    spinlock_unlock(&process->lock);
    if (fresh) {
        if (fresh->soft > fresh->hard)
            return -EINVAL;
        if (resource == LIMIT_NOFILE && fresh->hard > DESCRIPTORS_MOST)
            return -EPERM;
        if (fresh->hard > before.hard && !task_capable(CAPABILITY_SYS_RESOURCE))
            return -EPERM;
        wanted = (struct resource_limit){ fresh->soft, fresh->hard };
        int error = process_limit_set(process, resource, &wanted, &before);
        if (error)
            return error;
    }
    *old = (struct linux_rlimit){ before.soft, before.hard };
    return 0;
}

long sys_prlimit64(int pid, uint32_t resource, uint64_t limit, uint64_t old)
{
    struct linux_rlimit fresh, before;
    struct process *process;
    if (resource >= RESOURCE_LIMIT_COUNT)
        return -EINVAL;
    if (limit && user_load(&fresh, limit))
        return -EFAULT;
    int error = limits_owner(pid, &process);
    if (error)
        return error;
    error = limit_set(process, resource, limit ? &fresh : NULL, &before);
    process_release(process);
    if (!error && old)
        error = user_store(old, &before);
    return error;
}

long sys_getrlimit(uint32_t resource, uint64_t limit)
{
    return limit == 0 ? -EFAULT : sys_prlimit64(0, resource, 0, limit);
}

long sys_setrlimit(uint32_t resource, uint64_t limit)
{
    return limit == 0 ? -EFAULT : sys_prlimit64(0, resource, limit, 0);
}

#define USAGE_SELF 0
#define USAGE_CHILDREN (-1)
#define USAGE_THREAD 1

static void usage_add_switches(struct task *task, void *context)
{
    struct linux_rusage *usage = context;
    usage->switches_voluntary += (int64_t)read_once(task->thread->switches_voluntary);
    usage->switches_involuntary += (int64_t)read_once(task->thread->switches_involuntary);
}

static void usage_of_children(struct process *process, struct linux_rusage *usage)
{
    struct process_times times;
    process_times_get(process, &times);
    usage->user_time = timeval_from_ns(times.children_user_ns);
    usage->system_time = timeval_from_ns(times.children_system_ns);
    usage->resident_peak_kib = (int64_t)read_once(process->waited_peak_pages) * 4;
}

/* Of the process, with what its ended threads and left address spaces counted. */
static void usage_of_process(struct process *process, struct linux_rusage *usage)
{
    struct process_times times;
    process_times_get(process, &times);
    usage->user_time = timeval_from_ns(times.user_ns);
    usage->system_time = timeval_from_ns(times.system_ns);
    task_for_each(process, usage_add_switches, usage);
    usage->switches_voluntary += (int64_t)process->switches_voluntary;
    usage->switches_involuntary += (int64_t)process->switches_involuntary;
    usage->faults_minor += (int64_t)process->faults_minor;
    usage->faults_major += (int64_t)process->faults_major;
}

static void usage_of_thread(struct task *task, struct linux_rusage *usage)
{
    uint64_t user_ns, system_ns;
    task_times_get(task, &user_ns, &system_ns);
    usage->user_time = timeval_from_ns(user_ns);
    usage->system_time = timeval_from_ns(system_ns);
    usage_add_switches(task, usage);
}

long sys_getrusage(int who, uint64_t address)
{
    struct process *process = process_current();
    struct linux_rusage usage = { 0 };
    if (who == USAGE_CHILDREN)
        usage_of_children(process, &usage);
    else if (who == USAGE_SELF)
        usage_of_process(process, &usage);
    else if (who == USAGE_THREAD)
        usage_of_thread(task_current(), &usage);
    else
        return -EINVAL;
    if (who != USAGE_CHILDREN) {
        struct address_space *space = process->space;
        uint64_t peak = maximum(maximum(space->resident_peak_pages, (uint64_t)space->resident_pages), process->peak_pages);
        usage.resident_peak_kib = (int64_t)peak * 4;
        usage.faults_minor += (int64_t)space->faults_minor;
        usage.faults_major += (int64_t)space->faults_major;
    }
    return user_store(address, &usage);
}

/* getpriority and setpriority: a thread, a process group, or all processes of a user. */
#define PRIORITY_PROCESS 0
#define PRIORITY_GROUP 1
#define PRIORITY_USER 2

struct priority_walk {
    int which, id, nice;
    bool set, privileged;
    uint32_t euid;
    int best;   /* lowest nice found */
    int error;
    bool found;
    uint64_t nice_limit;
};

/* 20 - nice may be as high as RLIMIT_NICE. */
static void priority_visit_task(struct task *task, void *context)
{
    struct priority_walk *walk = context;
    int now = task->thread->nice;
    walk->found = true;
    if (!walk->set) {
        walk->best = minimum(walk->best, now);
        return;
    }
    uint32_t uid, euid;
    task_user_ids(task, &uid, &euid);
    if (!walk->privileged && walk->euid != euid && walk->euid != uid)
        walk->error = -EPERM;
    else if (walk->nice < now && !walk->privileged && (uint64_t)(20 - walk->nice) > walk->nice_limit)
        walk->error = -EACCES;
    else
        thread_set_nice(task->thread, walk->nice);
}

/* Under the process table's lock, as task_for_each() takes it: the tasks are walked here by hand. */
static void priority_visit_process(struct process *process, void *context)
{
    struct priority_walk *walk = context;
    uint32_t uid, euid;
    struct task *task;
    list_for_each(task, &process->tasks, process_link) {
        task_user_ids(task, &uid, &euid);
        if (walk->which == PRIORITY_GROUP ? process->group_id == walk->id : uid == (uint32_t)walk->id)
            priority_visit_task(task, walk);
    }
}

static long priority_run(struct priority_walk *walk)
{
    struct process *own = process_current();
    const struct credentials *mine = task_current()->credentials;
    if (walk->which < PRIORITY_PROCESS || walk->which > PRIORITY_USER)
        return -EINVAL;
    walk->best = 19;
    walk->privileged = task_capable(CAPABILITY_SYS_NICE);
    walk->euid = mine->euid;
    walk->nice_limit = process_limit(own, LIMIT_NICE);
    if (walk->which == PRIORITY_PROCESS) {
        struct task *task = walk->id == 0 ? NULL : task_find(walk->id);
        if (walk->id != 0 && !task)
            return -ESRCH;
        priority_visit_task(task ? task : task_current(), walk);
        if (task)
            task_release(task);
    } else {
        if (walk->id == 0)
            walk->id = walk->which == PRIORITY_GROUP ? own->group_id : (int)mine->uid;
        process_for_each(priority_visit_process, walk);
    }
    return !walk->found ? -ESRCH : walk->error;
}

/* Answers 20 - nice, so that it is never taken for an error. */
long sys_getpriority(int which, int who)
{
    struct priority_walk walk = { .which = which, .id = who };
    long result = priority_run(&walk);
    return result ? result : 20 - walk.best;
}

long sys_setpriority(int which, int who, int nice)
{
    struct priority_walk walk = { .which = which, .id = who, .set = true, .nice = maximum(minimum(nice, 19), -20) };
    return priority_run(&walk);
}

#define IO_PRIORITY_CLASS(priority) ((priority) >> 13)
#define IO_PRIORITY_LEVEL(priority) ((priority) & 7)

static long io_priority_target(int which, int who)
{
    if (which < 1 || which > 3)
        return -EINVAL;
    struct task *task = which == 1 && who != 0 ? task_find(who) : NULL;
    if (which == 1 && who != 0 && !task)
        return -ESRCH;
    if (task)
        task_release(task);
    return 0;
}

long sys_ioprio_set(int which, int who, int priority)
{
    int class = IO_PRIORITY_CLASS(priority & 0xffff);
    if (class > 3 || (class == 0 && IO_PRIORITY_LEVEL(priority) != 0))
        return -EINVAL;
    if (class == 1 && !task_capable(CAPABILITY_SYS_ADMIN))
        return -EPERM;
    return io_priority_target(which, who);
}

long sys_ioprio_get(int which, int who)
{
    return io_priority_target(which, who);
}
