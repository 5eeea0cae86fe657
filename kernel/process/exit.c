/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of tasks and processes.
 *
 *   task_exit: the program's memory is told (robust futexes, clear_child_tid), what was shared is released, the task
 *   leaves the table; the last one of a process makes it a zombie:
 *
 *   running --last task out--> zombie --parent waited, or ignores SIGCHLD--> reaped (out of the table, number free)
 *
 * Children go to the nearest living subreaper, else to the kernel's process 1, which reaps at once what nobody waits for.
 */
#include "kernel/base/error.h"
#include "kernel/process/futex.h"
#include "kernel/process/process_internal.h"
#include "kernel/vfs/terminal.h"
#include "xen/x86/user_access.h"

#define ACTION_NO_CHILD_WAIT 0x00000002u
#define ACTION_NO_CHILD_STOP 0x00000001u
#define NANOSECONDS_PER_TICK 10000000u

static void (*final_handler)(int wait_status);
static struct process *final_process; /* process_table_lock: the first program */

void process_set_final_handler(void (*handler)(int wait_status))
{
    final_handler = handler;
}

static void (*exit_hooks[8])(struct process *process, bool at_exec); /* fixed after boot */
static unsigned int exit_hook_count;

int process_register_exit_hook(void (*hook)(struct process *process, bool at_exec))
{
    if (exit_hook_count == array_count(exit_hooks))
        return -ENOMEM;
    exit_hooks[exit_hook_count++] = hook;
    return 0;
}

void process_run_exit_hooks(struct process *process, bool at_exec)
{
    for (unsigned int i = 0; i < exit_hook_count; i++)
        exit_hooks[i](process, at_exec);
}

void process_end_vfork(struct process *process)
{
    if (!atomic_exchange(&process->vfork_released, true))
        wait_queue_wake_all(&process->exit_wait, 0);
}

void signal_information_child(struct process *process, int code, int status, struct signal_information *information)
{
    struct process_times times;

    process_times_get(process, &times);
    *information = (struct signal_information){ .number = SIGNAL_CHLD, .code = code };
    information->child.pid = process->pid;
    information->child.uid = process_uid(process);
    information->child.status = status;
    information->child.user_ticks = (int64_t)(times.user_ns / NANOSECONDS_PER_TICK);
    information->child.system_ticks = (int64_t)(times.system_ns / NANOSECONDS_PER_TICK);
}

static uint64_t parent_action_flags(struct process *parent, int number, uint64_t *handler)
{
    spinlock_lock(&parent->handlers->lock);
    uint64_t flags = parent->handlers->actions[number - 1].flags;
    *handler = parent->handlers->actions[number - 1].handler;
    spinlock_unlock(&parent->handlers->lock);
    return flags;
}

void process_notify_parent(struct process *process, int code)
{
    struct signal_information information;
    uint64_t handler;

    signal_information_child(process, code, code == CHILD_STOPPED ? process->stop_signal : SIGNAL_CONT, &information);
    spinlock_lock(&process_table_lock);
    struct process *parent = process->parent;
    if (parent && parent != process_kernel && !parent->zombie) {
        spinlock_lock(&parent->lock);
        uint64_t flags = parent_action_flags(parent, SIGNAL_CHLD, &handler);
        if (!(flags & ACTION_NO_CHILD_STOP) && handler != SIGNAL_HANDLER_IGNORE)
            signal_send_locked(parent, NULL, SIGNAL_CHLD, &information);
        spinlock_unlock(&parent->lock);
        wait_queue_wake_all(&parent->child_wait, 0);
    }
    spinlock_unlock(&process_table_lock);
}

static void process_add_times(struct process *parent, struct process *child)
{
    spinlock_lock(&parent->lock);
    parent->waited.user_ns += child->times.user_ns + child->waited.user_ns;
    parent->waited.system_ns += child->times.system_ns + child->waited.system_ns;
    parent->waited_peak_pages = maximum(parent->waited_peak_pages, maximum(child->peak_pages, child->waited_peak_pages));
    spinlock_unlock(&parent->lock);
}

void process_reap_locked(struct process *process)
{
    assert(spinlock_held(&process_table_lock));
    if (process->parent)
        process_add_times(process->parent, process);
    process_table_remove(process);
    process_set_parent(process, NULL);
}

/* Who adopts the children of `process`. Locked. */
static struct process *exit_find_adopter(struct process *process)
{
    for (struct process *ancestor = process->parent; ancestor && ancestor != process_kernel; ancestor = ancestor->parent)
        if (ancestor->child_subreaper && ancestor->task_count > 0)
            return ancestor;
    return process_kernel;
}

