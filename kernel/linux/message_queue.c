/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX message queues. A list of names leads to reference-counted queues; a queue that was unlinked lives while files refer
 * to it. Senders sleep on not_full, receivers on not_empty; both look again under the queue's lock.
 *
 * Lock order: names_lock, then a queue's lock, then a process's lock (signals).
 */
#include "kernel/linux/message_queue.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/abi/mqueue.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/vfs/poll.h"

/* Linux's defaults (/proc/sys/fs/mqueue), and what the privileged may have. */
#define QUEUES_MOST 256u
#define MESSAGES_DEFAULT 10u
#define MESSAGES_PRIVILEGED 65536u
#define BYTES_DEFAULT 8192u
#define BYTES_PRIVILEGED (16u << 20)
#define MESSAGE_OVERHEAD 96u

static struct mutex names_lock;
static struct list names = LIST_INITIALIZER(names); /* names_lock */
static uint32_t name_count;                         /* names_lock */

int message_queues_init(void)
{
    mutex_init(&names_lock, "message queue names", 0);
    return 0;
}

static struct message_queue *name_find(const char *name)
{
    struct message_queue *queue;
    list_for_each(queue, &names, link)
        if (strcmp(queue->name, name) == 0)
            return queue;
    return NULL;
}

static int permission(const struct message_queue *queue, const struct credentials *credentials, unsigned int access)
{
    uint32_t granted = queue->mode;
    if (credentials->fsuid == queue->uid)
        granted >>= 6;
    else if (credentials->fsgid == queue->gid || credentials_in_group(credentials, queue->gid))
        granted >>= 3;
    return (access & ~granted) && !credentials_capable(credentials, CAPABILITY_DAC_OVERRIDE) ? -EACCES : 0;
}

static uint64_t queue_cost(uint64_t messages_most, uint64_t message_bytes)
{
    return messages_most * (message_bytes + MESSAGE_OVERHEAD);
}

/* The named queues of a user count against RLIMIT_MSGQUEUE. */
static uint64_t user_cost(uint32_t uid)
{
    struct message_queue *queue;
    uint64_t cost = 0;
    list_for_each(queue, &names, link)
        if (queue->uid == uid)
            cost += queue_cost(queue->messages_most, queue->message_bytes);
    return cost;
}

static int attributes_check(const struct message_queue_request *request)
{
    bool privileged = credentials_capable(request->credentials, CAPABILITY_SYS_RESOURCE);
    if (!request->has_attributes)
        return 0;
    if (request->messages_most == 0 || request->message_bytes == 0)
        return -EINVAL;
    if (request->messages_most > (privileged ? MESSAGES_PRIVILEGED : MESSAGES_DEFAULT))
        return -EINVAL;
    return request->message_bytes > (privileged ? BYTES_PRIVILEGED : BYTES_DEFAULT) ? -EINVAL : 0;
}

