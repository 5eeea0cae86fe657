/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill() and its kin: whom a pid names, and who may signal whom.
 *
 * Under the process table lock while it goes over processes; each is locked in its turn by the sending.
 */
#include "kernel/base/error.h"
#include "kernel/process/process_internal.h"

/* As Linux: same user (real or effective id equal to the target's real or saved one), CAP_KILL, or SIGCONT in the session. */
bool signal_permitted(struct process *target, int number)
{
    struct task *task = task_current();
    const struct credentials *own = task->credentials;
    bool permitted = target == task->process || credentials_capable(own, CAPABILITY_KILL);

    if (permitted)
        return true;
    spinlock_lock(&target->lock);
    const struct credentials *other = target->credentials;
    permitted = other && (own->euid == other->suid || own->euid == other->uid || own->uid == other->suid || own->uid == other->uid);
    spinlock_unlock(&target->lock);
    return permitted || (number == SIGNAL_CONT && target->session_id == task->process->session_id);
}

static void signal_fill_sender(struct signal_information *information, int number, int code)
{
    struct task *task = task_current();

    *information = (struct signal_information){ .number = number, .code = code };
    information->sender.pid = task->process->pid;
    information->sender.uid = task->credentials->uid;
}

struct kill_walk {
    int group_id;       /* -1: everybody but the caller */
    int number;
    const struct signal_information *information;
    bool check;
    unsigned int found, permitted;
    struct process *continued[16]; /* referenced; told to their parents after the walk */
    unsigned int continued_count;
};

static void kill_visit(struct process *process, void *context)
{
    struct kill_walk *walk = context;

    if (process->zombie && walk->group_id == -1)
        return;
    if (walk->group_id == -1 ? process == process_current() : process->group_id != walk->group_id)
        return;
    walk->found++;
    if (walk->check && !signal_permitted(process, walk->number))
        return;
    walk->permitted++;
    if (walk->number == 0)
        return;
    spinlock_lock(&process->lock);
    bool was_stopped = process->stopped;
    signal_send_locked(process, NULL, walk->number, walk->information);
    bool continued = was_stopped && !process->stopped && walk->number == SIGNAL_CONT;
    spinlock_unlock(&process->lock);
    if (continued && walk->continued_count < array_count(walk->continued)) {
        process_take(process);
        walk->continued[walk->continued_count++] = process;
    }
}

static void kill_walk(struct kill_walk *walk)
{
    process_for_each(kill_visit, walk);
    for (unsigned int i = 0; i < walk->continued_count; i++) {
        signal_process_continued(walk->continued[i]);
        process_release(walk->continued[i]);
    }
}

int signal_send_group(int group_id, int number, const struct signal_information *information)
{
    struct kill_walk walk = { .group_id = group_id, .number = number, .information = information };

    if (group_id <= 0)
        return -ESRCH;
    kill_walk(&walk);
    return walk.found > 0 ? 0 : -ESRCH;
}

long signal_kill(int pid, int number)
{
    struct signal_information information;

    signal_fill_sender(&information, number, SIGNAL_CODE_USER);
    if (pid > 0) {
        struct process *process = process_find(pid);
        if (!process) { /* a thread's number names its process, as in Linux */
            struct task *task = task_find(pid);
            if (!task)
                return -ESRCH;
            process = task->process;
            process_take(process);
            task_release(task);
        }
        long result = signal_permitted(process, number) ? 0 : -EPERM;
        if (result == 0 && number != 0)
            result = signal_send_process(process, number, &information);
        process_release(process);
        return result;
    }
    struct kill_walk walk = { .number = number, .information = &information, .check = true };
    walk.group_id = pid == -1 ? -1 : pid == 0 ? process_current()->group_id : -pid;
    kill_walk(&walk);
    if (walk.found == 0)
        return -ESRCH;
    return walk.permitted > 0 ? 0 : -EPERM;
}

long signal_kill_task(int pid_or_0, int tid, int number, const struct signal_information *information)
{
    struct task *task = task_find(tid);
    long result = -ESRCH;

    if (!task)
        return -ESRCH;
    if (pid_or_0 == 0 || task->process->pid == pid_or_0) {
        result = signal_permitted(task->process, number) ? 0 : -EPERM;
        if (result == 0 && number != 0)
            result = signal_send_task(task, number, information);
    }
    task_release(task);
    return result;
}
