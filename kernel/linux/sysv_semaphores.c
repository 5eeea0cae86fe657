/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V semaphores: semget, semop, semtimedop, semctl, and SEM_UNDO.
 *
 * A list of operations is tried as a whole on the set, with the table's lock held; where it would block, the caller sleeps
 * on the set's queue and tries again after every change. Undo values are kept for each process and set, and given back by
 * the exit hook. A removed set lives until its last sleeper has left (reference), so that sleepers can see EIDRM.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/sysv_ipc.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/sched/wait_queue.h"
#include "xen/x86/user_access.h"

#define SETS_MOST 32000u
#define PER_SET_MOST 32000
#define OPERATIONS_MOST 500u
#define VALUE_MOST 32767
#define FEW_OPERATIONS 16

struct semaphore {
    uint16_t value;
    int32_t last_pid;
    uint32_t waiting_increase, waiting_zero; /* sleepers whose first blocked operation is on this one */
};

/* Locks: t table.lock; f fixed. */
struct semaphore_set {
    struct ipc_object object;        /* t */
    struct reference reference;      /* one for the table, one for each sleeper */
    bool removed;                    /* t */
    uint32_t changes;                /* t counts every change: what sleepers wait for */
    int count;                       /* f */
    int64_t operation_time, change_time; /* t */
    struct wait_queue queue;
    struct list undos;               /* t */
    struct semaphore semaphores[];   /* t */
};

/* What one process has to give back to one set. Locks: t. */
struct undo {
    struct list link;
    const struct process *process;
    int16_t adjust[];
};

static struct ipc_table table;

static struct semaphore_set *set_find(int id)
{
    struct ipc_object *object = ipc_find(&table, id);
    return object ? container_of(object, struct semaphore_set, object) : NULL;
}

static void set_release(struct semaphore_set *set)
{
    if (reference_release(&set->reference))
        memory_free(set);
}

static void set_changed(struct semaphore_set *set)
{
    set->changes++;
    wait_queue_wake_all(&set->queue, 0);
}

static struct semaphore_set *set_create(int count)
{
    struct semaphore_set *set = memory_allocate_zeroed(sizeof(*set) + (size_t)count * sizeof(set->semaphores[0]));
    if (!set)
        return NULL;
    reference_init(&set->reference);
    wait_queue_init(&set->queue);
    list_init(&set->undos);
    set->count = count;
    set->change_time = ipc_now_seconds();
    return set;
}

long sys_semget(int key, int count, int flags)
{
    struct ipc_object *object;
    struct semaphore_set *fresh = NULL;
    if (count < 0 || count > PER_SET_MOST)
        return -EINVAL;
    mutex_lock(&table.lock);
    long result = ipc_get(&table, key, flags, &object);
    if (result == 0)
        result = count > container_of(object, struct semaphore_set, object)->count ? -EINVAL : object->id;
    else if (result == 1 && count == 0)
        result = -EINVAL;
    else if (result == 1) {
        fresh = set_create(count);
        result = fresh ? ipc_add(&table, &fresh->object, key, flags) : -ENOMEM;
        if (result < 0)
            memory_free(fresh);
    }
    mutex_unlock(&table.lock);
    return result;
}

/* The caller's undo list for the set, made when missing. NULL: out of memory. Lock held. */
static struct undo *undo_get(struct semaphore_set *set)
{
    struct undo *undo;
    list_for_each(undo, &set->undos, link)
        if (undo->process == process_current())
            return undo;
    undo = memory_allocate_zeroed(sizeof(*undo) + (size_t)set->count * sizeof(undo->adjust[0]));
    if (undo) {
        undo->process = process_current();
        list_add_last(&set->undos, &undo->link);
    }
    return undo;
}

/*
 * Tries all operations: 0 and applied, 1 with *blocked set to the index of the one that would block, or -ERANGE. Applies
 * as it goes and takes back what it did where it cannot finish.
 */
