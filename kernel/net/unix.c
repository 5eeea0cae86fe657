/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unix sockets: life, connecting, listening, poll. Names are unix_name.c's, data is unix_message.c's. Locks: see the header.
 */
#include "kernel/net/unix.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"

#define POLL_ALL (POLL_IN | POLL_READ_NORMAL | POLL_OUT | POLL_WRITE_NORMAL | POLL_READ_HANGUP | POLL_HANGUP | POLL_ERROR)

static const struct socket_operations unix_operations;

static bool connection_oriented(const struct unix_socket *end)
{
    return end->socket.type != SOCK_DGRAM;
}

/* ---- Life ---- */

static struct unix_socket *unix_allocate(int type, struct credentials *credentials)
{
    struct socket *socket = socket_allocate(sizeof(struct unix_socket), &unix_operations, AF_UNIX, type, 0, credentials);
    if (socket == NULL)
        return NULL;
    struct unix_socket *end = unix_socket(socket);
    reference_init(&end->reference);
    mutex_init(&end->connect_mutex, "unix connect", 0);
    mutex_init(&end->receive_mutex, "unix receive", 0);
    spinlock_init(&end->lock, "unix socket", 0);
    list_init(&end->messages);
    list_init(&end->accept_queue);
    list_init(&end->accept_link);
    list_init(&end->name_link);
    return end;
}

int unix_create(int type, struct credentials *credentials, struct socket **socket)
{
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    struct unix_socket *end = unix_allocate(type, credentials);
    if (end == NULL)
        return -ENOBUFS;
    *socket = &end->socket;
    return 0;
}

void unix_take(struct unix_socket *end)
{
    reference_take(&end->reference);
}

void unix_release_reference(struct unix_socket *end)
{
    if (reference_release(&end->reference))
        socket_free(&end->socket);
}

struct unix_socket *unix_peer(struct unix_socket *end)
{
    spinlock_lock(&end->lock);
    struct unix_socket *peer = end->peer;
    if (peer != NULL)
        unix_take(peer);
    spinlock_unlock(&end->lock);
    return peer;
}

/* Takes over the caller's reference of `peer` (or NULL); drops the old one's. */
static void peer_set(struct unix_socket *end, struct unix_socket *peer)
{
    spinlock_lock(&end->lock);
    struct unix_socket *old = end->peer;
    end->peer = peer;
    spinlock_unlock(&end->lock);
    if (old != NULL)
        unix_release_reference(old);
}

static void link_ends(struct unix_socket *one, struct unix_socket *other)
{
    unix_take(one);
    unix_take(other);
    peer_set(one, other);
    peer_set(other, one);
    atomic_store(&one->state, UNIX_CONNECTED);
    atomic_store(&other->state, UNIX_CONNECTED);
    one->socket.peer = other->socket.identity;
    other->socket.peer = one->socket.identity;
}

void unix_pair(struct socket *one, struct socket *other)
{
    link_ends(unix_socket(one), unix_socket(other));
}

/* The other end sees the connection's end; with data unread here, as a reset. */
static void peer_hang_up(struct unix_socket *end, bool reset)
{
    struct unix_socket *peer = unix_peer(end);
    if (peer == NULL)
        return;
    if (connection_oriented(end)) {
        peer->socket.receive_shut = peer->socket.send_shut = true;
        if (reset)
            atomic_store(&peer->socket.error, ECONNRESET);
    }
    socket_wake(&peer->socket, POLL_ALL);
    unix_release_reference(peer);
}

static void unix_end(struct unix_socket *end, bool embryo);

/* Connections that nobody accepted. */
static void accept_queue_drop(struct unix_socket *listener)
{
    for (;;) {
        spinlock_lock(&listener->lock);
        struct unix_socket *fresh = list_first(&listener->accept_queue, struct unix_socket, accept_link);
        if (fresh != NULL) {
            list_remove(&fresh->accept_link);
            atomic_fetch_sub(&listener->accept_count, 1);
        }
        spinlock_unlock(&listener->lock);
        if (fresh == NULL)
            return;
        unix_end(fresh, true);
    }
}

static void unix_end(struct unix_socket *end, bool embryo)
{
    unix_unbind(end);
    spinlock_lock(&end->lock);
    atomic_store(&end->state, UNIX_DEAD); /* no more messages or connections from here on */
    spinlock_unlock(&end->lock);
    accept_queue_drop(end);
    socket_wake(&end->socket, POLL_ALL); /* those who wait for room in the listener's queue */
    bool unread = unix_drop_messages(end);
    peer_hang_up(end, unread || embryo);
    peer_set(end, NULL);
    unix_release_reference(end);
}

static void unix_release(struct socket *socket)
{
    unix_end(unix_socket(socket), false);
}

/* ---- connect ---- */

