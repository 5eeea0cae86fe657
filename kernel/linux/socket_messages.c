/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data over sockets: sendto, recvfrom, sendmsg, recvmsg and their multiple forms, all made into one struct socket_message.
 * A broken connection raises SIGPIPE here, as kernel/net knows no signals.
 */
#include "kernel/base/error.h"
#include "kernel/linux/abi/socket.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/control_messages.h"
#include "kernel/linux/descriptors.h"
#include "kernel/linux/socket_arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/process/process.h"
#include "xen/machine/clock.h"
#include "xen/x86/user_access.h"

#define MESSAGES_MOST 1024u

static long send_run(struct file *file, struct socket_message *message)
{
    struct fs_context context;
    unsigned int flags = message->flags;
    task_fs_context(&context);
    long result = socket_send(file, &context, message);
    task_fs_context_release(&context);
    return flags & LINUX_MSG_NOSIGNAL ? result : write_result(result);
}

long sys_sendto(int fd, uint64_t buffer, uint64_t length_bytes, uint32_t flags, uint64_t address, int address_bytes)
{
    uint8_t kernel[SOCKET_ADDRESS_LIMIT];
    struct buffer_argument data;
    struct file *file;
    long result = buffer_argument(&data, buffer, length_bytes);
    if (!result)
        result = socket_argument(fd, &file);
    if (result)
        return result;
    struct socket_message message = { .data = &data.vector, .flags = flags & ~LINUX_MSG_CMSG_CLOEXEC, .identity = socket_identity_mine() };
    if (address) {
        result = address_argument(kernel, address, address_bytes);
        message.address = kernel;
        message.address_bytes = (size_t)maximum(address_bytes, 0);
    }
    if (!result)
        result = send_run(file, &message);
    file_release(file);
    return result;
}

long sys_recvfrom(int fd, uint64_t buffer, uint64_t length_bytes, uint32_t flags, uint64_t address, uint64_t address_bytes)
{
    uint8_t kernel[SOCKET_ADDRESS_LIMIT];
    struct buffer_argument data;
    struct file *file;
    long result = buffer_argument(&data, buffer, length_bytes);
    if (!result)
        result = socket_argument(fd, &file);
    if (result)
        return result;
    struct socket_message message = { .data = &data.vector, .flags = flags };
    if (address) {
        message.address = kernel;
        message.address_bytes = sizeof(kernel);
    }
    result = socket_receive(file, &message);
    file_release(file);
    if (result >= 0 && address) {
        int error = address_answer(address, address_bytes, kernel, message.address_bytes);
        if (error)
            return error;
    }
    return result;
}

/* A message header's parts in kernel memory. */
struct message_argument {
    struct linux_msghdr header;
    struct vector_argument data;
    struct control_block control;
    struct socket_message message;
    uint8_t address[SOCKET_ADDRESS_LIMIT];
};

static int header_load(struct message_argument *argument, uint64_t address)
{
    struct linux_msghdr *header = &argument->header;
    if (user_load(header, address))
        return -EFAULT;
    if (header->name == 0)
        header->name_bytes = 0;
    if (header->name_bytes < 0)
        return -EINVAL;
    header->name_bytes = minimum(header->name_bytes, SOCKET_ADDRESS_LIMIT);
    if (header->vector_count > LINUX_IOV_LIMIT)
        return -EMSGSIZE;
    if (header->control == 0)
        header->control_bytes = 0;
    return vector_argument_take(&argument->data, header->vector, header->vector_count);
}

static long send_message(struct file *file, uint64_t address, uint32_t flags)
{
    struct message_argument argument;
    long result = header_load(&argument, address);
    if (result)
        return result;
    struct socket_message *message = &argument.message;
    *message = (struct socket_message){ .data = &argument.data.vector, .flags = flags & ~LINUX_MSG_CMSG_CLOEXEC };
    result = address_argument(argument.address, argument.header.name, argument.header.name_bytes);
    if (!result)
        result = control_take(&argument.control, argument.header.control, argument.header.control_bytes);
    if (result)
        goto out;
    if (argument.header.name_bytes > 0) {
        message->address = argument.address;
        message->address_bytes = (size_t)argument.header.name_bytes;
    }
    message->files = argument.control.files;
    message->file_count = argument.control.file_count;
    message->has_identity = argument.control.has_identity;
    message->identity = message->has_identity ? argument.control.identity : socket_identity_mine();
    message->control = argument.control.bytes;
    message->control_bytes = argument.control.length_bytes;
    result = send_run(file, message);
    control_release(&argument.control);
out:
    vector_argument_release(&argument.data);
    return result;
}

long sys_sendmsg(int fd, uint64_t message, uint32_t flags)
{
    struct file *file;
    long result = socket_argument(fd, &file);
    if (result)
        return result;
    result = send_message(file, message, flags);
    file_release(file);
    return result;
}

