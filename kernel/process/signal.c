/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending signals, and the queues they wait in: one for each task, one for the process.
 *
 *   sent --(ignored)--> dropped
 *        --queued--> pending --a task that does not block it is notified--> taken on its way to user mode
 *
 * All of it under the target's process->lock, so from any context. Standard signals are pending at most once each; real-time
 * ones queue up to LIMIT_SIGPENDING. A stop signal cancels a pending SIGCONT and the other way round. What the notified
 * task's thread sees is one flag (its context's `interrupted`); it is cleared by that thread, under the lock, when nothing is left.
 */
#include "kernel/process/signal.h"

#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"

#define SIGNALS_STOP (SIGNAL_BIT(SIGNAL_STOP) | SIGNAL_BIT(SIGNAL_TSTP) | SIGNAL_BIT(SIGNAL_TTIN) | SIGNAL_BIT(SIGNAL_TTOU))
#define SIGNALS_IGNORED (SIGNAL_BIT(SIGNAL_CHLD) | SIGNAL_BIT(SIGNAL_URG) | SIGNAL_BIT(SIGNAL_WINCH) | SIGNAL_BIT(SIGNAL_CONT))
#define SIGNALS_TRAPS (SIGNAL_BIT(SIGNAL_SEGV) | SIGNAL_BIT(SIGNAL_BUS) | SIGNAL_BIT(SIGNAL_ILL) | SIGNAL_BIT(SIGNAL_TRAP) | \
                       SIGNAL_BIT(SIGNAL_FPE) | SIGNAL_BIT(SIGNAL_SYS))
#define SIGNAL_REAL_TIME 32

struct signal_entry {
    struct list link;
    struct signal_information information;
};

void signal_queue_init(struct signal_queue *queue)
{
    queue->pending = 0;
    queue->queued = 0;
    list_init(&queue->entries);
}

/* Drops the entries of the set's signals. */
static void signal_queue_drop(struct signal_queue *queue, uint64_t set)
{
    struct signal_entry *entry, *next;

    queue->pending &= ~set;
    list_for_each_safe(entry, next, &queue->entries, link) {
        if (!(set & SIGNAL_BIT(entry->information.number)))
            continue;
        list_remove(&entry->link);
        queue->queued--;
        memory_free(entry);
    }
}

void signal_queue_clear(struct signal_queue *queue)
{
    signal_queue_drop(queue, ~0ull);
}

/* The lowest signal of the set, traps first, as Linux orders them. */
static int signal_queue_take(struct signal_queue *queue, uint64_t set, struct signal_information *information)
{
    uint64_t ready = queue->pending & set;
    struct signal_entry *entry, *found = NULL;
    bool more = false;

    if (ready == 0)
        return 0;
    int number = (int)bits_lowest(ready & SIGNALS_TRAPS ? ready & SIGNALS_TRAPS : ready) + 1;
    list_for_each(entry, &queue->entries, link) {
        if (entry->information.number != number)
            continue;
        more = found != NULL;
        if (more)
            break;
        found = entry;
    }
    if (!more)
        queue->pending &= ~SIGNAL_BIT(number);
    if (found) {
        *information = found->information;
        list_remove(&found->link);
        queue->queued--;
        memory_free(found);
    } else { /* no memory was left for its information */
        *information = (struct signal_information){ .number = number };
    }
    return number;
}

/* A timer's signal is told how often it came since, and the timer goes on. */
static void signal_taken(struct process *process, int number, struct signal_information *information)
{
    if (number != 0 && information->code == SIGNAL_CODE_TIMER)
        posix_timer_delivered(process, information);
}

int signal_take(uint64_t set, struct signal_information *information)
{
    struct task *task = task_current();

    spinlock_lock(&task->process->lock);
    int number = signal_queue_take(&task->pending, set, information);
    if (number == 0)
        number = signal_queue_take(&task->process->pending, set, information);
    signal_taken(task->process, number, information);
    signal_update_flag(task);
    spinlock_unlock(&task->process->lock);
    return number;
}

