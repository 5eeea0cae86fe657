/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to user mode: signals are taken and acted on, interrupted system calls are restarted or end with EINTR, ended
 * processes end.
 *
 * upcall_return_to_user() looks at a few flags and one register on the common way. All else is behind them.
 */
#include "kernel/base/error.h"
#include "kernel/process/process_internal.h"
#include "kernel/vm/code_patch.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/trap_frame.h"

/* Linux's sa_flags. */
#define ACTION_NO_CHILD_STOP 0x00000001u
#define ACTION_ONE_SHOT 0x80000000u
#define ACTION_NO_DEFER 0x40000000u
#define ACTION_RESTART 0x10000000u

#define SYSTEM_CALL_BYTES 2u
#define SYSTEM_CALL_RESTART 219u

enum signal_default { DEFAULT_TERMINATE, DEFAULT_CORE, DEFAULT_IGNORE, DEFAULT_STOP, DEFAULT_CONTINUE };

static enum signal_default signal_default(int number)
{
    switch (number) {
    case SIGNAL_CHLD:
    case SIGNAL_URG:
    case SIGNAL_WINCH:
        return DEFAULT_IGNORE;
    case SIGNAL_CONT:
        return DEFAULT_CONTINUE;
    case SIGNAL_STOP:
    case SIGNAL_TSTP:
    case SIGNAL_TTIN:
    case SIGNAL_TTOU:
        return DEFAULT_STOP;
    case SIGNAL_QUIT:
    case SIGNAL_ILL:
    case SIGNAL_TRAP:
    case SIGNAL_ABRT:
    case SIGNAL_BUS:
    case SIGNAL_FPE:
    case SIGNAL_SEGV:
    case SIGNAL_XCPU:
    case SIGNAL_XFSZ:
    case SIGNAL_SYS:
        return DEFAULT_CORE;
    default:
        return DEFAULT_TERMINATE;
    }
}

/* A group without a parent outside it that could continue it: its stops by terminal are ignored. */
struct orphan_walk {
    struct process *process;
    bool anchored;
};

static void orphan_visit(struct process *member, void *context)
{
    struct orphan_walk *walk = context;
    struct process *parent = member->parent;

    if (parent && parent != process_kernel && parent->session_id == walk->process->session_id &&
        parent->group_id != walk->process->group_id)
        walk->anchored = true;
}

static bool process_group_orphaned(struct process *process)
{
    struct orphan_walk walk = { .process = process };

    spinlock_lock(&process_table_lock);
    process_group_for_each(process->group_id, orphan_visit, &walk);
    spinlock_unlock(&process_table_lock);
    return !walk.anchored;
}

static void signal_stop(struct task *task, int number)
{
    struct process *process = task->process;
    struct task *other;

    if (number != SIGNAL_STOP && process_group_orphaned(process))
        return;
    spinlock_lock(&process->lock);
    bool first = !process->stopped && !process->exiting;
    /* A SIGCONT that came between the taking of the signal and here cancels the stop. */
    if (process->pending.pending & SIGNAL_BIT(SIGNAL_CONT))
        first = false;
    if (first) {
        process->stopped = true;
        process->stop_signal = number;
        process->stop_unreported = true;
        process->continue_unreported = false;
        list_for_each(other, &process->tasks, process_link)
            task_notify(other);
    }
    spinlock_unlock(&process->lock);
    if (first)
        process_notify_parent(process, CHILD_STOPPED);
}

void signal_stop_wait(struct task *task)
{
    struct process *process = task->process;

    WAIT_UNTIL(&process->stop_wait, !read_once(process->stopped) || read_once(process->exiting), WAIT_FOREVER,
               WAIT_UNINTERRUPTIBLE);
}

void signal_process_continued(struct process *process)
{
    struct task *task;

    spinlock_lock(&process->lock);
    list_for_each(task, &process->tasks, process_link)
        signal_update_flag(task);
    spinlock_unlock(&process->lock);
    process_notify_parent(process, CHILD_CONTINUED);
}

/* True when it was handed to a handler; the default action is done here. */
static bool signal_act(struct task *task, struct trap_frame *frame, int number, const struct signal_information *information,
                       struct signal_action *action)
{
    struct signal_handlers *handlers = task->process->handlers;

    spinlock_lock(&handlers->lock);
    *action = handlers->actions[number - 1];
    if (action->handler > SIGNAL_HANDLER_IGNORE && (action->flags & ACTION_ONE_SHOT))
        handlers->actions[number - 1].handler = SIGNAL_HANDLER_DEFAULT;
    spinlock_unlock(&handlers->lock);

    if (action->handler > SIGNAL_HANDLER_IGNORE && number != SIGNAL_KILL && number != SIGNAL_STOP)
        return true;
    if (action->handler == SIGNAL_HANDLER_IGNORE && number != SIGNAL_KILL && number != SIGNAL_STOP)
        return false;
    switch (signal_default(number)) {
    case DEFAULT_IGNORE:
    case DEFAULT_CONTINUE:
        return false;
    case DEFAULT_STOP:
        signal_stop(task, number);
        return false;
    case DEFAULT_CORE:
        crash_report(task, number, information, frame);
        process_exit_group(WAIT_STATUS_SIGNAL(number, process_limit(task->process, LIMIT_CORE) > 0));
    default:
        process_exit_group(WAIT_STATUS_SIGNAL(number, false));
    }
}

