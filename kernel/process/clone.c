/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clone: threads, and processes with a copy of the address space (fork) or in the same one (vfork).
 *
 * All that can fail comes first: objects, copies, numbers. Then the child enters the tables and starts; its thread begins
 * in clone_child(), on its own kernel stack, and leaves to user mode with a copy of the parent's frame.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"
#include "xen/x86/trap_frame.h"
#include "xen/x86/user_access.h"

struct clone_start {
    struct task *task;
    struct trap_frame frame;
    uint64_t child_tid; /* 0: nothing to store */
};

static void clone_child(void *argument)
{
    struct clone_start *start = argument;
    struct task *task = start->task;
    struct context *context = &task->thread->context;
    uint64_t child_tid = start->child_tid;

    *context_user_frame(context) = start->frame;
    memory_free(start);
    if (child_tid != 0 && user_store(child_tid, &task->tid) != 0)
        log_debug("clone: %d: no memory at child_tid", task->tid); /* the program's own affair, as in Linux */
    context_enter_user(context);
}

static int clone_check(const struct clone_request *request)
{
    uint64_t flags = request->flags;

    if (flags & (CLONE_NAMESPACES | CLONE_NEWTIME))
        return (flags & CLONE_NEWUSER) ? -EPERM : -EINVAL;
    if (flags & CLONE_INTO_CGROUP)
        return -EOPNOTSUPP;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_PIDFD) && (flags & CLONE_THREAD))
        return -EINVAL;
    return 0;
}

#define STACK_NEAR 256u /* below the stack pointer: what the way out of the call pushes at once */

static int clone_space(struct process *parent, struct process *child, const struct clone_request *request)
{
    uint64_t stack = request->stack != 0 ? request->stack : context_user_frame(&thread_current()->context)->rsp;
    struct duplicate_written written = { { stack, stack - STACK_NEAR, request->flags & CLONE_CHILD_SETTID ? request->child_tid : 0 } };

    return address_space_duplicate(parent->space, &written, &child->space);
}

/* A process's parts for the child, as the flags say. On error the caller's process_release() cleans up. */
static int clone_process_parts(struct process *parent, struct process *child, const struct clone_request *request)
{
    uint64_t flags = request->flags;
    int error;

    if (flags & CLONE_VM) {
        child->space = parent->space;
        address_space_take(child->space);
        address_space_enter(child->space);
    } else {
        error = clone_space(parent, child, request);
        if (error != 0)
            return error;
    }
    if (flags & CLONE_SIGHAND) {
        child->handlers = parent->handlers;
        signal_handlers_take(child->handlers);
    } else if (flags & CLONE_CLEAR_SIGHAND) {
        error = signal_prepare_exec(parent, &child->handlers);
        if (error != 0)
            return error;
    } else {
        error = signal_handlers_create(parent->handlers, &child->handlers);
        if (error != 0)
            return error;
    }
    if (parent->auxiliary) {
        child->auxiliary = memory_allocate(parent->auxiliary_bytes);
        if (!child->auxiliary)
            return -ENOMEM;
        memcpy(child->auxiliary, parent->auxiliary, parent->auxiliary_bytes);
        child->auxiliary_bytes = parent->auxiliary_bytes;
    }
    spinlock_lock(&parent->lock);
    memcpy(child->limits, parent->limits, sizeof(child->limits));
    memcpy(child->command, parent->command, sizeof(child->command));
    child->executable = parent->executable;
    if (child->executable)
        file_take(child->executable);
    child->credentials = task_current()->credentials;
    credentials_take(child->credentials);
    child->nice = parent->nice;
    child->dumpable = parent->dumpable;
    child->no_new_privileges = parent->no_new_privileges;
    child->personality = parent->personality;
    child->barriers = parent->barriers;
    spinlock_unlock(&parent->lock);
    return 0;
}

static int clone_task_parts(struct task *self, struct task *child, uint64_t flags)
{
    int error = 0;

    if (flags & CLONE_FILES) {
        child->files = self->files;
        fd_table_take(child->files);
    } else {
        error = fd_table_duplicate(self->files, &child->files);
    }
    if (error != 0)
        return error;
    if (flags & CLONE_FS) {
        child->fs = self->fs;
        fs_state_take(child->fs);
    } else {
        error = fs_state_duplicate(self->fs, &child->fs);
    }
    if (error != 0)
        return error;
    child->credentials = self->credentials;
    credentials_take(child->credentials);
    child->signal_mask = self->restore_signal_mask ? self->saved_signal_mask : self->signal_mask;
    child->timer_slack_ns = self->timer_slack_ns;
    if (!self->sched_reset_on_fork) {
        child->sched_policy = self->sched_policy;
        child->sched_priority = self->sched_priority;
    }
    memcpy(child->command, self->command, sizeof(child->command));
    if (!(flags & CLONE_VM)) {
        child->rseq_area = self->rseq_area;
        child->rseq_bytes = self->rseq_bytes;
        child->rseq_signature = self->rseq_signature;
        child->rseq_cpu = self->rseq_cpu;
    }
    /* A thread starts without an alternate stack; a forked process is where its parent was. */
    if (!(flags & CLONE_VM) || (flags & CLONE_VFORK)) {
        child->alternate_stack = self->alternate_stack;
        child->alternate_stack_bytes = self->alternate_stack_bytes;
        child->alternate_stack_flags = self->alternate_stack_flags;
    }
    return thread_make_user(child->thread, &child->process->space->root, true);
}