/* Zombies that nobody will wait for are put on `dead`, to be released without the lock. */
static void exit_give_children_away(struct process *process, struct list *dead)
{
    struct process *adopter = exit_find_adopter(process), *child, *next;

    list_for_each_safe(child, next, &process->children, sibling_link) {
        list_remove(&child->sibling_link);
        process_set_parent(child, adopter);
        list_add_last(&adopter->children, &child->sibling_link);
        if (child->parent_death_signal != 0 && !child->zombie) {
            spinlock_lock(&child->lock);
            signal_send_locked(child, NULL, child->parent_death_signal, NULL);
            spinlock_unlock(&child->lock);
        }
        if (child->zombie && adopter == process_kernel) {
            process_reap_locked(child);
            list_add_last(dead, &child->table_link);
        } else if (child->zombie) {
            wait_queue_wake_all(&adopter->child_wait, 0);
        }
    }
}

struct group_walk {
    int session_id;
    struct process *leaving;
    bool anchored, stopped;
};

static void group_look(struct process *member, void *context)
{
    struct group_walk *walk = context;

    if (member == walk->leaving || member->zombie)
        return;
    if (member->parent && member->parent != process_kernel && member->parent != walk->leaving &&
        member->parent->session_id == member->session_id && member->parent->group_id != member->group_id)
        walk->anchored = true;
    walk->stopped |= member->stopped;
}

static void group_hang_up(struct process *member, void *context)
{
    if (member == context || member->zombie)
        return;
    spinlock_lock(&member->lock);
    signal_send_locked(member, NULL, SIGNAL_HUP, NULL);
    signal_send_locked(member, NULL, SIGNAL_CONT, NULL);
    spinlock_unlock(&member->lock);
}

/* POSIX: stopped jobs that lose their last tie get SIGHUP and SIGCONT. Locked. */
static void exit_check_group(struct process *process, int group_id)
{
    struct group_walk walk = { .leaving = process };

    process_group_for_each(group_id, group_look, &walk);
    if (!walk.anchored && walk.stopped)
        process_group_for_each(group_id, group_hang_up, process);
}

/* Tells the parent; true when nobody will wait for this process. Locked. */
static bool exit_tell_parent(struct process *process, const struct signal_information *information)
{
    struct process *parent = process->parent;
    uint64_t handler = 0;
    bool ignored = false;

    if (parent == process_kernel) { /* a program of the kernel's own, waited for by process_wait_kernel(), or an orphan */
        wait_queue_wake_all(&parent->child_wait, 0);
        return !process->kernel_waits;
    }
    if (process->exit_signal != 0) {
        spinlock_lock(&parent->lock);
        uint64_t flags = parent_action_flags(parent, process->exit_signal, &handler);
        if (process->exit_signal == SIGNAL_CHLD)
            ignored = handler == SIGNAL_HANDLER_IGNORE || (flags & ACTION_NO_CHILD_WAIT);
        if (process->exit_signal != SIGNAL_CHLD || handler != SIGNAL_HANDLER_IGNORE)
            signal_send_locked(parent, NULL, process->exit_signal, information);
        spinlock_unlock(&parent->lock);
    }
    wait_queue_wake_all(&parent->child_wait, 0);
    return ignored;
}

static void exit_release_list(struct list *dead)
{
    struct process *process, *next;

    list_for_each_safe(process, next, dead, table_link) {
        list_remove(&process->table_link);
        wait_queue_wake_all(&process->exit_wait, 0);
        process_release(process);
    }
}

void process_leave_space(struct process *process, struct address_space *space)
{
    process->peak_pages = maximum(process->peak_pages, space->resident_peak_pages);
    process->faults_minor += atomic_load(&space->faults_minor);
    process->faults_major += atomic_load(&space->faults_major);
    address_space_leave(space);
}

