/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mq_open and the calls on its descriptors. A descriptor is a file over a struct message_queue; it can be polled.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/linux/abi/mqueue.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/clocks.h"
#include "kernel/linux/message_queue.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

static uint32_t queue_poll(struct file *file, struct poll_table *table)
{
    struct message_queue *queue = file->data;
    poll_wait(table, &queue->not_empty);
    poll_wait(table, &queue->not_full);
    mutex_lock(&queue->lock);
    uint32_t events = (queue->count > 0 ? POLL_IN | POLL_READ_NORMAL : 0) | (queue->count < queue->messages_most ? POLL_OUT | POLL_WRITE_NORMAL : 0);
    mutex_unlock(&queue->lock);
    return events;
}

/* The state of the queue as text, as Linux's mqueue file system shows it. */
static long queue_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct message_queue *queue = file->data;
    char text[128];
    mutex_lock(&queue->lock);
    const struct queue_notification *told = &queue->notification;
    int length = format_string(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", (unsigned long)queue->bytes,
                               told->process ? told->notify : 0, told->process && told->notify == LINUX_SIGEV_SIGNAL ? told->number : 0,
                               told->process ? told->process->pid : 0);
    mutex_unlock(&queue->lock);
    uint64_t offset = position ? *position : 0;
    if (offset >= (uint64_t)length)
        return 0;
    size_t put = io_vector_put(vector, text + offset, (size_t)length - (size_t)offset);
    if (put == 0 && vector->faulted)
        return -EFAULT;
    if (position)
        *position += put;
    return (long)put;
}

static void queue_flush(struct file *file)
{
    message_queue_forget(file->data, thread_current()->owner ? process_current() : NULL);
}

static void queue_release(struct file *file)
{
    message_queue_release(file->data);
}

static size_t queue_describe(struct file *file, char *buffer, size_t size_bytes)
{
    const struct message_queue *queue = file->data;
    return (size_t)format_string(buffer, size_bytes, "/%s", queue->name);
}

static const struct file_operations queue_operations = {
    .read = queue_read,
    .poll = queue_poll,
    .flush = queue_flush,
    .release = queue_release,
    .describe = queue_describe,
};

/* glibc strips the leading slash; what is left must be one component. */
static int queue_name(uint64_t user, char name[MESSAGE_QUEUE_NAME_BYTES])
{
    long length = user_copy_string(name, user, MESSAGE_QUEUE_NAME_BYTES);
    if (length < 0)
        return (int)length;
    if (length == 0)
        return -ENOENT;
    return strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? -EACCES : 0;
}

static int request_fill(struct message_queue_request *request, int flags, uint32_t mode, uint64_t attributes)
{
    struct task *task = task_current();
    int access = flags & FILE_ACCESS_MODE;
    if (access == FILE_ACCESS_MODE)
        return -EINVAL;
    *request = (struct message_queue_request){ .create = (flags & FILE_CREATE) != 0, .exclusive = (flags & FILE_EXCLUSIVE) != 0,
                                               .access = access == FILE_READ_ONLY ? 4 : access == FILE_WRITE_ONLY ? 2 : 6,
                                               .mode = mode & ~read_once(task->fs->umask), .credentials = task->credentials,
                                               .limit_bytes = process_limit(task->process, LIMIT_MSGQUEUE) };
    if (attributes && request->create) {
        struct linux_mq_attr given;
        if (user_load(&given, attributes))
            return -EFAULT;
        request->has_attributes = true;
        request->messages_most = given.messages_most < 0 ? 0 : (uint64_t)given.messages_most;
        request->message_bytes = given.message_bytes < 0 ? 0 : (uint64_t)given.message_bytes;
    }
    return 0;
}

