/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets as files: creation by family, and each call of socket.h handed to the family's table.
 */
#include "kernel/net/socket.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/net/network.h"
#include "kernel/net/socket_object.h"
#include "xen/machine/clock.h"
#include "xen/machine/spinlock.h"
#include "xen/x86/user_access.h"

static struct spinlock all_lock = SPINLOCK_INITIALIZER("sockets", 0);
static struct list all_sockets = LIST_INITIALIZER(all_sockets); /* all_lock */
static _Atomic uint64_t next_number = 4096;

static const struct file_operations socket_file_operations;

/* ---- Objects ---- */

struct socket *socket_allocate(size_t size_bytes, const struct socket_operations *operations, int family, int type, int protocol, struct credentials *credentials)
{
    struct socket *socket = memory_allocate_zeroed(size_bytes);
    if (socket == NULL)
        return NULL;
    socket->operations = operations;
    socket->family = family;
    socket->type = type;
    socket->protocol = protocol;
    socket->number = atomic_fetch_add(&next_number, 1);
    if (credentials != NULL) {
        credentials_take(credentials);
        socket->uid = credentials->fsuid;
    }
    socket->credentials = credentials;
    socket->send_buffer = 212992;
    socket->receive_buffer = 212992;
    socket->receive_low_water = 1;
    wait_queue_init(&socket->wait);
    spinlock_lock(&all_lock);
    list_add_last(&all_sockets, &socket->all_link);
    spinlock_unlock(&all_lock);
    return socket;
}

void socket_free(struct socket *socket)
{
    spinlock_lock(&all_lock);
    list_remove(&socket->all_link);
    spinlock_unlock(&all_lock);
    if (socket->credentials != NULL)
        credentials_release(socket->credentials);
    memory_free(socket);
}

void socket_for_each(void (*visit)(struct socket *socket, void *context), void *context)
{
    struct socket *socket;
    spinlock_lock(&all_lock);
    list_for_each (socket, &all_sockets, all_link)
        visit(socket, context);
    spinlock_unlock(&all_lock);
}

bool file_is_socket(const struct file *file)
{
    return file->operations == &socket_file_operations;
}

struct socket *socket_of_file(const struct file *file)
{
    return file_is_socket(file) ? file->data : NULL;
}

/* Gives the socket its file, or ends it. */
static int socket_open_file(struct socket *socket, unsigned int file_flags, struct file **file)
{
    int error = file_create_anonymous(&socket_file_operations, socket, FILE_READ_WRITE | file_flags, socket->credentials, file);
    if (error != 0) {
        socket->operations->release(socket);
        return error;
    }
    socket->file = *file;
    return 0;
}