static void clone_fill_start(struct clone_start *start, struct task *self, struct task *child, const struct clone_request *request)
{
    struct context *context = &child->thread->context;

    start->task = child;
    start->frame = *context_user_frame(&self->thread->context);
    start->frame.rax = 0;
    start->frame.original_rax = ~0ull;
    if (request->stack != 0)
        start->frame.rsp = request->stack;
    start->child_tid = request->flags & CLONE_CHILD_SETTID ? request->child_tid : 0;
    context->fs_base = request->flags & CLONE_SETTLS ? request->tls : context_get_fs_base(&self->thread->context);
    context->gs_base = self->thread->context.gs_base;
    if (request->flags & CLONE_CHILD_CLEARTID)
        child->clear_child_tid = request->child_tid;
    thread_set_nice(child->thread, self->thread->nice);
    child->thread->cpu_mask = self->thread->cpu_mask;
}

/* Numbers and tables: from here on the child exists. */
static int clone_enter(struct task *self, struct task *child, const struct clone_request *request)
{
    struct process *process = child->process, *parent = self->process;
    uint64_t flags = request->flags;

    spinlock_lock(&process_table_lock);
    int error = process_table_new_id(request->set_tid, &child->tid);
    if (error == 0 && (read_once(parent->exiting) || parent->exec_task))
        error = -ERESTARTSYS; /* the caller is about to end */
    if (error != 0) {
        spinlock_unlock(&process_table_lock);
        return error;
    }
    if (!(flags & CLONE_THREAD)) {
        process->pid = child->tid;
        process->group_id = parent->group_id;
        process->session_id = parent->session_id;
        process->exit_signal = request->exit_signal;
        process_set_parent(process, (flags & CLONE_PARENT) && parent->parent ? parent->parent : parent);
        if (flags & CLONE_PARENT)
            process->exit_signal = parent->exit_signal;
        list_add_last(&process->parent->children, &process->sibling_link);
        process_take(process); /* the table's */
        process_table_add(process);
    }
    task_take(child); /* the table's */
    process_table_add_task(child);
    spinlock_unlock(&process_table_lock);
    return 0;
}

/* The pidfd, installed before the child exists so that it cannot fail afterwards. */
static int clone_make_pidfd(struct task *self, struct process *process, const struct clone_request *request, int *fd)
{
    struct file *file;
    int error = process_file_create(process, 0, &file);

    if (error != 0)
        return error;
    *fd = fd_table_install(self->files, file, true, 0, process_limit(self->process, LIMIT_NOFILE));
    if (*fd < 0) {
        file_release(file);
        return *fd;
    }
    if (user_store(request->pidfd, fd) != 0) {
        fd_table_close(self->files, *fd);
        return -EFAULT;
    }
    return 0;
}

static void clone_wait_vfork(struct process *child)
{
    WAIT_UNTIL(&child->exit_wait, atomic_load(&child->vfork_released), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
}

static int clone_limit(struct process *process)
{
    const struct credentials *credentials = task_current()->credentials;

    if (credentials->uid == 0 || credentials_capable(credentials, CAPABILITY_SYS_RESOURCE))
        return 0;
    return process_count() >= process_limit(process, LIMIT_NPROC) ? -EAGAIN : 0;
}

long process_clone(const struct clone_request *request)
{
    struct task *self = task_current(), *child = NULL;
    struct process *process = self->process;
    uint64_t flags = request->flags;
    bool thread = flags & CLONE_THREAD;
    int pidfd = -1;

    long error = clone_check(request);
    if (error == 0)
        error = clone_limit(self->process);
    if (error != 0)
        return error;
    if (!thread) {
        error = process_create(&process);
        if (error != 0)
            return error;
        error = clone_process_parts(self->process, process, request);
        if (error != 0)
            goto undo_process;
    }
    struct clone_start *start = memory_allocate_zeroed(sizeof(*start));
    error = -ENOMEM;
    if (!start)
        goto undo_process;
    error = task_create(process, self->command, clone_child, start, &child);
    if (error != 0)
        goto undo_start;
    error = clone_task_parts(self, child, flags);
    if (error != 0)
        goto undo_task;
    clone_fill_start(start, self, child, request);
    if (flags & CLONE_PIDFD) {
        error = clone_make_pidfd(self, process, request, &pidfd);
        if (error != 0)
            goto undo_task;
    }
    error = clone_enter(self, child, request);
    if (error != 0)
        goto undo_pidfd;
    int tid = child->tid;
    if ((flags & CLONE_PARENT_SETTID) && user_store(request->parent_tid, &tid) != 0)
        log_debug("clone: %d: no memory at parent_tid", self->tid);
    if ((flags & CLONE_VFORK) && !thread) {
        thread_start_here(child->thread);
        clone_wait_vfork(process);
    } else {
        thread_start(child->thread);
    }
    task_release(child);
    if (!thread)
        process_release(process);
    return tid;

undo_pidfd:
    if (pidfd >= 0)
        fd_table_close(self->files, pidfd);
undo_task:
    task_release(child);
undo_start:
    memory_free(start);
undo_process:
    if (!thread) {
        if (process->space)
            address_space_leave(process->space);
        process_release(process);
    }
    return error;
}
