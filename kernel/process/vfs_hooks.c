/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/vfs asks of processes (kernel/vfs/process_hooks.h): SIGPIPE and SIGXFSZ, the terminal's signals and job
 * control, whose thread this is, the file size limit.
 */
#include "kernel/base/error.h"
#include "kernel/process/process_internal.h"
#include "kernel/vfs/process_hooks.h"

static void hook_signal_current(int number)
{
    struct task *task = task_current();
    struct signal_information information = { .number = number, .code = SIGNAL_CODE_USER };

    if (!task)
        return;
    information.sender.pid = task->process->pid;
    information.sender.uid = task->credentials->uid;
    signal_send_task(task, number, &information);
}

static void hook_signal_group(int group_id, int number)
{
    signal_send_group(group_id, number, NULL);
}

static void hook_signal_owner(int owner, int number, int fd, uint32_t band)
{
    struct signal_information information = { .number = number, .code = 1 };

    information.io.band = band;
    information.io.fd = fd;
    if (owner < 0) {
        signal_send_group(-owner, number, &information);
        return;
    }
    struct process *process = process_find(owner);
    if (process) {
        signal_send_process(process, number, &information);
        process_release(process);
    }
}

static bool hook_identity(struct process_identity *identity)
{
    struct task *task = task_current();

    if (!task)
        return false;
    spinlock_lock(&process_table_lock);
    *identity = (struct process_identity){ task->process->pid, task->process->group_id, task->process->session_id };
    spinlock_unlock(&process_table_lock);
    return true;
}

static bool hook_signal_ignored(int number)
{
    struct task *task = task_current();

    if (!task)
        return true;
    struct signal_handlers *handlers = task->process->handlers;
    spinlock_lock(&handlers->lock);
    bool ignored = handlers->actions[number - 1].handler == SIGNAL_HANDLER_IGNORE;
    spinlock_unlock(&handlers->lock);
    return ignored || (task->signal_mask & SIGNAL_BIT(number));
}

struct anchor_walk {
    int group_id;
    bool anchored;
};

static void anchor_look(struct process *member, void *context)
{
    struct anchor_walk *walk = context;
    struct process *parent = member->parent;

    if (!member->zombie && parent && parent != process_kernel && parent->session_id == member->session_id &&
        parent->group_id != walk->group_id)
        walk->anchored = true;
}

static bool hook_group_orphaned(int group_id)
{
    struct anchor_walk walk = { .group_id = group_id };

    spinlock_lock(&process_table_lock);
    process_group_for_each(group_id, anchor_look, &walk);
    spinlock_unlock(&process_table_lock);
    return !walk.anchored;
}

static bool hook_group_in_session(int group_id, int session_id)
{
    spinlock_lock(&process_table_lock);
    bool found = process_group_exists(group_id, session_id);
    spinlock_unlock(&process_table_lock);
    return found;
}

static uint64_t hook_file_size_limit(void)
{
    struct task *task = task_current();

    return task ? process_limit(task->process, LIMIT_FSIZE) : UINT64_MAX;
}

static const struct vfs_process_hooks hooks = {
    .signal_current = hook_signal_current,
    .signal_group = hook_signal_group,
    .signal_owner = hook_signal_owner,
    .identity = hook_identity,
    .signal_ignored = hook_signal_ignored,
    .group_orphaned = hook_group_orphaned,
    .group_in_session = hook_group_in_session,
    .file_size_limit = hook_file_size_limit,
};

void process_hooks_init(void)
{
    vfs_process_hooks_set(&hooks);
}