/* The parts of the header that a receive fills. */
static int receive_answer(struct message_argument *argument, uint64_t address, uint32_t flags)
{
    struct linux_msghdr *header = &argument->header;
    struct socket_message *message = &argument->message;
    bool truncated = false;
    argument->control.length_bytes = message->control_bytes;
    argument->control.file_count = message->file_count;
    argument->control.identity = message->identity;
    argument->control.has_identity = message->has_identity;
    long used = control_answer(&argument->control, header->control, header->control_bytes, (flags & LINUX_MSG_CMSG_CLOEXEC) != 0, &truncated);
    if (used < 0)
        return (int)used;
    if (header->name) {
        size_t copied = minimum((size_t)header->name_bytes, message->address_bytes);
        int32_t length = (int32_t)message->address_bytes;
        if (user_copy_out(header->name, argument->address, copied) || user_store(address + offsetof(struct linux_msghdr, name_bytes), &length))
            return -EFAULT;
    }
    uint64_t control_bytes = (uint64_t)used;
    uint32_t answered = message->flags | (flags & LINUX_MSG_CMSG_CLOEXEC) | (truncated ? LINUX_MSG_CONTROL_TRUNCATED : 0);
    if (user_store(address + offsetof(struct linux_msghdr, control_bytes), &control_bytes) ||
        user_store(address + offsetof(struct linux_msghdr, flags), &answered))
        return -EFAULT;
    return 0;
}

static long receive_message(struct file *file, uint64_t address, uint32_t flags)
{
    struct message_argument argument;
    long result = header_load(&argument, address);
    if (result)
        return result;
    struct socket_message *message = &argument.message;
    *message = (struct socket_message){ .data = &argument.data.vector, .flags = flags & ~LINUX_MSG_CMSG_CLOEXEC };
    result = control_make_room(&argument.control, argument.header.control_bytes);
    if (result)
        goto out;
    if (argument.header.name) {
        message->address = argument.address;
        message->address_bytes = sizeof(argument.address);
    }
    message->files = argument.control.files;
    message->file_count = argument.control.file_room;
    message->control = argument.control.bytes;
    message->control_bytes = argument.control.length_bytes;
    result = socket_receive(file, message);
    if (result >= 0) {
        int error = receive_answer(&argument, address, flags);
        if (error)
            result = error;
    }
    control_release(&argument.control);
out:
    vector_argument_release(&argument.data);
    return result;
}

long sys_recvmsg(int fd, uint64_t message, uint32_t flags)
{
    struct file *file;
    long result = socket_argument(fd, &file);
    if (result)
        return result;
    result = receive_message(file, message, flags);
    file_release(file);
    return result;
}

/* Sends or receives the messages of one array from *done on, as long as it goes; 0 at the array's end or the deadline. */
static long messages_transfer(struct file *file, uint64_t messages, uint32_t count, uint32_t flags, bool send, uint64_t deadline_ns, uint32_t *done)
{
    count = minimum(count, MESSAGES_MOST);
    while (*done < count) {
        uint64_t message = messages + *done * sizeof(struct linux_mmsghdr);
        long result = send ? send_message(file, message, flags) : receive_message(file, message, flags & ~LINUX_MSG_WAITFORONE);
        if (result < 0)
            return result;
        uint32_t length = (uint32_t)result;
        if (user_store(message + offsetof(struct linux_mmsghdr, length_bytes), &length))
            return -EFAULT;
        ++*done;
        if (!send && (flags & LINUX_MSG_WAITFORONE))
            flags |= LINUX_MSG_DONTWAIT;
        if (deadline_ns != WAIT_FOREVER && clock_monotonic_ns() >= deadline_ns)
            break;
        thread_yield_if_due();
    }
    return 0;
}

long sys_sendmmsg(int fd, uint64_t messages, uint32_t count, uint32_t flags)
{
    struct file *file;
    uint32_t done = 0;
    long result = socket_argument(fd, &file);
    if (result)
        return result;
    result = messages_transfer(file, messages, count, flags, true, WAIT_FOREVER, &done);
    file_release(file);
    return done ? (long)done : result;
}

/* The timeout is looked at between messages only, and what is left of it is written back, as Linux does. */
long sys_recvmmsg(int fd, uint64_t messages, uint32_t count, uint32_t flags, uint64_t timeout)
{
    struct file *file;
    uint64_t deadline_ns;
    uint32_t done = 0;
    long result = timeout_argument(timeout, &deadline_ns);
    if (!result)
        result = socket_argument(fd, &file);
    if (result)
        return result;
    result = messages_transfer(file, messages, count, flags, false, deadline_ns, &done);
    file_release(file);
    if (timeout && done) {
        uint64_t now_ns = clock_monotonic_ns();
        if (time_answer(timeout, deadline_ns > now_ns && deadline_ns != WAIT_FOREVER ? deadline_ns - now_ns : 0))
            return -EFAULT;
    }
    return done ? (long)done : result;
}
