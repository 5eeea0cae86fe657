/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is there: processes by pid, tasks by tid, groups and sessions.
 *
 * Everything hangs on process_table_lock. A process is in the table, and referenced by it, from its creation until it is
 * reaped; a task until it ends. Numbers go up and round; one is free when no task, process, group or session bears it.
 */
#include "kernel/base/error.h"
#include "kernel/process/process_internal.h"

#define BUCKET_COUNT 256u
#define ID_FIRST 2
#define ID_AGAIN 300      /* where numbers start over */
#define ID_LIMIT 32768

struct spinlock process_table_lock = SPINLOCK_INITIALIZER("process table", PROCESS_TABLE_RANK);
static struct list task_buckets[BUCKET_COUNT];     /* process_table_lock */
static struct list process_buckets[BUCKET_COUNT];  /* process_table_lock */
static struct list all_processes = LIST_INITIALIZER(all_processes); /* process_table_lock */
static int next_id = ID_FIRST;                     /* process_table_lock */
static unsigned int processes;                     /* process_table_lock */

static struct list *bucket_of(struct list *buckets, int id)
{
    struct list *bucket = &buckets[(unsigned int)id % BUCKET_COUNT];

    if (unlikely(!bucket->next))
        list_init(bucket);
    return bucket;
}

struct process *process_find_locked(int pid)
{
    struct process *process;

    list_for_each(process, bucket_of(process_buckets, pid), table_link)
        if (process->pid == pid)
            return process;
    return NULL;
}

static struct task *task_find_locked(int tid)
{
    struct task *task;

    list_for_each(task, bucket_of(task_buckets, tid), table_link)
        if (task->tid == tid)
            return task;
    return NULL;
}

static bool id_names_group(int id)
{
    struct process *process;

    list_for_each(process, &all_processes, all_link)
        if (process->group_id == id || process->session_id == id)
            return true;
    return false;
}

static bool id_used(int id)
{
    return process_find_locked(id) || task_find_locked(id) || id_names_group(id);
}

int process_table_new_id(int wanted, int *id)
{
    assert(spinlock_held(&process_table_lock));
    if (wanted != 0) {
        if (wanted < 0 || wanted >= ID_LIMIT)
            return -EINVAL;
        *id = wanted;
        return wanted < ID_FIRST || id_used(wanted) ? -EEXIST : 0;
    }
    for (int tries = 0; tries < ID_LIMIT; tries++) {
        int candidate = next_id++;
        if (next_id >= ID_LIMIT)
            next_id = ID_AGAIN;
        if (!id_used(candidate)) {
            *id = candidate;
            return 0;
        }
    }
    return -EAGAIN;
}

void process_table_add(struct process *process)
{
    list_add_last(bucket_of(process_buckets, process->pid), &process->table_link);
    list_add_last(&all_processes, &process->all_link);
    processes++;
}

void process_table_remove(struct process *process)
{
    list_remove(&process->table_link);
    list_remove(&process->all_link);
    list_remove(&process->sibling_link);
    processes--;
}

void process_table_add_task(struct task *task)
{
    struct process *process = task->process;

    list_add_last(bucket_of(task_buckets, task->tid), &task->table_link);
    spinlock_lock(&process->lock);
    list_add_last(&process->tasks, &task->process_link);
    process->task_count++;
    process->tasks_alive++;
    spinlock_unlock(&process->lock);
}

void process_table_remove_task(struct task *task)
{
    struct process *process = task->process;

    list_remove(&task->table_link);
    spinlock_lock(&process->lock);
    list_remove(&task->process_link);
    process->task_count--;
    spinlock_unlock(&process->lock);
}

struct process *process_find(int pid)
{
    spinlock_lock(&process_table_lock);
    /* Process 1 is the kernel: it can be asked about, and kill() can be refused, but it is in no list. */
    struct process *process = pid == 1 ? process_kernel : pid > 0 ? process_find_locked(pid) : NULL;
    if (process)
        process_take(process);
    spinlock_unlock(&process_table_lock);
    return process;
}

struct task *task_find(int tid)
{
    spinlock_lock(&process_table_lock);
    struct task *task = tid > 0 ? task_find_locked(tid) : NULL;
    if (task)
        task_take(task);
    spinlock_unlock(&process_table_lock);
    return task;
}

struct process *process_next(int pid)
{
    struct process *process, *best = NULL;

    spinlock_lock(&process_table_lock);
    list_for_each(process, &all_processes, all_link)
        if (process->pid >= pid && (!best || process->pid < best->pid))
            best = process;
    if (best)
        process_take(best);
    spinlock_unlock(&process_table_lock);
    return best;
}

struct task *task_next(struct process *process, int tid)
{
    struct task *task, *best = NULL;

    spinlock_lock(&process->lock);
    list_for_each(task, &process->tasks, process_link)
        if (task->tid >= tid && (!best || task->tid < best->tid))
            best = task;
    if (best)
        task_take(best);
    spinlock_unlock(&process->lock);
    return best;
}

void process_for_each(void (*visit)(struct process *process, void *context), void *context)
{
    struct process *process;

    spinlock_lock(&process_table_lock);
    list_for_each(process, &all_processes, all_link)
        visit(process, context);
    spinlock_unlock(&process_table_lock);
}

void task_for_each(struct process *process, void (*visit)(struct task *task, void *context), void *context)
{
    struct task *task;

    spinlock_lock(&process_table_lock);
    list_for_each(task, &process->tasks, process_link)
        visit(task, context);
    spinlock_unlock(&process_table_lock);
}

void process_group_for_each(int group_id, void (*visit)(struct process *process, void *context), void *context)
{
    struct process *process;

    list_for_each(process, &all_processes, all_link)
        if (process->group_id == group_id)
            visit(process, context);
}

bool process_group_exists(int group_id, int session_id)
{
    struct process *process;

    list_for_each(process, &all_processes, all_link)
        if (process->group_id == group_id && process->session_id == session_id)
            return true;
    return false;
}

int process_last_id(void)
{
    return read_once(next_id) - 1;
}

unsigned int process_count(void)
{
    spinlock_lock(&process_table_lock);
    unsigned int count = processes;
    spinlock_unlock(&process_table_lock);
    return count;
}
