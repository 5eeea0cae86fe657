/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V message queues: msgget, msgsnd, msgrcv, msgctl.
 *
 * A message is copied in before the table's lock is taken and copied out after it was unlinked and the lock dropped. Senders
 * and receivers sleep on the queue's wait queue and look again after each change; a removed queue lives until the last
 * sleeper has left (reference).
 */
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

#define QUEUES_MOST 32000u
#define MESSAGE_MOST 8192u
#define QUEUE_BYTES 16384u

struct message {
    struct list link; /* table.lock */
    int64_t type;
    size_t length_bytes;
    uint8_t bytes[];
};

/* Locks: t table.lock; f fixed. */
struct message_queue {
    struct ipc_object object;        /* t */
    struct reference reference;      /* one for the table, one for each sleeper */
    bool removed;                    /* t */
    uint32_t changes;                /* t */
    struct list messages;            /* t */
    uint64_t bytes, count, bytes_most; /* t */
    int64_t send_time, receive_time, change_time; /* t */
    int last_send_pid, last_receive_pid; /* t */
    struct wait_queue queue;
};

static struct ipc_table table;

int messages_init(void)
{
    ipc_table_init(&table, "System V messages", QUEUES_MOST);
    return 0;
}

static struct message_queue *queue_find(int id)
{
    struct ipc_object *object = ipc_find(&table, id);
    return object ? container_of(object, struct message_queue, object) : NULL;
}

static void queue_release(struct message_queue *queue)
{
    struct message *message, *following;
    if (!reference_release(&queue->reference))
        return;
    list_for_each_safe(message, following, &queue->messages, link)
        memory_free(message);
    memory_free(queue);
}

static void queue_changed(struct message_queue *queue)
{
    queue->changes++;
    wait_queue_wake_all(&queue->queue, 0);
}

long sys_msgget(int key, int flags)
{
    struct ipc_object *object;
    mutex_lock(&table.lock);
    long result = ipc_get(&table, key, flags, &object);
    if (result == 0) {
        result = object->id;
    } else if (result == 1) {
        struct message_queue *fresh = memory_allocate_zeroed(sizeof(*fresh));
        if (fresh) {
            reference_init(&fresh->reference);
            list_init(&fresh->messages);
            wait_queue_init(&fresh->queue);
            fresh->bytes_most = QUEUE_BYTES;
            fresh->change_time = ipc_now_seconds();
        }
        result = fresh ? ipc_add(&table, &fresh->object, key, flags) : -ENOMEM;
        if (result < 0)
            memory_free(fresh);
    }
    mutex_unlock(&table.lock);
    return result;
}

/* Sleeps until the queue changes, the lock dropped meanwhile: 0, -EIDRM, -ERESTARTNOHAND. */
static int queue_wait(struct message_queue *queue)
{
    uint32_t seen = queue->changes;
    reference_take(&queue->reference);
    mutex_unlock(&table.lock);
    int error = WAIT_UNTIL(&queue->queue, read_once(queue->changes) != seen, WAIT_FOREVER, WAIT_INTERRUPTIBLE);
    mutex_lock(&table.lock);
    bool removed = queue->removed;
    mutex_unlock(&table.lock);
    queue_release(queue);
    mutex_lock(&table.lock);
    return removed ? -EIDRM : error ? -ERESTARTNOHAND : 0;
}

static long message_put(int id, struct message *message, int flags)
{
    mutex_lock(&table.lock);
    for (;;) {
        struct message_queue *queue = queue_find(id);
        int error = queue ? ipc_permission(&queue->object, 2) : -EINVAL;
        if (!error && queue->bytes + message->length_bytes <= queue->bytes_most && queue->count + 1 <= queue->bytes_most) {
            list_add_last(&queue->messages, &message->link);
            queue->bytes += message->length_bytes;
            queue->count++;
            queue->last_send_pid = process_current()->pid;
            queue->send_time = ipc_now_seconds();
            queue_changed(queue);
            mutex_unlock(&table.lock);
            return 0;
        }
        if (!error)
            error = flags & LINUX_IPC_NOWAIT ? -EAGAIN : queue_wait(queue);
        if (error) {
            mutex_unlock(&table.lock);
            return error;
        }
    }
}

long sys_msgsnd(int id, uint64_t address, uint64_t length_bytes, int flags)
{
    int64_t type;
    if (user_load(&type, address))
        return -EFAULT;
    if (id < 0 || length_bytes > MESSAGE_MOST || type < 1)
        return -EINVAL;
    struct message *message = memory_allocate(sizeof(*message) + length_bytes);
    if (!message)
        return -ENOMEM;
    message->type = type;
    message->length_bytes = length_bytes;
    list_init(&message->link);
    long result = user_copy_in(message->bytes, address + sizeof(type), length_bytes);
    if (!result)
        result = message_put(id, message, flags);
    if (result)
        memory_free(message);
    return result;
}

/* type 0: the first; > 0: the first of that type (or, with MSG_EXCEPT, of another); < 0: the lowest up to -type. */
static struct message *message_choose(struct message_queue *queue, int64_t type, int flags)
{
    struct message *message, *best = NULL;
    uint64_t highest = type < 0 ? 0 - (uint64_t)type : 0;
    list_for_each(message, &queue->messages, link) {
        if (type == 0)
            return message;
        if (type > 0 && ((message->type == type) != ((flags & LINUX_MSG_EXCEPT) != 0)))
            return message;
        if (type < 0 && (uint64_t)message->type <= highest && (!best || message->type < best->type))
            best = message;
    }
    return best;
}