/* What an interrupted call answers, or that it runs again, now that it is known whether a handler runs. */
static void signal_restart(struct task *task, struct trap_frame *frame, const struct signal_action *action)
{
    int64_t result = (int64_t)frame->rax;

    if (frame->original_rax == NOT_IN_SYSTEM_CALL)
        return;
    switch (-result) {
    case ERESTARTSYS:
        if (action && !(action->flags & ACTION_RESTART)) {
            frame->rax = (uint64_t)-EINTR;
            break;
        }
        frame->rax = frame->original_rax;
        frame->rip -= SYSTEM_CALL_BYTES;
        break;
    case ERESTARTNOHAND:
    case ERESTART_RESTARTBLOCK:
        if (action) {
            frame->rax = (uint64_t)-EINTR;
            break;
        }
        frame->rax = -result == ERESTARTNOHAND ? frame->original_rax : SYSTEM_CALL_RESTART;
        frame->rip -= SYSTEM_CALL_BYTES;
        break;
    default:
        return;
    }
    frame->original_rax = NOT_IN_SYSTEM_CALL;
}

/* Calls the handler: the frame on its stack, the mask while it runs. */
static void signal_handle(struct task *task, struct trap_frame *frame, int number, const struct signal_information *information,
                          const struct signal_action *action)
{
    uint64_t mask = task->restore_signal_mask ? task->saved_signal_mask : task->signal_mask;

    signal_restart(task, frame, action);
    frame->original_rax = NOT_IN_SYSTEM_CALL;
    if (task->rseq_area != 0)
        rseq_resume(task, frame); /* the handler's frame leads back to the abort address */
    frame->rip = code_patch_place(task->process->space, frame->rip);
    if (signal_frame_push(frame, number, information, action, mask) != 0) {
        /* No stack for the handler: a segmentation fault, which kills if it was one already. */
        struct signal_information fault = { .number = SIGNAL_SEGV, .code = SIGNAL_CODE_KERNEL };
        if (number == SIGNAL_SEGV) {
            crash_report(task, number, information, frame);
            process_exit_group(WAIT_STATUS_SIGNAL(SIGNAL_SEGV, process_limit(task->process, LIMIT_CORE) > 0));
        }
        signal_force(SIGNAL_SEGV, &fault);
        return;
    }
    task->restore_signal_mask = false;
    uint64_t blocked = task->signal_mask | action->mask;
    if (!(action->flags & ACTION_NO_DEFER))
        blocked |= SIGNAL_BIT(number);
    signal_mask_set(blocked);
}

/* Ends the task if its process is ending, or if another task of it execs. */
static void signal_check_exit(struct task *task)
{
    struct process *process = task->process;

    if (read_once(process->exiting))
        task_exit(process->group_exit_code);
    struct task *exec_task = read_once(process->exec_task);
    if (exec_task && exec_task != task)
        task_exit(0);
}

void signal_deliver(struct trap_frame *frame)
{
    struct task *task = task_current();
    struct signal_information information;
    struct signal_action action;

    for (;;) {
        signal_check_exit(task);
        if (read_once(task->process->stopped)) {
            signal_stop_wait(task);
            continue;
        }
        int number = signal_take(~task->signal_mask, &information);
        if (number == 0)
            break;
        if (signal_act(task, frame, number, &information, &action)) {
            signal_handle(task, frame, number, &information, &action);
            continue; /* further signals nest: their handlers run first */
        }
    }
    signal_restart(task, frame, NULL);
    if (task->restore_signal_mask) {
        task->restore_signal_mask = false;
        signal_mask_set(task->saved_signal_mask);
    }
}

static bool signals_are_due(const struct task *task, const struct thread *thread, const struct trap_frame *frame)
{
    return atomic_load_explicit(&thread->context.interrupted, memory_order_acquire) || task->restore_signal_mask || frame_wants_restart(frame);
}

static bool work_is_due(const struct task *task, const struct thread *thread, const struct trap_frame *frame)
{
    return thread_reschedule_due() || signals_are_due(task, thread, frame);
}

static void attribute_noinline work_do(struct task *task, struct thread *thread, struct trap_frame *frame)
{
    task_enter_kernel(task); /* after an event, or a call by a door that is not accounted for */
    cpu_events_unmask();
    if (signals_are_due(task, thread, frame))
        signal_deliver(frame);
    if (thread_reschedule_due())
        thread_yield_if_due();
    cpu_events_mask();
}

/* Too short to be accounted for where the call was not. */
static void attribute_noinline resume_do(struct task *task, struct trap_frame *frame)
{
    cpu_events_unmask();
    rseq_resume(task, frame);
    cpu_events_mask();
}

/* Events masked: what comes later finds the program in user mode, and comes by an entry. */
void upcall_return_to_user(struct trap_frame *frame)
{
    struct thread *thread = thread_current();
    struct task *task = thread->owner;

    thread->context.unfinished = false;
    for (;;) {
        if (unlikely(work_is_due(task, thread, frame)))
            work_do(task, thread, frame);
        else if (read_once(thread->context.switched))
            resume_do(task, frame);
        else
            break;
    }
    if (task->in_kernel)
        task_leave_kernel(task);
}