static int socket_create_family(int family, int type, int protocol, struct credentials *credentials, struct socket **socket)
{
    if (family < 0 || family >= AF_LIMIT)
        return -EAFNOSUPPORT;
    if (type <= 0 || type >= SOCK_LIMIT)
        return -EINVAL;
    switch (family) {
    case AF_UNIX:
        if (protocol != 0 && protocol != AF_UNIX)
            return -EPROTONOSUPPORT;
        return unix_create(type == SOCK_RAW ? SOCK_DGRAM : type, credentials, socket);
    case AF_INET:
    case AF_INET6:
        if (protocol < 0 || protocol >= IPPROTO_LIMIT)
            return -EINVAL;
        switch (type) {
        case SOCK_STREAM: return inet_stream_create(family, protocol, credentials, socket);
        case SOCK_DGRAM:
            if (protocol == (family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
                return raw_create(family, type, protocol, credentials, socket);
            return inet_datagram_create(family, protocol, credentials, socket);
        case SOCK_RAW: return raw_create(family, type, protocol, credentials, socket);
        default: return -ESOCKTNOSUPPORT;
        }
    case AF_NETLINK: return netlink_create(type, protocol, credentials, socket);
    default: return -EAFNOSUPPORT;
    }
}

int socket_create(int family, int type, int protocol, unsigned int file_flags, const struct socket_identity *identity, struct credentials *credentials, struct file **file)
{
    struct socket *socket;
    if (family != AF_UNIX && network_wait_configured() == -EINTR)
        return -ERESTARTSYS;
    int error = socket_create_family(family, type, protocol, credentials, &socket);
    if (error != 0)
        return error;
    socket->identity = *identity;
    return socket_open_file(socket, file_flags, file);
}

int socket_create_pair(int family, int type, int protocol, unsigned int file_flags, const struct socket_identity *identity, struct credentials *credentials, struct file *files[2])
{
    struct socket *sockets[2];
    int error = socket_create_family(family, type, protocol, credentials, &sockets[0]);
    if (error != 0)
        return error;
    if (family != AF_UNIX) {
        sockets[0]->operations->release(sockets[0]);
        return -EOPNOTSUPP;
    }
    error = socket_create_family(family, type, protocol, credentials, &sockets[1]);
    if (error != 0) {
        sockets[0]->operations->release(sockets[0]);
        return error;
    }
    sockets[0]->identity = sockets[1]->identity = *identity;
    unix_pair(sockets[0], sockets[1]);
    error = socket_open_file(sockets[0], file_flags, &files[0]);
    if (error != 0) {
        sockets[1]->operations->release(sockets[1]);
        return error;
    }
    error = socket_open_file(sockets[1], file_flags, &files[1]);
    if (error != 0)
        file_release(files[0]);
    return error;
}

/* ---- Calls ---- */

static bool file_nonblocking(const struct file *file, unsigned int message_flags)
{
    return (atomic_load(&file->flags) & FILE_NONBLOCK) || (message_flags & MSG_DONTWAIT);
}

int socket_bind(struct file *file, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    return socket->operations->bind ? socket->operations->bind(socket, context, address, address_bytes) : -EOPNOTSUPP;
}

int socket_connect(struct file *file, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    if (address_bytes < sizeof(uint16_t))
        return -EINVAL;
    return socket->operations->connect ? socket->operations->connect(socket, context, address, address_bytes, file_nonblocking(file, 0)) : -EOPNOTSUPP;
}

int socket_listen(struct file *file, int backlog, const struct socket_identity *identity)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    if (socket->operations->listen == NULL)
        return -EOPNOTSUPP;
    if (backlog < 0 || backlog > 4096)
        backlog = 4096; /* net.core.somaxconn */
    socket->identity = *identity;
    return socket->operations->listen(socket, backlog);
}

int socket_accept(struct file *file, unsigned int file_flags, struct file **accepted, void *address, size_t *address_bytes)
{
    struct socket *socket = socket_of_file(file), *fresh;
    if (socket == NULL)
        return -ENOTSOCK;
    if (socket->operations->accept == NULL)
        return -EOPNOTSUPP;
    int error = socket->operations->accept(socket, file_nonblocking(file, 0), &fresh);
    if (error != 0)
        return error;
    fresh->identity = socket->identity;
    error = socket_open_file(fresh, file_flags, accepted);
    if (error != 0 || address == NULL)
        return error;
    error = socket_get_name(*accepted, true, address, address_bytes);
    if (error != 0) { /* reset before we came to accept it: Linux says so here too */
        file_release(*accepted);
        return -ECONNABORTED;
    }
    return 0;
}

long socket_send(struct file *file, const struct fs_context *context, struct socket_message *message)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    return socket->operations->send(socket, context, message, file_nonblocking(file, message->flags));
}

long socket_receive(struct file *file, struct socket_message *message)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    size_t file_room = message->file_count, control_room = message->control_bytes;
    long result = socket->operations->receive(socket, message, file_nonblocking(file, message->flags));
    if (result < 0) {
        if (message->file_count == file_room)
            message->file_count = 0;
        if (message->control_bytes == control_room)
            message->control_bytes = 0;
    }
    return result;
}

int socket_shutdown(struct file *file, int how)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    return socket->operations->shutdown ? socket->operations->shutdown(socket, how) : -EOPNOTSUPP;
}

int socket_get_name(struct file *file, bool peer, void *address, size_t *address_bytes)
{
    struct socket *socket = socket_of_file(file);
    uint8_t name[SOCKET_ADDRESS_LIMIT];

    if (socket == NULL)
        return -ENOTSOCK;
    if (socket->operations->get_name == NULL)
        return -EOPNOTSUPP;
    memset(name, 0, sizeof(name));
    long length = socket->operations->get_name(socket, peer, name);
    if (length < 0)
        return (int)length;
    memcpy(address, name, minimum((size_t)length, *address_bytes));
    *address_bytes = (size_t)length;
    return 0;
}

int socket_get_option(struct file *file, int level, int name, void *value, size_t *length_bytes)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    if (level == SOL_SOCKET)
        return socket_option_get(socket, name, value, length_bytes);
    return socket->operations->get_option ? socket->operations->get_option(socket, level, name, value, length_bytes) : -EOPNOTSUPP;
}

int socket_set_option(struct file *file, int level, int name, const void *value, size_t length_bytes)
{
    struct socket *socket = socket_of_file(file);
    if (socket == NULL)
        return -ENOTSOCK;
    if (level == SOL_SOCKET)
        return socket_option_set(socket, name, value, length_bytes);
    return socket->operations->set_option ? socket->operations->set_option(socket, level, name, value, length_bytes) : -EOPNOTSUPP;
}

/* ---- File operations ---- */

static long socket_file_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct socket_message message = {.data = vector};
    if (vector->remaining_bytes == 0)
        return 0;
    return socket_receive(file, &message);
}

static long socket_file_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct socket_message message = {.data = vector};
    return socket_send(file, NULL, &message);
}