static int queue_create(const struct message_queue_request *request, struct message_queue **queue)
{
    uint64_t messages = request->has_attributes ? request->messages_most : MESSAGES_DEFAULT;
    uint64_t bytes = request->has_attributes ? request->message_bytes : BYTES_DEFAULT;
    int error = attributes_check(request);
    if (error)
        return error;
    if (name_count >= QUEUES_MOST && !credentials_capable(request->credentials, CAPABILITY_SYS_RESOURCE))
        return -ENOSPC;
    if (user_cost(request->credentials->fsuid) + queue_cost(messages, bytes) > request->limit_bytes)
        return -EMFILE;
    struct message_queue *fresh = memory_allocate_zeroed(sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    reference_init(&fresh->reference);
    mutex_init(&fresh->lock, "message queue", 0);
    list_init(&fresh->messages);
    wait_queue_init(&fresh->not_empty);
    wait_queue_init(&fresh->not_full);
    strncpy(fresh->name, request->name, sizeof(fresh->name) - 1);
    fresh->uid = request->credentials->fsuid;
    fresh->gid = request->credentials->fsgid;
    fresh->mode = request->mode & 0777;
    fresh->messages_most = messages;
    fresh->message_bytes = bytes;
    list_add_last(&names, &fresh->link);
    name_count++;
    *queue = fresh;
    return 0;
}

int message_queue_open(const struct message_queue_request *request, struct message_queue **queue)
{
    int error = 0;
    mutex_lock(&names_lock);
    struct message_queue *found = name_find(request->name);
    if (found)
        error = request->create && request->exclusive ? -EEXIST : permission(found, request->credentials, request->access);
    else
        error = request->create ? queue_create(request, &found) : -ENOENT;
    if (!error) {
        reference_take(&found->reference);
        *queue = found;
    }
    mutex_unlock(&names_lock);
    return error;
}

int message_queue_unlink(const char *name, const struct credentials *credentials)
{
    mutex_lock(&names_lock);
    struct message_queue *queue = name_find(name);
    /* The names live as in a sticky directory. */
    int error = !queue ? -ENOENT : queue->uid == credentials->fsuid || credentials_capable(credentials, CAPABILITY_FOWNER) ? 0 : -EACCES;
    if (!error) {
        list_remove(&queue->link);
        name_count--;
    }
    mutex_unlock(&names_lock);
    if (!error)
        message_queue_release(queue);
    return error;
}

static void notification_drop(struct message_queue *queue)
{
    if (queue->notification.process)
        process_release(queue->notification.process);
    queue->notification.process = NULL;
}

void message_queue_release(struct message_queue *queue)
{
    struct queue_message *message, *following;
    if (!reference_release(&queue->reference))
        return;
    list_for_each_safe(message, following, &queue->messages, link)
        memory_free(message);
    notification_drop(queue);
    memory_free(queue);
}

/* One signal for the message that ends an emptiness nobody waits in; then the registration is over. */
static void notification_fire(struct message_queue *queue)
{
    struct queue_notification *notification = &queue->notification;
    if (!notification->process)
        return;
    if (notification->notify == LINUX_SIGEV_SIGNAL) {
        struct signal_information information = { .number = notification->number, .code = LINUX_SI_MESGQ };
        information.sender.pid = process_current()->pid;
        information.sender.uid = task_current()->credentials->uid;
        information.sender.value = notification->value;
        signal_send_process(notification->process, notification->number, &information);
    }
    notification_drop(queue);
}

static void message_insert(struct message_queue *queue, struct queue_message *message)
{
    struct list *place = &queue->messages;
    while (place->previous != &queue->messages && list_entry(place->previous, struct queue_message, link)->priority < message->priority)
        place = place->previous;
    list_add_before(place, &message->link);
    queue->bytes += message->length_bytes;
    if (queue->count++ == 0 && queue->receivers_waiting == 0)
        notification_fire(queue);
}

int message_queue_send(struct message_queue *queue, struct queue_message *message, bool nonblock, uint64_t deadline_ns)
{
    int error = 0;
    mutex_lock(&queue->lock);
    while (!error && queue->count >= queue->messages_most) {
        if (nonblock) {
            error = -EAGAIN;
            break;
        }
        mutex_unlock(&queue->lock);
        error = WAIT_UNTIL(&queue->not_full, read_once(queue->count) < queue->messages_most, deadline_ns, WAIT_INTERRUPTIBLE);
        mutex_lock(&queue->lock);
    }
    if (!error)
        message_insert(queue, message);
    mutex_unlock(&queue->lock);
    if (!error)
        wait_queue_wake_all(&queue->not_empty, POLL_IN | POLL_READ_NORMAL);
    return error;
}

int message_queue_receive(struct message_queue *queue, bool nonblock, uint64_t deadline_ns, struct queue_message **message)
{
    int error = 0;
    mutex_lock(&queue->lock);
    while (!error && queue->count == 0) {
        if (nonblock) {
            error = -EAGAIN;
            break;
        }
        queue->receivers_waiting++;
        mutex_unlock(&queue->lock);
        error = WAIT_UNTIL(&queue->not_empty, read_once(queue->count) > 0, deadline_ns, WAIT_INTERRUPTIBLE);
        mutex_lock(&queue->lock);
        queue->receivers_waiting--;
    }
    if (!error) {
        *message = list_first(&queue->messages, struct queue_message, link);
        list_remove(&(*message)->link);
        queue->bytes -= (*message)->length_bytes;
        queue->count--;
    }
    mutex_unlock(&queue->lock);
    if (!error)
        wait_queue_wake_all(&queue->not_full, POLL_OUT | POLL_WRITE_NORMAL);
    return error;
}

int message_queue_notify(struct message_queue *queue, const struct queue_notification *notification)
{
    int error = 0;
    mutex_lock(&queue->lock);
    if (!notification) {
        if (queue->notification.process == process_current())
            notification_drop(queue);
    } else if (queue->notification.process) {
        error = -EBUSY;
    } else {
        queue->notification = *notification;
        queue->notification.process = process_current();
        process_take(queue->notification.process);
    }
    mutex_unlock(&queue->lock);
    return error;
}

void message_queue_forget(struct message_queue *queue, const struct process *process)
{
    mutex_lock(&queue->lock);
    if (process && queue->notification.process == process)
        notification_drop(queue);
    mutex_unlock(&queue->lock);
}