/* The last task is out of the table: the process becomes a zombie. */
static void process_exit(struct process *process, int status)
{
    struct list dead = LIST_INITIALIZER(dead);
    struct signal_information information;
    int low = status & 0x7f;
    int code = low == 0 ? CHILD_EXITED : (status & 0x80) ? CHILD_DUMPED : CHILD_KILLED;

    spinlock_lock(&process->lock);
    process->interval_deadline_ns = process->interval_ns = 0;
    spinlock_unlock(&process->lock);
    timer_cancel(&process->interval_timer);
    cpu_timers_exit(process);
    posix_timers_exit(process);
    if (process->space)
        process_leave_space(process, process->space);
    process_end_vfork(process);
    if (process->session_id == process->pid)
        terminal_session_ended(process->session_id);
    signal_information_child(process, code, low == 0 ? (status >> 8) & 0xff : low, &information);

    spinlock_lock(&process_table_lock);
    spinlock_lock(&process->lock);
    process->exit_status = status;
    process->zombie = true;
    process->stopped = false;
    signal_queue_clear(&process->pending);
    spinlock_unlock(&process->lock);
    exit_give_children_away(process, &dead);
    struct process *parent = process->parent;
    exit_check_group(process, process->group_id);
    thread_wake_here(true);
    bool unwanted = exit_tell_parent(process, &information);
    bool final = process == final_process;
    if (unwanted && parent) {
        process_reap_locked(process);
        list_add_last(&dead, &process->table_link);
    }
    spinlock_unlock(&process_table_lock);
    wait_queue_wake_all(&process->exit_wait, POLL_IN);
    if (final && final_handler)
        final_handler(status);
    exit_release_list(&dead);
}

/* What the program asked to be told in its memory. The space is still there; bad addresses are its own affair. */
static void exit_tell_program(struct task *task)
{
    uint32_t zero = 0;

    if (!task->process->space)
        return;
    futex_exit_robust(task);
    /* Private and shared waiters of private memory have the same key here: one wake finds both. */
    if (task->clear_child_tid != 0 && user_store(task->clear_child_tid, &zero) == 0)
        futex_wake(task->clear_child_tid, true, 1, FUTEX_BITSET_ANY);
    task->clear_child_tid = 0;
}

static void exit_release_shared(struct task *task)
{
    struct process *process = task->process;

    spinlock_lock(&process->lock);
    struct fd_table *files = task->files;
    struct fs_state *fs = task->fs;
    task->files = NULL;
    task->fs = NULL;
    spinlock_unlock(&process->lock);
    if (files)
        fd_table_release(files);
    if (fs)
        fs_state_release(fs);
}

void task_exit(int code)
{
    struct task *task = task_current(), *other;
    struct process *process = task->process;
    uint64_t user_ns, system_ns;

    spinlock_lock(&process->lock);
    task->exiting = true;
    task->exit_code = code;
    bool last_alive = --process->tasks_alive == 0;
    if (!process->exiting && last_alive) {
        process->exiting = true;
        process->group_exit_code = code;
    }
    /* Signals to the process that were to be taken here are another task's now. */
    list_for_each(other, &process->tasks, process_link)
        if (other != task && process->pending.pending != 0)
            signal_update_flag(other);
    spinlock_unlock(&process->lock);

    exit_tell_program(task);
    if (last_alive)
        process_run_exit_hooks(process, false);
    exit_release_shared(task);
    task_times_get(task, &user_ns, &system_ns);

    spinlock_lock(&process_table_lock);
    spinlock_lock(&process->lock);
    process->times.user_ns += user_ns;
    process->times.system_ns += system_ns;
    process->switches_voluntary += task->thread->switches_voluntary;
    process->switches_involuntary += task->thread->switches_involuntary;
    signal_queue_clear(&task->pending);
    spinlock_unlock(&process->lock);
    process_table_remove_task(task);
    bool last = process->task_count == 0;
    spinlock_unlock(&process_table_lock);

    if (last)
        process_exit(process, process->exiting ? process->group_exit_code : code);
    else
        wait_queue_wake_all(&process->exit_wait, 0); /* exec waits to be alone */
    address_space_leave_cpu();
    task_bury(task);
    thread_exit();
}

void process_exit_group(int wait_status)
{
    struct task *task = task_current(), *other;
    struct process *process = task->process;

    spinlock_lock(&process->lock);
    if (!process->exiting && !(process->exec_task && process->exec_task != task)) {
        process->exiting = true;
        process->group_exit_code = wait_status;
        list_for_each(other, &process->tasks, process_link)
            if (other != task)
                task_notify(other);
        wait_queue_wake_all(&process->stop_wait, 0);
    }
    int status = process->exiting ? process->group_exit_code : wait_status;
    spinlock_unlock(&process->lock);
    task_exit(status);
}

void task_bury(struct task *task)
{
    task->thread->owner = NULL;
    task_release(task); /* the table's; the thread lives on by the scheduler's own reference */
}

void process_set_final(struct process *process)
{
    spinlock_lock(&process_table_lock);
    if (!final_process) {
        final_process = process;
        process_take(process);
    }
    spinlock_unlock(&process_table_lock);
}