static uint32_t socket_file_poll(struct file *file, struct poll_table *table)
{
    struct socket *socket = file->data;
    poll_wait(table, &socket->wait);
    return socket->operations->poll(socket);
}

static long store_bytes(uint64_t argument, long bytes)
{
    int32_t number = (int32_t)bytes;
    return bytes < 0 ? bytes : user_store(argument, &number);
}

static long socket_file_ioctl(struct file *file, unsigned int command, uint64_t argument)
{
    struct socket *socket = file->data;
    int32_t number;

    switch (command) {
    case FIONREAD:
        return socket->operations->input_bytes ? store_bytes(argument, socket->operations->input_bytes(socket)) : -ENOTTY;
    case SIOCOUTQ:
    case SIOCOUTQNSD:
        return socket->operations->output_bytes ? store_bytes(argument, socket->operations->output_bytes(socket)) : -ENOTTY;
    case SIOCATMARK: return socket->type == SOCK_STREAM ? store_bytes(argument, 0) : -ENOTTY;
    case FIOSETOWN:
    case SIOCSPGRP:
        if (user_load(&number, argument) != 0)
            return -EFAULT;
        file->async_owner = number;
        return 0;
    case FIOGETOWN:
    case SIOCGPGRP: return store_bytes(argument, file->async_owner);
    default: return interface_ioctl(socket, command, argument);
    }
}

static void socket_file_release(struct file *file)
{
    struct socket *socket = file->data;
    socket->file = NULL;
    socket->operations->release(socket);
}

static size_t socket_file_describe(struct file *file, char *buffer, size_t size_bytes)
{
    const struct socket *socket = file->data;
    return (size_t)format_string(buffer, size_bytes, "socket:[%llu]", (unsigned long long)socket->number);
}

static const struct file_operations socket_file_operations = {
    .read = socket_file_read,
    .write = socket_file_write,
    .poll = socket_file_poll,
    .ioctl = socket_file_ioctl,
    .release = socket_file_release,
    .describe = socket_file_describe,
    .anonymous_mode = MODE_SOCKET | 0777,
};

/* ---- Helpers of the families ---- */

int socket_take_error(struct socket *socket)
{
    return atomic_load(&socket->error) != 0 ? -atomic_exchange(&socket->error, 0) : 0;
}

uint64_t socket_deadline(uint64_t timeout_ns)
{
    return timeout_ns == 0 ? WAIT_FOREVER : clock_monotonic_ns() + timeout_ns;
}

int socket_wait_error(int error, uint64_t timeout_ns)
{
    if (error == -ETIMEDOUT)
        return -EAGAIN;
    if (error == -EINTR && timeout_ns == 0)
        return -ERESTARTSYS;
    return error;
}

void socket_put_control(struct socket_message *message, size_t *used_bytes, int level, int type, const void *data, size_t length_bytes)
{
    struct control_header header = {sizeof(header) + length_bytes, level, type};
    size_t room = message->control != NULL ? message->control_bytes : 0;

    if (*used_bytes + header.length_bytes > room) {
        message->flags |= MSG_CTRUNC;
        return;
    }
    memcpy(message->control + *used_bytes, &header, sizeof(header));
    memcpy(message->control + *used_bytes + sizeof(header), data, length_bytes);
    size_t end = *used_bytes + header.length_bytes, aligned = minimum(round_up(end, 8), room);
    memset(message->control + end, 0, aligned - end);
    *used_bytes = aligned;
}

void socket_put_timestamp(const struct socket *socket, struct socket_message *message, size_t *used_bytes, uint64_t real_ns)
{
    if (socket->timestamp_ns) {
        struct time_value_ns time = {(int64_t)(real_ns / 1000000000), (int64_t)(real_ns % 1000000000)};
        socket_put_control(message, used_bytes, SOL_SOCKET, SO_TIMESTAMPNS, &time, sizeof(time));
    } else if (socket->timestamp) {
        struct time_value time = {(int64_t)(real_ns / 1000000000), (int64_t)(real_ns % 1000000000 / 1000)};
        socket_put_control(message, used_bytes, SOL_SOCKET, SO_TIMESTAMP, &time, sizeof(time));
    }
}

const struct control_header *socket_next_control(const struct socket_message *message, const struct control_header *after, int *error)
{
    size_t at = after == NULL ? 0 : (size_t)((const uint8_t *)after - message->control) + round_up(after->length_bytes, 8);

    *error = 0;
    if (message->control == NULL || at + sizeof(struct control_header) > message->control_bytes)
        return NULL;
    const struct control_header *header = (const void *)(message->control + at);
    if (header->length_bytes < sizeof(*header) || header->length_bytes > message->control_bytes - at) {
        *error = -EINVAL;
        return NULL;
    }
    return header;
}