uint64_t signal_ready_locked(const struct task *task)
{
    return (task->pending.pending | task->process->pending.pending) & ~task->signal_mask;
}

void signal_update_flag(struct task *task)
{
    struct process *process = task->process;
    bool wanted = signal_ready_locked(task) != 0 || process->exiting || process->stopped || task->exiting ||
                  (process->exec_task && process->exec_task != task);

    if (wanted && !atomic_load(&task->thread->context.interrupted))
        task_notify(task);
    else if (!wanted && task->thread == thread_current())
        thread_interrupt_clear();
}

bool signal_deliverable(void)
{
    struct task *task = task_current();

    spinlock_lock(&task->process->lock);
    signal_update_flag(task);
    spinlock_unlock(&task->process->lock);
    return atomic_load(&task->thread->context.interrupted);
}

/* Whether the process does nothing about it, so that it need not be queued. */
static bool signal_ignored(struct process *process, struct task *task, int number)
{
    struct task *first = task ? task : list_first(&process->tasks, struct task, process_link);

    if (number == SIGNAL_KILL || number == SIGNAL_STOP)
        return false;
    /* A blocked one may be waited for, or get a handler before it is let through. */
    if (first && ((first->signal_mask | first->waiting_mask) & SIGNAL_BIT(number)))
        return false;
    spinlock_lock(&process->handlers->lock);
    uint64_t handler = process->handlers->actions[number - 1].handler;
    spinlock_unlock(&process->handlers->lock);
    return handler == SIGNAL_HANDLER_IGNORE || (handler == SIGNAL_HANDLER_DEFAULT && (SIGNALS_IGNORED & SIGNAL_BIT(number)));
}

/* What sending it does at once, whatever becomes of it. process->lock held. True: the process was stopped and goes on. */
static bool signal_prepare(struct process *process, int number)
{
    struct task *task;
    uint64_t cancelled = SIGNALS_STOP & SIGNAL_BIT(number) ? SIGNAL_BIT(SIGNAL_CONT) : number == SIGNAL_CONT ? SIGNALS_STOP : 0;

    if (cancelled != 0) {
        signal_queue_drop(&process->pending, cancelled);
        list_for_each(task, &process->tasks, process_link)
            signal_queue_drop(&task->pending, cancelled);
    }
    if (!process->stopped || (number != SIGNAL_CONT && number != SIGNAL_KILL))
        return false;
    process->stopped = false;
    process->stop_unreported = false;
    process->continue_unreported = number == SIGNAL_CONT;
    wait_queue_wake_all(&process->stop_wait, 0);
    return number == SIGNAL_CONT;
}

/* A task that will take a signal sent to the process: one that does not block it, best one that is not busy with another. */
static struct task *signal_choose(struct process *process, int number)
{
    struct task *task, *any = NULL;

    list_for_each(task, &process->tasks, process_link) {
        if (task->exiting || ((task->signal_mask & SIGNAL_BIT(number)) && number != SIGNAL_KILL))
            continue;
        if (task->tid == process->pid || !atomic_load(&task->thread->context.interrupted))
            return task;
        if (!any)
            any = task;
    }
    return any;
}

static int signal_queue_add(struct process *process, struct signal_queue *queue, int number,
                            const struct signal_information *information)
{
    bool real_time = number >= SIGNAL_REAL_TIME;

    if (!real_time && (queue->pending & SIGNAL_BIT(number)))
        return 0;
    struct signal_entry *entry = NULL;
    /* Kernel-made ones (faults, children) are not counted against the program's limit. */
    if (queue->queued < process->limits[LIMIT_SIGPENDING].soft || !information || information->code > 0)
        entry = memory_allocate(sizeof(*entry));
    if (!entry && real_time && information && information->code != SIGNAL_CODE_USER)
        return -EAGAIN;
    if (entry) {
        if (information)
            entry->information = *information;
        else
            entry->information = (struct signal_information){ .code = SIGNAL_CODE_KERNEL };
        entry->information.number = number;
        list_add_last(&queue->entries, &entry->link);
        queue->queued++;
    }
    queue->pending |= SIGNAL_BIT(number);
    return 0;
}