static int operations_try(struct semaphore_set *set, const struct linux_sembuf *operations, size_t count, struct undo *undo, size_t *blocked)
{
    int result = 0;
    size_t done = 0;
    for (; done < count; done++) {
        const struct linux_sembuf *operation = &operations[done];
        struct semaphore *semaphore = &set->semaphores[operation->index];
        int value = semaphore->value + operation->change;
        if ((operation->change == 0 && semaphore->value != 0) || value < 0) {
            *blocked = done;
            result = operation->flags & LINUX_IPC_NOWAIT ? -EAGAIN : 1;
            break;
        }
        int adjust = undo && (operation->flags & LINUX_SEM_UNDO) ? undo->adjust[operation->index] - operation->change : 0;
        if (value > VALUE_MOST || adjust > VALUE_MOST || adjust < -VALUE_MOST - 1) {
            result = -ERANGE;
            break;
        }
        semaphore->value = (uint16_t)value;
        if (undo && (operation->flags & LINUX_SEM_UNDO))
            undo->adjust[operation->index] = (int16_t)adjust;
    }
    if (result == 0) {
        for (size_t i = 0; i < count; i++)
            set->semaphores[operations[i].index].last_pid = process_current()->pid;
        return 0;
    }
    while (done-- > 0) {
        const struct linux_sembuf *operation = &operations[done];
        set->semaphores[operation->index].value = (uint16_t)(set->semaphores[operation->index].value - operation->change);
        if (undo && (operation->flags & LINUX_SEM_UNDO))
            undo->adjust[operation->index] = (int16_t)(undo->adjust[operation->index] + operation->change);
    }
    return result;
}

static int operations_check(const struct semaphore_set *set, const struct linux_sembuf *operations, size_t count, bool *undo)
{
    bool changes = false;
    *undo = false;
    for (size_t i = 0; i < count; i++) {
        if (operations[i].index >= set->count)
            return -EFBIG;
        changes |= operations[i].change != 0;
        *undo |= (operations[i].flags & LINUX_SEM_UNDO) != 0;
    }
    return ipc_permission(&set->object, changes ? 2 : 4);
}

/* Sleeps until the set changes; the lock is dropped meanwhile. 0, -EIDRM, -EAGAIN (time is up), -EINTR. */
static int set_wait(struct semaphore_set *set, const struct linux_sembuf *blocked, uint64_t deadline_ns)
{
    struct semaphore *semaphore = &set->semaphores[blocked->index];
    uint32_t *waiting = blocked->change == 0 ? &semaphore->waiting_zero : &semaphore->waiting_increase;
    uint32_t seen = set->changes;
    (*waiting)++;
    mutex_unlock(&table.lock);
    int error = WAIT_UNTIL(&set->queue, read_once(set->changes) != seen, deadline_ns, WAIT_INTERRUPTIBLE);
    mutex_lock(&table.lock);
    (*waiting)--;
    if (set->removed)
        return -EIDRM;
    return error == -ETIMEDOUT ? -EAGAIN : error;
}

static long operations_run(int id, const struct linux_sembuf *operations, size_t count, uint64_t deadline_ns)
{
    bool wants_undo;
    size_t blocked = 0;
    mutex_lock(&table.lock);
    struct semaphore_set *set = set_find(id);
    int result = set ? operations_check(set, operations, count, &wants_undo) : -EINVAL;
    if (result) {
        mutex_unlock(&table.lock);
        return result;
    }
    reference_take(&set->reference);
    struct undo *undo = wants_undo ? undo_get(set) : NULL;
    result = wants_undo && !undo ? -ENOMEM : 1;
    while (result == 1) {
        result = operations_try(set, operations, count, undo, &blocked);
        if (result == 1) {
            int error = set_wait(set, &operations[blocked], deadline_ns);
            result = error ? error : 1;
        }
    }
    if (result == 0) {
        set->operation_time = ipc_now_seconds();
        set_changed(set);
    }
    mutex_unlock(&table.lock);
    set_release(set);
    return result;
}

static long operations_call(int id, uint64_t address, uint32_t count, uint64_t deadline_ns)
{
    struct linux_sembuf few[FEW_OPERATIONS], *operations = few;
    if (count < 1 || id < 0)
        return -EINVAL;
    if (count > OPERATIONS_MOST)
        return -E2BIG;
    if (count > FEW_OPERATIONS && !(operations = memory_allocate(count * sizeof(few[0]))))
        return -ENOMEM;
    long result = user_copy_in(operations, address, count * sizeof(few[0]));
    if (!result)
        result = operations_run(id, operations, count, deadline_ns);
    if (operations != few)
        memory_free(operations);
    return result;
}