/* Unlinks the message to receive into *taken. */
static long message_take(int id, uint64_t room_bytes, int64_t type, int flags, struct message **taken)
{
    long error = 0;
    mutex_lock(&table.lock);
    while (!error) {
        struct message_queue *queue = queue_find(id);
        error = queue ? ipc_permission(&queue->object, 4) : -EINVAL;
        struct message *message = error ? NULL : message_choose(queue, type, flags);
        if (message && message->length_bytes > room_bytes && !(flags & LINUX_MSG_NOERROR)) {
            error = -E2BIG;
        } else if (message) {
            list_remove(&message->link);
            queue->bytes -= message->length_bytes;
            queue->count--;
            queue->last_receive_pid = process_current()->pid;
            queue->receive_time = ipc_now_seconds();
            queue_changed(queue);
            *taken = message;
            break;
        } else if (!error) {
            error = flags & LINUX_IPC_NOWAIT ? -ENOMSG : queue_wait(queue);
        }
    }
    mutex_unlock(&table.lock);
    return error;
}

long sys_msgrcv(int id, uint64_t address, uint64_t room_bytes, int64_t type, int flags)
{
    struct message *message;
    if (id < 0 || (int64_t)room_bytes < 0)
        return -EINVAL;
    if (flags & LINUX_MSG_COPY)
        return flags & LINUX_MSG_EXCEPT || !(flags & LINUX_IPC_NOWAIT) ? -EINVAL : -ENOSYS; /* checkpointing only */
    long error = message_take(id, room_bytes, type, flags, &message);
    if (error)
        return error;
    size_t length = (size_t)minimum((uint64_t)message->length_bytes, room_bytes);
    bool failed = user_store(address, &message->type) || user_copy_out(address + sizeof(message->type), message->bytes, length);
    memory_free(message);
    return failed ? -EFAULT : (long)length;
}

static long queue_status(int id, int command, uint64_t address)
{
    struct linux_msqid answer = { 0 };
    mutex_lock(&table.lock);
    struct ipc_object *object = command == LINUX_IPC_STAT ? ipc_find(&table, id) : ipc_find_slot(&table, id);
    struct message_queue *queue = object ? container_of(object, struct message_queue, object) : NULL;
    long result = !queue ? -EINVAL : command == LINUX_MSG_STAT_ANY ? 0 : ipc_permission(object, 4);
    if (!result) {
        ipc_fill(&answer.permissions, object);
        answer.send_time = queue->send_time;
        answer.receive_time = queue->receive_time;
        answer.change_time = queue->change_time;
        answer.bytes = queue->bytes;
        answer.count = queue->count;
        answer.bytes_most = queue->bytes_most;
        answer.last_send_pid = queue->last_send_pid;
        answer.last_receive_pid = queue->last_receive_pid;
        result = command == LINUX_IPC_STAT ? 0 : object->id;
    }
    mutex_unlock(&table.lock);
    if (result >= 0 && user_store(address, &answer))
        return -EFAULT;
    return result;
}

static long queue_change(int id, int command, const struct linux_msqid *wanted)
{
    mutex_lock(&table.lock);
    struct message_queue *queue = queue_find(id);
    int error = queue ? ipc_owner(&queue->object) : -EINVAL;
    bool drop = !error && command == LINUX_IPC_RMID;
    if (!error && !drop && wanted->bytes_most > QUEUE_BYTES && !task_capable(CAPABILITY_SYS_RESOURCE))
        error = -EPERM;
    if (drop) {
        ipc_remove(&table, &queue->object);
        queue->removed = true;
        queue_changed(queue);
    } else if (!error) {
        ipc_set(&queue->object, &wanted->permissions);
        queue->bytes_most = wanted->bytes_most;
        queue->change_time = ipc_now_seconds();
        queue_changed(queue);
    }
    mutex_unlock(&table.lock);
    if (drop)
        queue_release(queue);
    return error;
}

static long table_information(int command, uint64_t address)
{
    struct linux_msginfo answer = { .pool_kib = QUEUES_MOST * QUEUE_BYTES / 1024, .map = QUEUE_BYTES, .message_most = MESSAGE_MOST,
                                    .queue_bytes = QUEUE_BYTES, .queues_most = QUEUES_MOST, .segment_bytes = 16,
                                    .messages_all = QUEUE_BYTES, .segments_most = 0xffff };
    mutex_lock(&table.lock);
    int highest = ipc_highest(&table);
    if (command == LINUX_MSG_INFO) {
        answer.pool_kib = (int32_t)table.used;
        answer.map = answer.messages_all = 0;
        for (int slot = 0; slot <= highest; slot++) {
            struct ipc_object *object = ipc_find_slot(&table, slot);
            struct message_queue *queue = object ? container_of(object, struct message_queue, object) : NULL;
            answer.map += queue ? (int32_t)queue->count : 0;
            answer.messages_all += queue ? (int32_t)queue->bytes : 0;
        }
    }
    mutex_unlock(&table.lock);
    return user_store(address, &answer) ? -EFAULT : maximum(highest, 0);
}

long sys_msgctl(int id, int command, uint64_t buffer)
{
    struct linux_msqid wanted;
    if (id < 0 || command < 0)
        return -EINVAL;
    switch (command) {
    case LINUX_IPC_INFO:
    case LINUX_MSG_INFO:
        return table_information(command, buffer);
    case LINUX_IPC_STAT:
    case LINUX_MSG_STAT:
    case LINUX_MSG_STAT_ANY:
        return queue_status(id, command, buffer);
    case LINUX_IPC_SET:
        if (user_load(&wanted, buffer))
            return -EFAULT;
        return queue_change(id, command, &wanted);
    case LINUX_IPC_RMID:
        return queue_change(id, command, NULL);
    default:
        return -EINVAL;
    }
}