int signal_send_locked(struct process *process, struct task *task, int number, const struct signal_information *information)
{
    assert(spinlock_held(&process->lock));
    if (process->zombie || list_empty(&process->tasks))
        return 0;
    signal_prepare(process, number);
    if (signal_ignored(process, task, number))
        return 0;
    int error = signal_queue_add(process, task ? &task->pending : &process->pending, number, information);
    if (error != 0)
        return error;
    struct task *taker = task ? task : signal_choose(process, number);
    if (taker && (!(taker->signal_mask & SIGNAL_BIT(number)) || number == SIGNAL_KILL))
        task_notify(taker);
    wait_queue_wake_all(&process->signal_wait, POLL_IN);
    return 0;
}

static int signal_send(struct process *process, struct task *task, int number, const struct signal_information *information)
{
    spinlock_lock(&process->lock);
    bool was_stopped = process->stopped;
    int error = signal_send_locked(process, task, number, information);
    bool continued = was_stopped && !process->stopped && number == SIGNAL_CONT;
    spinlock_unlock(&process->lock);
    if (continued)
        signal_process_continued(process);
    return error;
}

int signal_send_process(struct process *process, int number, const struct signal_information *information)
{
    return signal_send(process, NULL, number, information);
}

int signal_send_task(struct task *task, int number, const struct signal_information *information)
{
    return signal_send(task->process, task, number, information);
}

void signal_force(int number, const struct signal_information *information)
{
    struct task *task = task_current();
    struct process *process = task->process;

    spinlock_lock(&process->lock);
    spinlock_lock(&process->handlers->lock);
    struct signal_action *action = &process->handlers->actions[number - 1];
    bool blocked = task->signal_mask & SIGNAL_BIT(number);
    if (blocked || action->handler == SIGNAL_HANDLER_IGNORE)
        action->handler = SIGNAL_HANDLER_DEFAULT;
    spinlock_unlock(&process->handlers->lock);
    task->signal_mask &= ~SIGNAL_BIT(number);
    signal_queue_drop(&task->pending, SIGNAL_BIT(number)); /* this one's information is the true one */
    signal_queue_add(process, &task->pending, number, information);
    task_notify(task);
    spinlock_unlock(&process->lock);
}

uint64_t signal_pending_set(void)
{
    struct task *task = task_current();

    spinlock_lock(&task->process->lock);
    uint64_t pending = (task->pending.pending | task->process->pending.pending) & task->signal_mask;
    spinlock_unlock(&task->process->lock);
    return pending;
}

static bool signal_waited_ready(struct task *task, uint64_t set)
{
    spinlock_lock(&task->process->lock);
    bool ready = ((task->pending.pending | task->process->pending.pending) & set) != 0;
    spinlock_unlock(&task->process->lock);
    return ready;
}

long signal_wait(uint64_t set, uint64_t deadline_ns, struct signal_information *information)
{
    struct task *task = task_current();
    struct process *process = task->process;

    set &= ~(SIGNAL_BIT(SIGNAL_KILL) | SIGNAL_BIT(SIGNAL_STOP));
    int number = signal_take(set, information);
    if (number != 0)
        return number;
    /* Unblocked while it waits, so that senders choose this task; waiting_mask keeps them from being dropped as ignored. */
    spinlock_lock(&process->lock);
    uint64_t mask = task->signal_mask;
    task->waiting_mask = set & mask;
    task->signal_mask &= ~set;
    spinlock_unlock(&process->lock);
    int result = WAIT_UNTIL(&process->signal_wait, signal_waited_ready(task, set), deadline_ns, WAIT_INTERRUPTIBLE);
    spinlock_lock(&process->lock);
    task->signal_mask = mask;
    task->waiting_mask = 0;
    spinlock_unlock(&process->lock);
    number = signal_take(set, information);
    if (number != 0)
        return number;
    return result == -EINTR ? -EINTR : -EAGAIN;
}