static int connect_datagram(struct unix_socket *end, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct unix_socket *found;
    uint16_t family;

    memcpy(&family, address, sizeof(family));
    if (family == AF_UNSPEC) {
        peer_set(end, NULL);
        atomic_store(&end->state, UNIX_IDLE);
        return 0;
    }
    int error = unix_find(context, address, address_bytes, SOCK_DGRAM, &found);
    if (error != 0)
        return error;
    struct unix_socket *others = unix_peer(found);
    if (others != NULL) {
        unix_release_reference(others);
        if (others != end) {
            unix_release_reference(found);
            return -EPERM;
        }
    }
    end->socket.peer = found->socket.identity;
    peer_set(end, found);
    atomic_store(&end->state, UNIX_CONNECTED);
    socket_wake(&end->socket, POLL_OUT | POLL_WRITE_NORMAL);
    return 0;
}

static bool listener_room(struct unix_socket *listener)
{
    return atomic_load(&listener->state) != UNIX_LISTENING || atomic_load(&listener->accept_count) <= listener->backlog;
}

/* Puts the fresh end into the listener's queue, unless it is full (-EAGAIN) or listens no more. */
static int listener_queue(struct unix_socket *listener, struct unix_socket *end, struct unix_socket *fresh)
{
    int error = 0;

    spinlock_lock(&listener->lock);
    if (atomic_load(&listener->state) != UNIX_LISTENING || listener->socket.receive_shut) {
        error = -ECONNREFUSED;
    } else if (atomic_load(&listener->accept_count) > listener->backlog) {
        error = -EAGAIN;
    } else {
        list_add_last(&listener->accept_queue, &fresh->accept_link);
        atomic_fetch_add(&listener->accept_count, 1);
    }
    spinlock_unlock(&listener->lock);
    return error;
}

static int connect_to(struct unix_socket *end, struct unix_socket *listener)
{
    struct unix_socket *fresh = unix_allocate(end->socket.type, listener->socket.credentials);
    if (fresh == NULL)
        return -ENOMEM;
    fresh->name = listener->name;
    fresh->name_bytes = listener->name_bytes;
    fresh->socket.identity = listener->socket.identity;
    fresh->socket.pass_credentials = listener->socket.pass_credentials;
    link_ends(end, fresh);
    int error = listener_queue(listener, end, fresh);
    if (error == 0) {
        socket_wake(&listener->socket, POLL_IN | POLL_READ_NORMAL);
        return 0;
    }
    peer_set(end, NULL);
    atomic_store(&end->state, UNIX_IDLE);
    peer_set(fresh, NULL);
    unix_release_reference(fresh);
    return error;
}

static int connect_stream(struct unix_socket *end, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking)
{
    uint64_t timeout_ns = end->socket.send_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
    struct unix_socket *listener;

    for (;;) {
        int state = atomic_load(&end->state);
        if (state == UNIX_CONNECTED)
            return -EISCONN;
        if (state == UNIX_LISTENING)
            return -EINVAL;
        int error = unix_find(context, address, address_bytes, end->socket.type, &listener);
        if (error != 0)
            return error;
        error = connect_to(end, listener);
        if (error == -EAGAIN && !nonblocking) {
            error = WAIT_UNTIL(&listener->socket.wait, listener_room(listener), deadline_ns, WAIT_INTERRUPTIBLE);
            error = error == 0 ? 1 : socket_wait_error(error, timeout_ns);
        }
        unix_release_reference(listener);
        if (error <= 0)
            return error;
    }
}

static int unix_connect(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking)
{
    struct unix_socket *end = unix_socket(socket);
    int error;

    mutex_lock(&end->connect_mutex);
    if (connection_oriented(end))
        error = connect_stream(end, context, address, address_bytes, nonblocking);
    else
        error = connect_datagram(end, context, address, address_bytes);
    mutex_unlock(&end->connect_mutex);
    return error;
}

/* ---- listen, accept ---- */

static int unix_listen(struct socket *socket, int backlog)
{
    struct unix_socket *end = unix_socket(socket);
    int error = 0;

    if (!connection_oriented(end))
        return -EOPNOTSUPP;
    if (end->name_bytes == 0)
        return -EINVAL;
    spinlock_lock(&end->lock);
    int state = atomic_load(&end->state);
    if (state != UNIX_IDLE && state != UNIX_LISTENING) {
        error = -EINVAL;
    } else {
        end->backlog = (unsigned int)backlog;
        socket->listening = true;
        socket->peer = socket->identity;
        atomic_store(&end->state, UNIX_LISTENING);
    }
    spinlock_unlock(&end->lock);
    if (error == 0)
        socket_wake(socket, POLL_OUT);
    return error;
}