long sys_mq_open(uint64_t name_address, int flags, uint32_t mode, uint64_t attributes)
{
    char name[MESSAGE_QUEUE_NAME_BYTES];
    struct message_queue_request request;
    struct message_queue *queue;
    struct file *file;
    int error = request_fill(&request, flags, mode, attributes);
    if (!error)
        error = queue_name(name_address, name);
    request.name = name;
    if (!error)
        error = message_queue_open(&request, &queue);
    if (error)
        return error;
    error = file_create_anonymous(&queue_operations, queue, (unsigned int)flags & (FILE_ACCESS_MODE | FILE_NONBLOCK), task_current()->credentials, &file);
    if (error) {
        message_queue_release(queue);
        return error;
    }
    return file_install(file, (flags & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_mq_unlink(uint64_t name_address)
{
    char name[MESSAGE_QUEUE_NAME_BYTES];
    int error = queue_name(name_address, name);
    return error ? error : message_queue_unlink(name, task_current()->credentials);
}

/* The queue's file, open for `access` bits 4 read, 2 write: 0 or -EBADF. */
static int queue_argument(int fd, unsigned int access, struct file **file)
{
    int error = file_argument(fd, file);
    if (error)
        return error;
    if ((*file)->operations == &queue_operations && (!(access & 4) || (*file)->readable) && (!(access & 2) || (*file)->writable))
        return 0;
    file_release(*file);
    return -EBADF;
}

/* Absolute, in real time; 0: for ever. */
static int queue_deadline(uint64_t timeout, uint64_t *deadline_ns)
{
    uint64_t ns;
    *deadline_ns = WAIT_FOREVER;
    if (timeout == 0)
        return 0;
    int error = time_argument(timeout, &ns);
    if (!error)
        *deadline_ns = clock_deadline_ns(LINUX_CLOCK_REALTIME, ns);
    return error;
}

static bool file_nonblock(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NONBLOCK) != 0;
}

long sys_mq_timedsend(int fd, uint64_t address, uint64_t length_bytes, uint32_t priority, uint64_t timeout)
{
    uint64_t deadline_ns;
    struct file *file;
    if (priority >= LINUX_MQ_PRIORITY_LIMIT)
        return -EINVAL;
    int error = queue_deadline(timeout, &deadline_ns);
    if (!error)
        error = queue_argument(fd, 2, &file);
    if (error)
        return error;
    struct message_queue *queue = file->data;
    struct queue_message *message = NULL;
    if (length_bytes > queue->message_bytes)
        error = -EMSGSIZE;
    else if (!(message = memory_allocate(sizeof(*message) + length_bytes)))
        error = -ENOMEM;
    if (!error) {
        message->priority = priority;
        message->length_bytes = length_bytes;
        error = user_copy_in(message->bytes, address, length_bytes);
    }
    if (!error)
        error = message_queue_send(queue, message, file_nonblock(file), deadline_ns);
    if (error)
        memory_free(message);
    file_release(file);
    return error == -EINTR ? -ERESTARTSYS : error;
}

long sys_mq_timedreceive(int fd, uint64_t address, uint64_t length_bytes, uint64_t priority, uint64_t timeout)
{
    uint64_t deadline_ns;
    struct queue_message *message;
    struct file *file;
    int error = queue_deadline(timeout, &deadline_ns);
    if (!error)
        error = queue_argument(fd, 4, &file);
    if (error)
        return error;
    struct message_queue *queue = file->data;
    error = length_bytes < queue->message_bytes ? -EMSGSIZE : message_queue_receive(queue, file_nonblock(file), deadline_ns, &message);
    file_release(file);
    if (error)
        return error == -EINTR ? -ERESTARTSYS : error;
    long result = (long)message->length_bytes;
    if ((priority && user_store(priority, &message->priority)) || user_copy_out(address, message->bytes, message->length_bytes))
        result = -EFAULT;
    memory_free(message);
    return result;
}

long sys_mq_notify(int fd, uint64_t event)
{
    struct queue_notification notification = { 0 };
    struct file *file;
    if (event) {
        struct linux_sigevent given;
        if (user_load(&given, event))
            return -EFAULT;
        if (given.notify == LINUX_SIGEV_THREAD)
            return -ENOSYS; /* glibc's helper thread, fed by a netlink socket */
        if (given.notify != LINUX_SIGEV_NONE && given.notify != LINUX_SIGEV_SIGNAL)
            return -EINVAL;
        if (given.notify == LINUX_SIGEV_SIGNAL && (given.number < 1 || given.number > SIGNAL_COUNT))
            return -EINVAL;
        notification = (struct queue_notification){ .notify = given.notify, .number = given.number, .value = given.value };
    }
    int error = queue_argument(fd, 0, &file);
    if (error)
        return error;
    error = message_queue_notify(file->data, event ? &notification : NULL);
    file_release(file);
    return error;
}

long sys_mq_getsetattr(int fd, uint64_t attributes, uint64_t old)
{
    struct linux_mq_attr wanted, answer;
    struct file *file;
    if (attributes) {
        if (user_load(&wanted, attributes))
            return -EFAULT;
        if (wanted.flags & ~(int64_t)FILE_NONBLOCK)
            return -EINVAL;
    }
    int error = queue_argument(fd, 0, &file);
    if (error)
        return error;
    struct message_queue *queue = file->data;
    mutex_lock(&queue->lock);
    answer = (struct linux_mq_attr){ .flags = file_nonblock(file) ? FILE_NONBLOCK : 0, .messages_most = (int64_t)queue->messages_most,
                                     .message_bytes = (int64_t)queue->message_bytes, .messages = (int64_t)queue->count };
    if (attributes && (wanted.flags & FILE_NONBLOCK))
        atomic_fetch_or(&file->flags, FILE_NONBLOCK);
    else if (attributes)
        atomic_fetch_and(&file->flags, ~(unsigned int)FILE_NONBLOCK);
    mutex_unlock(&queue->lock);
    file_release(file);
    return old ? user_store(old, &answer) : 0;
}