void signal_mask_set(uint64_t mask)
{
    struct task *task = task_current();
    struct process *process = task->process;
    struct task *other;

    spinlock_lock(&process->lock);
    uint64_t newly_blocked = mask & ~task->signal_mask & process->pending.pending;
    task->signal_mask = mask & ~(SIGNAL_BIT(SIGNAL_KILL) | SIGNAL_BIT(SIGNAL_STOP));
    signal_update_flag(task);
    /* What this task was to take for the process is for another now. */
    if (newly_blocked != 0)
        list_for_each(other, &process->tasks, process_link)
            if (other != task && (newly_blocked & ~other->signal_mask) != 0)
                task_notify(other);
    spinlock_unlock(&process->lock);
}

void signal_mask_temporary(uint64_t mask)
{
    struct task *task = task_current();

    if (!task->restore_signal_mask) {
        task->saved_signal_mask = task->signal_mask;
        task->restore_signal_mask = task->thread->context.unfinished = true;
    }
    signal_mask_set(mask);
}

long signal_suspend(uint64_t mask)
{
    struct task *task = task_current();

    signal_mask_temporary(mask);
    WAIT_UNTIL(&task->process->stop_wait, signal_deliverable(), WAIT_FOREVER, WAIT_INTERRUPTIBLE);
    return -ERESTARTNOHAND;
}

int signal_handlers_create(const struct signal_handlers *from, struct signal_handlers **handlers)
{
    struct signal_handlers *fresh = memory_allocate_zeroed(sizeof(*fresh));

    if (!fresh)
        return -ENOMEM;
    reference_init(&fresh->reference);
    spinlock_init(&fresh->lock, "signal handlers", SIGNAL_HANDLERS_RANK);
    if (from) {
        struct signal_handlers *source = (struct signal_handlers *)(uintptr_t)from;
        spinlock_lock(&source->lock);
        memcpy(fresh->actions, source->actions, sizeof(fresh->actions));
        spinlock_unlock(&source->lock);
    }
    *handlers = fresh;
    return 0;
}

void signal_handlers_take(struct signal_handlers *handlers)
{
    reference_take(&handlers->reference);
}

void signal_handlers_release(struct signal_handlers *handlers)
{
    if (reference_release(&handlers->reference))
        memory_free(handlers);
}

long signal_action_set(int number, const struct signal_action *action, struct signal_action *old)
{
    struct process *process = process_current();
    struct task *task;

    if (number < 1 || number > SIGNAL_COUNT || (action && (number == SIGNAL_KILL || number == SIGNAL_STOP)))
        return -EINVAL;
    spinlock_lock(&process->lock);
    spinlock_lock(&process->handlers->lock);
    struct signal_action *slot = &process->handlers->actions[number - 1];
    if (old)
        *old = *slot;
    if (action) {
        *slot = *action;
        slot->mask &= ~(SIGNAL_BIT(SIGNAL_KILL) | SIGNAL_BIT(SIGNAL_STOP));
    }
    spinlock_unlock(&process->handlers->lock);
    /* POSIX: what is pending of a signal that becomes ignored goes. */
    if (action && (action->handler == SIGNAL_HANDLER_IGNORE ||
                   (action->handler == SIGNAL_HANDLER_DEFAULT && (SIGNALS_IGNORED & SIGNAL_BIT(number))))) {
        signal_queue_drop(&process->pending, SIGNAL_BIT(number));
        list_for_each(task, &process->tasks, process_link)
            signal_queue_drop(&task->pending, SIGNAL_BIT(number));
    }
    spinlock_unlock(&process->lock);
    return 0;
}

int signal_prepare_exec(struct process *process, struct signal_handlers **fresh)
{
    int error = signal_handlers_create(process->handlers, fresh);

    if (error != 0)
        return error;
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        struct signal_action *action = &(*fresh)->actions[i];
        uint64_t handler = action->handler == SIGNAL_HANDLER_IGNORE ? SIGNAL_HANDLER_IGNORE : SIGNAL_HANDLER_DEFAULT;
        *action = (struct signal_action){ .handler = handler };
    }
    return 0;
}
