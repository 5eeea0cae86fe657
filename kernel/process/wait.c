/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait4 and waitid, and the kernel's own waiting for programs it started.
 *
 * The children are looked through under the process table lock; sleepers wait on the parent's child_wait, which every
 * change of a child's state wakes.
 */
#include "kernel/base/error.h"
#include "kernel/process/process_internal.h"

#define WAIT_NO_HANG 1u
#define WAIT_STOPPED 2u
#define WAIT_EXITED 4u
#define WAIT_CONTINUED 8u
#define WAIT_NO_REAP 0x01000000u
#define WAIT_ALL_KINDS 0x40000000u
#define WAIT_CLONES 0x80000000u

enum { WAIT_TYPE_ALL = 0, WAIT_TYPE_PID = 1, WAIT_TYPE_GROUP = 2 };

struct wait_search {
    struct process *self;
    int type, which;
    unsigned int options;
    struct wait_result *result;
    bool any;               /* there is a child that could change */
    struct process *reaped; /* to be released without the lock */
};

static bool wait_matches(const struct wait_search *search, const struct process *child)
{
    if (search->type == WAIT_TYPE_PID && child->pid != search->which)
        return false;
    if (search->type == WAIT_TYPE_GROUP && child->group_id != (search->which == 0 ? search->self->group_id : search->which))
        return false;
    if (search->options & WAIT_ALL_KINDS)
        return true;
    return (child->exit_signal != SIGNAL_CHLD) == !!(search->options & WAIT_CLONES);
}

static void wait_fill(struct wait_result *result, struct process *child, int code, int status, int wait_status)
{
    *result = (struct wait_result){ .pid = child->pid, .code = code, .status = status, .wait_status = wait_status };
    result->uid = (int)process_uid(child);
    process_times_get(child, &result->times);
    spinlock_lock(&child->lock);
    result->peak_pages = maximum(child->peak_pages, child->space ? child->space->resident_peak_pages : 0);
    spinlock_unlock(&child->lock);
}

/* True when the child has something to tell. Locked. */
static bool wait_look(struct wait_search *search, struct process *child)
{
    unsigned int options = search->options;

    if (child->zombie && (options & WAIT_EXITED)) {
        int low = child->exit_status & 0x7f;
        int code = low == 0 ? CHILD_EXITED : (child->exit_status & 0x80) ? CHILD_DUMPED : CHILD_KILLED;
        wait_fill(search->result, child, code, low == 0 ? (child->exit_status >> 8) & 0xff : low, child->exit_status);
        if (!(options & WAIT_NO_REAP)) {
            process_reap_locked(child);
            search->reaped = child;
        }
        return true;
    }
    bool told = false;
    spinlock_lock(&child->lock);
    bool stopped = child->stopped && child->stop_unreported && (options & WAIT_STOPPED);
    bool continued = !stopped && child->continue_unreported && (options & WAIT_CONTINUED);
    int signal = child->stop_signal;
    if (stopped && !(options & WAIT_NO_REAP))
        child->stop_unreported = false;
    if (continued && !(options & WAIT_NO_REAP))
        child->continue_unreported = false;
    told = stopped || continued;
    spinlock_unlock(&child->lock);
    if (stopped)
        wait_fill(search->result, child, CHILD_STOPPED, signal, WAIT_STATUS_STOPPED(signal));
    else if (continued)
        wait_fill(search->result, child, CHILD_CONTINUED, SIGNAL_CONT, WAIT_STATUS_CONTINUED);
    return told;
}

static bool wait_search(struct wait_search *search)
{
    struct process *child;
    bool found = false;

    search->any = false;
    spinlock_lock(&process_table_lock);
    list_for_each(child, &search->self->children, sibling_link) {
        if (!wait_matches(search, child))
            continue;
        search->any = true;
        found = wait_look(search, child);
        if (found)
            break;
    }
    spinlock_unlock(&process_table_lock);
    return found;
}

long process_wait(int which_type, int which, unsigned int options, struct wait_result *result)
{
    struct wait_search search = { .self = process_current(), .type = which_type, .which = which, .options = options,
                                  .result = result };
    bool found = false;

    *result = (struct wait_result){ 0 };
    int error = WAIT_UNTIL(&search.self->child_wait,
                           (found = wait_search(&search)) || !search.any || (options & WAIT_NO_HANG), WAIT_FOREVER,
                           WAIT_INTERRUPTIBLE);
    if (search.reaped)
        process_release(search.reaped);
    if (found)
        return result->pid;
    if (error != 0)
        return -ERESTARTSYS;
    return search.any ? 0 : -ECHILD;
}

int process_wait_kernel(struct process *process)
{
    WAIT_UNTIL(&process->exit_wait, read_once(process->zombie), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    spinlock_lock(&process_table_lock);
    int status = process->exit_status;
    bool listed = list_linked(&process->table_link);
    if (listed)
        process_reap_locked(process);
    spinlock_unlock(&process_table_lock);
    if (listed)
        process_release(process);
    return status;
}
