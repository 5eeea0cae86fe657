/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unix sockets: data. A send makes messages (a stream's in parts of at most 32 KiB) and puts them on the receiver's queue; a receive
 * takes them off. Files travel with the first byte of their message, are counted while they are on the way, and a stream's read ends
 * behind the message that carried some.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/net/unix.h"
#include "xen/machine/clock.h"

#define STREAM_PART_BYTES 32768u
#define OVERHEAD_BYTES 256u           /* counted for each message besides its bytes */
#define DATAGRAM_QUEUE_LIMIT 10u      /* net.unix.max_dgram_qlen */
#define FILES_IN_FLIGHT_LIMIT 16384

static atomic_long files_in_flight;

static size_t message_cost(const struct unix_message *message)
{
    return message->length_bytes + OVERHEAD_BYTES;
}

/* As Linux's unix_writable(). */
bool unix_writable(const struct unix_socket *end)
{
    return atomic_load(&end->sent_bytes) * 4 <= end->socket.send_buffer;
}

/* ---- Messages ---- */

static void message_free(struct unix_message *message)
{
    struct unix_socket *sender = message->sender;
    size_t cost = message_cost(message);

    for (size_t i = 0; i < message->file_count; i++)
        file_release(message->files[i]);
    if (message->file_count > 0)
        atomic_fetch_sub(&files_in_flight, (long)message->file_count);
    memory_free(message->files);
    memory_free(message);
    bool was_writable = unix_writable(sender);
    atomic_fetch_sub(&sender->sent_bytes, cost);
    if (!was_writable || sender->socket.type == SOCK_DGRAM)
        socket_wake(&sender->socket, POLL_OUT | POLL_WRITE_NORMAL | POLL_WRITE_BAND);
    unix_release_reference(sender);
}

static int message_take_files(struct unix_message *message, const struct socket_message *request)
{
    size_t count = request->file_count;

    if (count == 0)
        return 0;
    if (count > SOCKET_FILES_LIMIT)
        return -EINVAL;
    /* Sockets passed over themselves can be lost in a circle: what is on the way is bounded. */
    if (atomic_fetch_add(&files_in_flight, (long)count) + (long)count > FILES_IN_FLIGHT_LIMIT) {
        atomic_fetch_sub(&files_in_flight, (long)count);
        return -ETOOMANYREFS;
    }
    message->files = memory_allocate(count * sizeof(struct file *));
    if (message->files == NULL) {
        atomic_fetch_sub(&files_in_flight, (long)count);
        return -ENOBUFS;
    }
    for (size_t i = 0; i < count; i++) {
        file_take(request->files[i]);
        message->files[i] = request->files[i];
    }
    message->file_count = count;
    return 0;
}

/* A message with the next bytes of the vector, counted against the sender. */
static int message_create(struct unix_socket *sender, struct socket_message *request, size_t length_bytes, bool with_files, struct unix_message **created)
{
    struct unix_message *message = memory_allocate(sizeof(*message) + length_bytes);

    if (message == NULL)
        return -ENOBUFS;
    memset(message, 0, sizeof(*message));
    message->sender = sender;
    message->length_bytes = length_bytes;
    message->identity = request->identity.pid != 0 || request->has_identity ? request->identity : sender->socket.identity;
    message->real_ns = clock_real_ns();
    unix_take(sender);
    atomic_fetch_add(&sender->sent_bytes, message_cost(message));
    int error = io_vector_get(request->data, message->bytes, length_bytes) == length_bytes ? 0 : -EFAULT;
    if (error == 0 && with_files)
        error = message_take_files(message, request);
    if (error != 0) {
        message_free(message);
        return error;
    }
    *created = message;
    return 0;
}

/* Takes the message over when it answers 0. */
static int message_deliver(struct unix_socket *receiver, struct unix_message *message)
{
    int error = 0;

    spinlock_lock(&receiver->lock);
    if (atomic_load(&receiver->state) == UNIX_DEAD) {
        error = -ECONNREFUSED;
    } else if (receiver->socket.receive_shut) {
        error = -EPIPE;
    } else {
        list_add_last(&receiver->messages, &message->link);
        atomic_fetch_add(&receiver->queue_bytes, message->length_bytes);
        atomic_fetch_add(&receiver->queue_count, 1);
    }
    spinlock_unlock(&receiver->lock);
    if (error == 0)
        socket_wake(&receiver->socket, POLL_IN | POLL_READ_NORMAL);
    return error;
}

bool unix_drop_messages(struct unix_socket *end)
{
    bool some = false;

    for (;;) {
        spinlock_lock(&end->lock);
        struct unix_message *message = list_first(&end->messages, struct unix_message, link);
        if (message != NULL)
            list_remove(&message->link);
        spinlock_unlock(&end->lock);
        if (message == NULL)
            break;
        some = true;
        message_free(message);
    }
    atomic_store(&end->queue_bytes, 0);
    atomic_store(&end->queue_count, 0);
    return some;
}

long unix_first_bytes(struct unix_socket *end)
{
    spinlock_lock(&end->lock);
    const struct unix_message *first = list_first(&end->messages, struct unix_message, link);
    long length = first != NULL ? (long)first->length_bytes : 0;
    spinlock_unlock(&end->lock);
    return length;
}

/* ---- Sending ---- */

static bool send_room(const struct unix_socket *end)
{
    return atomic_load(&end->sent_bytes) < end->socket.send_buffer;
}

static int wait_room(struct unix_socket *end, bool nonblocking, uint64_t deadline_ns)
{
    if (send_room(end))
        return 0;
    if (nonblocking)
        return -EAGAIN;
    int error = WAIT_UNTIL(&end->socket.wait, send_room(end) || end->socket.send_shut || atomic_load(&end->socket.error) != 0, deadline_ns, WAIT_INTERRUPTIBLE);
    return error != 0 ? socket_wait_error(error, end->socket.send_timeout_ns) : 0;
}

/* One part of a stream, or a whole record: bytes sent or -Exxx. */
static long send_part(struct unix_socket *end, struct unix_socket *peer, struct socket_message *request, bool first)
{
    size_t length = request->data->remaining_bytes;
    struct unix_message *message;

    if (end->socket.type == SOCK_STREAM)
        length = minimum(length, (size_t)STREAM_PART_BYTES);
    int error = socket_take_error(&end->socket);
    if (error != 0)
        return error;
    if (end->socket.send_shut)
        return -EPIPE;
    error = message_create(end, request, length, first, &message);
    if (error != 0)
        return error;
    error = message_deliver(peer, message);
    if (error != 0) {
        io_vector_revert(request->data, length);
        message_free(message);
        return error == -ECONNREFUSED ? -EPIPE : error;
    }
    return (long)length;
}

static long send_connected(struct unix_socket *end, struct socket_message *request, bool nonblocking)
{
    uint64_t deadline_ns = socket_deadline(end->socket.send_timeout_ns);
    bool stream = end->socket.type == SOCK_STREAM;
    size_t sent = 0;
    long result = 0;

    if (atomic_load(&end->state) != UNIX_CONNECTED)
        return end->socket.send_shut ? -EPIPE : -ENOTCONN;
    struct unix_socket *peer = unix_peer(end);
    if (peer == NULL)
        return -ENOTCONN;
    if (!stream && request->data->remaining_bytes > end->socket.send_buffer - 32)
        result = -EMSGSIZE;
    while (result == 0 && (request->data->remaining_bytes > 0 || (!stream && sent == 0))) {
        result = wait_room(end, nonblocking, deadline_ns);
        if (result != 0)
            break;
        long part = send_part(end, peer, request, sent == 0);
        if (part < 0) {
            result = part;
            break;
        }
        sent += (size_t)part;
        if (!stream)
            break;
    }
    unix_release_reference(peer);
    return sent > 0 ? (long)sent : result;
}

/* Whoever is full of messages from strangers takes no more for now. */
static bool receiver_room(const struct unix_socket *end, const struct unix_socket *receiver)
{
    return receiver == end || receiver->peer == end || atomic_load(&receiver->queue_count) <= DATAGRAM_QUEUE_LIMIT || atomic_load(&receiver->state) == UNIX_DEAD;
}

static int datagram_receiver(struct unix_socket *end, const struct fs_context *context, const struct socket_message *request, struct unix_socket **receiver)
{
    if (request->address != NULL && request->address_bytes > 0) {
        int error = unix_find(context, request->address, request->address_bytes, SOCK_DGRAM, receiver);
        if (error != 0)
            return error;
    } else {
        *receiver = unix_peer(end);
        if (*receiver == NULL)
            return -ENOTCONN;
    }
    struct unix_socket *others = unix_peer(*receiver);
    if (others == NULL)
        return 0;
    unix_release_reference(others);
    if (others == end || atomic_load(&others->state) == UNIX_DEAD)
        return 0;
    unix_release_reference(*receiver);
    return -EPERM;
}

static long send_datagram(struct unix_socket *end, const struct fs_context *context, struct socket_message *request, bool nonblocking)
{
    uint64_t timeout_ns = end->socket.send_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
    size_t length = request->data->remaining_bytes;
    struct unix_message *message;
    struct unix_socket *receiver;

    if (end->socket.send_shut)
        return -EPIPE;
    if (length > end->socket.send_buffer - 32)
        return -EMSGSIZE;
    int error = datagram_receiver(end, context, request, &receiver);
    if (error != 0)
        return error;
    error = wait_room(end, nonblocking, deadline_ns);
    if (error == 0 && !receiver_room(end, receiver)) {
        error = -EAGAIN;
        if (!nonblocking) /* its reader wakes the senders of the messages he takes, and its own queue */
            error = socket_wait_error(WAIT_UNTIL(&receiver->socket.wait, receiver_room(end, receiver), deadline_ns, WAIT_INTERRUPTIBLE), timeout_ns);
    }
    if (error == 0)
        error = message_create(end, request, length, true, &message);
    if (error == 0) {
        error = message_deliver(receiver, message);
        if (error != 0) {
            io_vector_revert(request->data, length);
            message_free(message);
        }
    }
    unix_release_reference(receiver);
    return error != 0 ? error : (long)length;
}

long unix_send(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking)
{
    struct unix_socket *end = unix_socket(socket);

    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (socket->type == SOCK_DGRAM)
        return send_datagram(end, context, message, nonblocking);
    if (socket->type == SOCK_STREAM && message->address != NULL && message->address_bytes > 0)
        return atomic_load(&end->state) == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    return send_connected(end, message, nonblocking);
}

/* ---- Receiving ---- */

/* The files go to the reader (a peek gives him references of his own); those without room are closed. */
static void give_files(struct unix_message *message, struct socket_message *request, bool peek)
{
    size_t given = minimum(message->file_count, request->file_count);

    if (given < message->file_count)
        request->flags |= MSG_CTRUNC;
    for (size_t i = 0; i < given; i++) {
        file_take(message->files[i]);
        request->files[i] = message->files[i];
    }
    request->file_count = given;
    if (peek)
        return;
    for (size_t i = 0; i < message->file_count; i++)
        file_release(message->files[i]);
    atomic_fetch_sub(&files_in_flight, (long)message->file_count);
    message->file_count = 0;
}

/* What comes along with the first message of a read. */
static void give_ancillary(struct unix_socket *end, struct unix_message *message, struct socket_message *request, bool peek)
{
    size_t used = 0;

    give_files(message, request, peek);
    request->has_identity = end->socket.pass_credentials;
    request->identity = message->identity;
    socket_put_timestamp(&end->socket, request, &used, message->real_ns);
    request->control_bytes = used;
    if (request->address == NULL)
        return;
    size_t length = message->sender->name_bytes;
    if (end->socket.type == SOCK_STREAM)
        length = 0;
    memcpy(request->address, &message->sender->name, minimum(length, request->address_bytes));
    request->address_bytes = length;
}

/* Takes a consumed message off the queue. receive_mutex held. */
static void message_remove(struct unix_socket *end, struct unix_message *message)
{
    spinlock_lock(&end->lock);
    list_remove(&message->link);
    atomic_fetch_sub(&end->queue_count, 1);
    spinlock_unlock(&end->lock);
    message_free(message);
    if (end->socket.type == SOCK_DGRAM)
        socket_wake(&end->socket, POLL_OUT); /* senders that wait for room here */
}

static struct unix_message *message_after(struct unix_socket *end, struct unix_message *message)
{
    spinlock_lock(&end->lock);
    struct list *next = message != NULL ? message->link.next : end->messages.next;
    struct unix_message *found = next != &end->messages ? list_entry(next, struct unix_message, link) : NULL;
    spinlock_unlock(&end->lock);
    return found;
}

static bool identities_differ(const struct unix_message *a, const struct unix_message *b)
{
    return a->identity.pid != b->identity.pid || a->identity.uid != b->identity.uid || a->identity.gid != b->identity.gid;
}

/*
 * Moves bytes of consecutive messages, ending behind one that carried files and before one from another sender where credentials
 * are passed. `got` tells whether something was met before (a longer read); receive_mutex held. Bytes, or -EAGAIN for an empty queue.
 */
static long take_stream(struct unix_socket *end, struct socket_message *request, bool peek, size_t skip, bool got, bool *stop)
{
    struct unix_message *message = message_after(end, NULL), *last = NULL;
    long done = 0;

    while (message != NULL && request->data->remaining_bytes > 0 && !*stop) {
        if (last != NULL && end->socket.pass_credentials && identities_differ(last, message))
            break;
        size_t available = message->length_bytes - message->offset;
        if (skip >= available) { /* a peek has been here */
            skip -= available;
            message = message_after(end, message);
            continue;
        }
        bool files = message->file_count > 0;
        if (files && (got || done > 0))
            break; /* their message begins a read of its own */
        if (!got && done == 0)
            give_ancillary(end, message, request, peek);
        *stop = files;
        size_t part = minimum(available - skip, request->data->remaining_bytes);
        size_t copied = io_vector_put(request->data, message->bytes + message->offset + skip, part);
        done += (long)copied;
        skip = 0;
        if (!peek) {
            message->offset += copied;
            atomic_fetch_sub(&end->queue_bytes, copied);
        }
        if (copied < part) {
            *stop = true;
            break;
        }
        struct unix_message *next = message_after(end, message);
        if (!peek && message->offset == message->length_bytes) {
            if (end->socket.pass_credentials && next != NULL && identities_differ(message, next))
                *stop = true;
            message_remove(end, message);
            last = NULL;
        } else {
            last = message;
        }
        message = next;
    }
    return done > 0 || *stop ? done : -EAGAIN;
}

/* One record. receive_mutex held. */
static long take_record(struct unix_socket *end, struct socket_message *request, unsigned int flags)
{
    struct unix_message *message = message_after(end, NULL);
    size_t room = request->data->remaining_bytes;

    if (message == NULL)
        return -EAGAIN;
    size_t part = minimum(room, message->length_bytes), length = message->length_bytes;
    size_t copied = io_vector_put(request->data, message->bytes, part);
    request->flags = 0;
    give_ancillary(end, message, request, flags & MSG_PEEK);
    if (length > room)
        request->flags |= MSG_TRUNC;
    if (end->socket.type == SOCK_SEQPACKET)
        request->flags |= MSG_EOR;
    if (!(flags & MSG_PEEK)) {
        atomic_fetch_sub(&end->queue_bytes, length);
        message_remove(end, message);
    }
    if (copied < part)
        return -EFAULT;
    return (flags & MSG_TRUNC) ? (long)length : (long)copied;
}

static bool receive_ready(struct unix_socket *end, size_t more_than)
{
    if (end->socket.type == SOCK_STREAM ? atomic_load(&end->queue_bytes) > more_than : atomic_load(&end->queue_count) > 0)
        return true;
    return end->socket.receive_shut || atomic_load(&end->socket.error) != 0;
}

static void nothing_along(struct socket_message *request)
{
    request->flags = 0;
    request->address_bytes = request->control_bytes = request->file_count = 0;
    request->has_identity = false;
}

static long receive_records(struct unix_socket *end, struct socket_message *request, bool nonblocking)
{
    uint64_t timeout_ns = end->socket.receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
    unsigned int flags = request->flags;

    for (;;) {
        bool ended = end->socket.receive_shut;
        mutex_lock(&end->receive_mutex);
        long result = take_record(end, request, flags);
        mutex_unlock(&end->receive_mutex);
        if (result != -EAGAIN)
            return result;
        int error = socket_take_error(&end->socket);
        if (error != 0)
            return error;
        if (ended) {
            nothing_along(request);
            return 0;
        }
        if (nonblocking)
            return -EAGAIN;
        error = WAIT_UNTIL(&end->socket.wait, receive_ready(end, 0), deadline_ns, WAIT_INTERRUPTIBLE);
        if (error != 0)
            return socket_wait_error(error, timeout_ns);
    }
}

static long receive_stream(struct unix_socket *end, struct socket_message *request, bool nonblocking)
{
    uint64_t timeout_ns = end->socket.receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
    unsigned int flags = request->flags;
    size_t wanted = request->data->remaining_bytes, done = 0;
    size_t target = (flags & MSG_WAITALL) ? wanted : minimum(wanted, maximum((size_t)end->socket.receive_low_water, (size_t)1));
    bool stop = false, got = false;

    request->flags = 0;
    for (;;) {
        bool ended = end->socket.receive_shut;
        mutex_lock(&end->receive_mutex);
        long result = take_stream(end, request, flags & MSG_PEEK, (flags & MSG_PEEK) ? done : 0, got, &stop);
        mutex_unlock(&end->receive_mutex);
        if (result > 0)
            done += (size_t)result;
        got = got || result > 0;
        if (stop || done >= target || request->data->faulted)
            break;
        if (done > 0 && (ended || nonblocking || (result == -EAGAIN && atomic_load(&end->queue_bytes) > 0)))
            break;
        int error = socket_take_error(&end->socket);
        if (error != 0)
            return done > 0 ? (long)done : error;
        if (ended)
            break;
        if (nonblocking)
            return -EAGAIN;
        error = WAIT_UNTIL(&end->socket.wait, receive_ready(end, (flags & MSG_PEEK) ? done : 0), deadline_ns, WAIT_INTERRUPTIBLE);
        if (error != 0)
            return done > 0 ? (long)done : socket_wait_error(error, timeout_ns);
    }
    if (!got)
        nothing_along(request);
    return done == 0 && request->data->faulted ? -EFAULT : (long)done;
}

long unix_receive(struct socket *socket, struct socket_message *message, bool nonblocking)
{
    struct unix_socket *end = unix_socket(socket);

    if (message->flags & MSG_OOB)
        return socket->type == SOCK_STREAM ? -EINVAL : -EOPNOTSUPP;
    if (socket->type == SOCK_STREAM) {
        int state = atomic_load(&end->state);
        if (state != UNIX_CONNECTED)
            return -EINVAL;
        if (message->data->remaining_bytes == 0) {
            nothing_along(message);
            return 0;
        }
        return receive_stream(end, message, nonblocking);
    }
    if (socket->type == SOCK_SEQPACKET && atomic_load(&end->state) != UNIX_CONNECTED)
        return -ENOTCONN;
    return receive_records(end, message, nonblocking);
}