/* Neither call is ever restarted after a handler. */
long sys_semop(int id, uint64_t operations, uint32_t count)
{
    return operations_call(id, operations, count, WAIT_FOREVER);
}

long sys_semtimedop(int id, uint64_t operations, uint32_t count, uint64_t timeout)
{
    uint64_t deadline_ns;
    int error = timeout_argument(timeout, &deadline_ns);
    return error ? error : operations_call(id, operations, count, deadline_ns);
}

/* Gives back what the process owes to every set. */
static void exit_hook(struct process *process, bool at_exec)
{
    if (at_exec || !table.ready)
        return;
    mutex_lock(&table.lock);
    for (int slot = ipc_highest(&table); slot >= 0; slot--) {
        struct ipc_object *object = ipc_find_slot(&table, slot);
        if (!object)
            continue;
        struct semaphore_set *set = container_of(object, struct semaphore_set, object);
        struct undo *undo, *following;
        list_for_each_safe(undo, following, &set->undos, link) {
            if (undo->process != process)
                continue;
            for (int i = 0; i < set->count; i++) {
                int value = set->semaphores[i].value + undo->adjust[i];
                if (undo->adjust[i] == 0)
                    continue;
                set->semaphores[i].value = (uint16_t)maximum(minimum(value, VALUE_MOST), 0);
                set->semaphores[i].last_pid = process->pid;
            }
            list_remove(&undo->link);
            memory_free(undo);
            set->operation_time = ipc_now_seconds();
            set_changed(set);
        }
    }
    mutex_unlock(&table.lock);
}

int semaphores_init(void)
{
    ipc_table_init(&table, "System V semaphores", SETS_MOST);
    return process_register_exit_hook(exit_hook);
}

/* A value set by hand cancels what processes would give back for it. */
static void undo_forget(struct semaphore_set *set, int first, int count)
{
    struct undo *undo;
    list_for_each(undo, &set->undos, link)
        memset(undo->adjust + first, 0, (size_t)count * sizeof(undo->adjust[0]));
}

static void set_remove(struct semaphore_set *set)
{
    struct undo *undo, *following;
    ipc_remove(&table, &set->object);
    list_for_each_safe(undo, following, &set->undos, link) {
        list_remove(&undo->link);
        memory_free(undo);
    }
    set->removed = true;
    set_changed(set);
}

/* GETPID, GETVAL, GETNCNT, GETZCNT, SETVAL on one semaphore. */
static long one_command(int id, int index, int command, int value)
{
    mutex_lock(&table.lock);
    struct semaphore_set *set = set_find(id);
    long result = !set ? -EINVAL : ipc_permission(&set->object, command == LINUX_SETVAL ? 2 : 4);
    if (!result && (index < 0 || index >= set->count))
        result = -EINVAL;
    if (!result && command == LINUX_SETVAL && (value < 0 || value > VALUE_MOST))
        result = -ERANGE;
    if (!result) {
        struct semaphore *semaphore = &set->semaphores[index];
        if (command == LINUX_SETVAL) {
            semaphore->value = (uint16_t)value;
            semaphore->last_pid = process_current()->pid;
            undo_forget(set, index, 1);
            set->change_time = ipc_now_seconds();
            set_changed(set);
        } else {
            result = command == LINUX_GETPID ? semaphore->last_pid : command == LINUX_GETVAL ? semaphore->value :
                     command == LINUX_GETNCNT ? (long)semaphore->waiting_increase : (long)semaphore->waiting_zero;
        }
    }
    mutex_unlock(&table.lock);
    return result;
}

/* GETALL and SETALL; the values pass through memory of the kernel's, sized before the lock is taken for good. */
static long all_command(int id, int command, uint64_t address)
{
    bool set_all = command == LINUX_SETALL;
    mutex_lock(&table.lock);
    struct semaphore_set *set = set_find(id);
    int count = set ? set->count : 0;
    mutex_unlock(&table.lock);
    if (count == 0)
        return -EINVAL;
    size_t bytes = (size_t)count * sizeof(uint16_t);
    uint16_t *values = memory_allocate(bytes);
    if (!values)
        return -ENOMEM;
    long result = set_all ? user_copy_in(values, address, bytes) : 0;
    for (int i = 0; set_all && !result && i < count; i++)
        if (values[i] > VALUE_MOST)
            result = -ERANGE;
    mutex_lock(&table.lock);
    set = set_find(id);
    if (!result)
        result = !set || set->count != count ? -EIDRM : ipc_permission(&set->object, set_all ? 2 : 4);
    for (int i = 0; !result && i < count; i++) {
        if (set_all) {
            set->semaphores[i].value = values[i];
            set->semaphores[i].last_pid = process_current()->pid;
        } else {
            values[i] = set->semaphores[i].value;
        }
    }
    if (!result && set_all) {
        undo_forget(set, 0, count);
        set->change_time = ipc_now_seconds();
        set_changed(set);
    }
    mutex_unlock(&table.lock);
    if (!result && !set_all)
        result = user_copy_out(address, values, bytes);
    memory_free(values);
    return result;
}

