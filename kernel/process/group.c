/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Process groups and sessions: setpgid, setsid and the questions about them. All under the process table lock.
 */
#include "kernel/base/error.h"
#include "kernel/process/process_internal.h"

long process_set_group(int pid, int group_id)
{
    struct process *self = process_current();
    long result = 0;

    spinlock_lock(&process_table_lock);
    struct process *process = pid == 0 ? self : process_find_locked(pid);
    if (group_id == 0 && process)
        group_id = process->pid;
    if (!process || (process != self && process->parent != self))
        result = -ESRCH;
    else if (process != self && process->session_id != self->session_id)
        result = -EPERM;
    else if (process != self && process->has_executed)
        result = -EACCES;
    else if (process->session_id == process->pid)
        result = -EPERM; /* a session's leader */
    else if (group_id != process->pid && !process_group_exists(group_id, self->session_id))
        result = -EPERM;
    else
        process->group_id = group_id;
    spinlock_unlock(&process_table_lock);
    return result;
}

static void group_found(struct process *process, void *context)
{
    *(bool *)context = true;
}

long process_new_session(void)
{
    struct process *self = process_current();
    bool taken = false;
    long result = self->pid;

    spinlock_lock(&process_table_lock);
    process_group_for_each(self->pid, group_found, &taken);
    if (taken || self->session_id == self->pid) {
        result = -EPERM;
    } else {
        self->session_id = self->pid;
        self->group_id = self->pid;
    }
    spinlock_unlock(&process_table_lock);
    return result;
}

long process_get_group(int pid)
{
    spinlock_lock(&process_table_lock);
    struct process *process = pid == 0 ? process_current() : process_find_locked(pid);
    long result = process ? process->group_id : -ESRCH;
    spinlock_unlock(&process_table_lock);
    return result;
}

long process_get_session(int pid)
{
    spinlock_lock(&process_table_lock);
    struct process *process = pid == 0 ? process_current() : process_find_locked(pid);
    long result = process ? process->session_id : -ESRCH;
    spinlock_unlock(&process_table_lock);
    return result;
}