static int unix_accept(struct socket *socket, bool nonblocking, struct socket **accepted)
{
    struct unix_socket *listener = unix_socket(socket);
    uint64_t timeout_ns = socket->receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);

    if (!connection_oriented(listener))
        return -EOPNOTSUPP;
    for (;;) {
        if (atomic_load(&listener->state) != UNIX_LISTENING || socket->receive_shut)
            return -EINVAL;
        spinlock_lock(&listener->lock);
        struct unix_socket *fresh = list_first(&listener->accept_queue, struct unix_socket, accept_link);
        if (fresh != NULL) {
            list_remove(&fresh->accept_link);
            atomic_fetch_sub(&listener->accept_count, 1);
        }
        spinlock_unlock(&listener->lock);
        if (fresh != NULL) {
            socket_wake(socket, POLL_OUT); /* room in the queue */
            *accepted = &fresh->socket;
            return 0;
        }
        if (nonblocking)
            return -EAGAIN;
        int error = WAIT_UNTIL(&socket->wait, atomic_load(&listener->accept_count) > 0 || socket->receive_shut, deadline_ns, WAIT_INTERRUPTIBLE);
        if (error != 0)
            return socket_wait_error(error, timeout_ns);
    }
}

/* ---- shutdown, names, poll ---- */

static int unix_shutdown(struct socket *socket, int how)
{
    struct unix_socket *end = unix_socket(socket);
    struct unix_socket *peer = unix_peer(end);

    if (how != SHUT_WR)
        socket->receive_shut = true;
    if (how != SHUT_RD)
        socket->send_shut = true;
    if (peer != NULL && connection_oriented(end)) {
        if (how != SHUT_WR)
            peer->socket.send_shut = true;
        if (how != SHUT_RD)
            peer->socket.receive_shut = true;
        socket_wake(&peer->socket, POLL_ALL & ~POLL_ERROR);
    }
    socket_wake(socket, POLL_ALL & ~POLL_ERROR);
    if (peer != NULL)
        unix_release_reference(peer);
    return 0;
}

static long unix_get_name(struct socket *socket, bool peer, void *address)
{
    struct unix_socket *end = unix_socket(socket), *named = end;
    struct sockaddr_un unnamed = {.family = AF_UNIX};

    if (peer) {
        named = unix_peer(end);
        if (named == NULL)
            return -ENOTCONN;
    }
    size_t length = named->name_bytes;
    if (length != 0)
        memcpy(address, &named->name, length);
    else
        memcpy(address, &unnamed, sizeof(unnamed.family));
    if (peer)
        unix_release_reference(named);
    return length != 0 ? (long)length : (long)sizeof(unnamed.family);
}

/* A connected datagram socket can be written to when its receiver has room too. */
static bool datagram_room(struct unix_socket *end)
{
    struct unix_socket *peer = unix_peer(end);
    if (peer == NULL)
        return true;
    bool room = peer->peer == end || atomic_load(&peer->queue_count) <= 10 || atomic_load(&peer->state) == UNIX_DEAD;
    unix_release_reference(peer);
    return room;
}

static uint32_t unix_poll(struct socket *socket)
{
    struct unix_socket *end = unix_socket(socket);
    int state = atomic_load(&end->state);
    uint32_t events = 0;

    if (state == UNIX_LISTENING)
        return atomic_load(&end->accept_count) > 0 ? POLL_IN | POLL_READ_NORMAL : 0;
    if (atomic_load(&socket->error) != 0)
        events |= POLL_ERROR;
    if (socket->receive_shut && socket->send_shut)
        events |= POLL_HANGUP;
    if (socket->receive_shut)
        events |= POLL_READ_HANGUP | POLL_IN | POLL_READ_NORMAL;
    if (atomic_load(&end->queue_count) > 0)
        events |= POLL_IN | POLL_READ_NORMAL;
    if (connection_oriented(end) && state == UNIX_IDLE)
        events |= POLL_HANGUP;
    if (unix_writable(end) && (connection_oriented(end) || datagram_room(end)))
        events |= POLL_OUT | POLL_WRITE_NORMAL | POLL_WRITE_BAND;
    return events;
}

static long unix_input_bytes(struct socket *socket)
{
    struct unix_socket *end = unix_socket(socket);
    if (atomic_load(&end->state) == UNIX_LISTENING)
        return -EINVAL;
    return socket->type == SOCK_STREAM ? (long)atomic_load(&end->queue_bytes) : unix_first_bytes(end);
}

static long unix_output_bytes(struct socket *socket)
{
    return (long)atomic_load(&unix_socket(socket)->sent_bytes);
}

int unix_start(void)
{
    unix_names_start();
    return 0;
}

static const struct socket_operations unix_operations = {
    .release = unix_release,
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .send = unix_send,
    .receive = unix_receive,
    .shutdown = unix_shutdown,
    .get_name = unix_get_name,
    .poll = unix_poll,
    .input_bytes = unix_input_bytes,
    .output_bytes = unix_output_bytes,
};