static long set_status(int id, int command, uint64_t address)
{
    struct linux_semid answer = { 0 };
    mutex_lock(&table.lock);
    struct ipc_object *object = command == LINUX_IPC_STAT ? ipc_find(&table, id) : ipc_find_slot(&table, id);
    struct semaphore_set *set = object ? container_of(object, struct semaphore_set, object) : NULL;
    long result = !set ? -EINVAL : command == LINUX_SEM_STAT_ANY ? 0 : ipc_permission(object, 4);
    if (!result) {
        ipc_fill(&answer.permissions, object);
        answer.operation_time = set->operation_time;
        answer.change_time = set->change_time;
        answer.count = (uint64_t)set->count;
        result = command == LINUX_IPC_STAT ? 0 : object->id;
    }
    mutex_unlock(&table.lock);
    if (result >= 0 && user_store(address, &answer))
        return -EFAULT;
    return result;
}

static long set_change(int id, int command, const struct linux_semid *wanted)
{
    mutex_lock(&table.lock);
    struct semaphore_set *set = set_find(id);
    int error = set ? ipc_owner(&set->object) : -EINVAL;
    bool drop = !error && command == LINUX_IPC_RMID;
    if (drop) {
        set_remove(set);
    } else if (!error) {
        ipc_set(&set->object, &wanted->permissions);
        set->change_time = ipc_now_seconds();
    }
    mutex_unlock(&table.lock);
    if (drop)
        set_release(set);
    return error;
}

static long table_information(int command, uint64_t address)
{
    struct linux_seminfo answer = { .map = SETS_MOST, .sets_most = SETS_MOST, .all_most = INT32_MAX, .undo_structs = INT32_MAX, .per_set_most = PER_SET_MOST,
                                    .operations_most = OPERATIONS_MOST, .undo_entries = OPERATIONS_MOST, .undo_bytes = 20, .value_most = VALUE_MOST, .adjust_most = VALUE_MOST };
    mutex_lock(&table.lock);
    int highest = ipc_highest(&table);
    if (command == LINUX_SEM_INFO) {
        answer.undo_bytes = (int32_t)table.used;
        answer.adjust_most = 0;
        for (int slot = 0; slot <= highest; slot++) {
            struct ipc_object *object = ipc_find_slot(&table, slot);
            answer.adjust_most += object ? container_of(object, struct semaphore_set, object)->count : 0;
        }
    }
    mutex_unlock(&table.lock);
    return user_store(address, &answer) ? -EFAULT : maximum(highest, 0);
}

long sys_semctl(int id, int index, int command, uint64_t argument)
{
    struct linux_semid wanted;
    if (id < 0)
        return -EINVAL;
    switch (command) {
    case LINUX_IPC_INFO:
    case LINUX_SEM_INFO:
        return table_information(command, argument);
    case LINUX_IPC_STAT:
    case LINUX_SEM_STAT:
    case LINUX_SEM_STAT_ANY:
        return set_status(id, command, argument);
    case LINUX_GETALL:
    case LINUX_SETALL:
        return all_command(id, command, argument);
    case LINUX_GETPID:
    case LINUX_GETVAL:
    case LINUX_GETNCNT:
    case LINUX_GETZCNT:
    case LINUX_SETVAL:
        return one_command(id, index, command, (int)argument);
    case LINUX_IPC_SET:
        if (user_load(&wanted, argument))
            return -EFAULT;
        return set_change(id, command, &wanted);
    case LINUX_IPC_RMID:
        return set_change(id, command, NULL);
    default:
        return -EINVAL;
    }
}
