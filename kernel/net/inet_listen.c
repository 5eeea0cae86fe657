/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets: listening and accepting.
 *
 *   SYN → passive_open: a listener of the group is chosen, its limits are checked, a new socket made (half open)
 *   ACK → arrived: into that listener's queue, which accept() empties
 *
 * lwIP knows one listening pcb for an address and port; the sockets that share it (SO_REUSEPORT) form a group, over which connections
 * are spread by a hash of the other end's address. All under the core lock.
 */
#include <lwip/priv/tcp_priv.h>

#include "kernel/base/error.h"
#include "kernel/base/hash.h"
#include "kernel/device/random.h"
#include "kernel/memory/object_cache.h"
#include "kernel/net/core.h"
#include "kernel/net/inet_stream.h"

#define HALF_OPEN_MINIMUM 128u

/* ---- Groups ---- */

static err_t listen_accepted(void *argument, struct tcp_pcb *pcb, err_t err);

struct group_search {
    const struct inet_stream *stream;
    struct listen_group *group;
};

static bool group_match(struct port_binding *binding, void *context)
{
    struct group_search *search = context;
    struct inet_stream *other = binding->owner;

    if (binding->listening && other->group != NULL && ip_addr_cmp(&binding->address, &search->stream->binding.address) && binding->interface == search->stream->binding.interface)
        search->group = other->group;
    return search->group == NULL;
}

static const struct tcp_ext_arg_callbacks group_callbacks = {NULL, inet_listen_passive_open};

/* Makes lwIP listen at the stream's address. */
static int group_create(struct inet_stream *stream)
{
    struct listen_group *group = memory_allocate_zeroed(sizeof(*group));
    struct tcp_pcb *pcb = group != NULL ? tcp_new_ip_type(stream->binding.address.type) : NULL;
    int error = -ENOBUFS;

    if (pcb == NULL)
        goto undo_group;
    ip_set_option(pcb, SOF_REUSEADDR);
    error = address_error(tcp_bind(pcb, &stream->binding.address, stream->binding.port));
    if (error != 0)
        goto undo_pcb;
    tcp_ext_arg_set_callbacks(pcb, inet_stream_argument, &group_callbacks);
    tcp_ext_arg_set(pcb, inet_stream_argument, group);
    if (stream->socket.bound_interface != 0)
        tcp_bind_netif(pcb, netif_get_by_index(stream->socket.bound_interface));
    err_t err;
    struct tcp_pcb *listening = tcp_listen_with_backlog_and_err(pcb, 255, &err);
    error = address_error(err);
    if (listening == NULL)
        goto undo_pcb;
    tcp_accept(listening, listen_accepted);
    group->pcb = listening;
    list_init(&group->listeners);
    stream->group = group;
    return 0;

undo_pcb:
    tcp_close(pcb);
undo_group:
    memory_free(group);
    return error;
}

static int group_join(struct inet_stream *stream)
{
    struct group_search search = {stream, NULL};

    port_for_each(PORT_TCP, stream->binding.port, group_match, &search);
    int error = 0;
    if (search.group != NULL)
        stream->group = search.group;
    else
        error = group_create(stream);
    if (error == 0) {
        list_add_last(&stream->group->listeners, &stream->group_link);
        stream->group->count++;
    }
    return error;
}

static void group_leave(struct inet_stream *stream)
{
    struct listen_group *group = stream->group;

    list_remove(&stream->group_link);
    stream->group = NULL;
    if (--group->count > 0)
        return;
    tcp_close(group->pcb);
    memory_free(group);
}

/* ---- listen() and its end ---- */

int inet_listen(struct socket *socket, int backlog)
{
    struct inet_stream *stream = inet_stream(socket);
    int error = 0;

    network_lock();
    int state = atomic_load(&stream->state);
    if (state == STREAM_LISTENING) {
        stream->backlog = (unsigned int)backlog;
    } else if (state != STREAM_IDLE || stream->pcb != NULL) {
        error = -EINVAL;
    } else {
        struct port_binding *binding = &stream->binding;
        if (binding->port == 0) { /* Linux binds it to any free port */
            u8_t type = socket->family == AF_INET ? IPADDR_TYPE_V4 : stream->options.v6_only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
            ip_addr_set_zero(&binding->address);
            IP_SET_TYPE_VAL(binding->address, type);
            binding->owner = stream;
            binding->uid = socket->uid;
            error = port_bind(binding);
        }
        binding->reuse_address = socket->reuse_address;
        binding->reuse_port = socket->reuse_port;
        binding->listening = true;
        if (error == 0)
            error = port_check(binding);
        if (error == 0)
            error = group_join(stream);
        if (error == 0) {
            stream->backlog = (unsigned int)backlog;
            socket->listening = true;
            atomic_store(&stream->state, STREAM_LISTENING);
        } else {
            binding->listening = false;
        }
    }
    network_unlock();
    return error;
}

/* Connections that nobody accepted are reset. */
static void listen_drop_children(struct inet_stream *listener)
{
    while (!list_empty(&listener->accept_queue)) {
        struct inet_stream *child = list_first(&listener->accept_queue, struct inet_stream, accept_link);
        list_remove(&child->accept_link);
        child->listener = NULL;
        child->orphan = true;
        if (child->pcb != NULL) {
            tcp_err(child->pcb, NULL);
            tcp_abort(child->pcb);
        }
        inet_stream_release_reference(child);
    }
    atomic_store(&listener->accept_count, 0);
    while (!list_empty(&listener->half_open)) {
        struct inet_stream *child = list_first(&listener->half_open, struct inet_stream, accept_link);
        list_remove(&child->accept_link);
        child->listener = NULL;
        child->orphan = true;
        tcp_abort(child->pcb); /* drops the only reference */
    }
    listener->half_open_count = 0;
}

void inet_listen_close(struct inet_stream *listener)
{
    group_leave(listener);
    listener->socket.listening = false;
    listener->binding.listening = false;
    atomic_store(&listener->state, STREAM_CLOSED);
    listen_drop_children(listener);
    socket_wake(&listener->socket, POLL_IN | POLL_READ_NORMAL | POLL_HANGUP);
}

/* ---- Arrivals ---- */

static uint64_t connection_hash(const ip_addr_t *address, uint16_t port)
{
    static uint64_t seed;
    uint8_t bytes[18];

    if (seed == 0)
        seed = random_u64() | 1;
    address_bytes(address, bytes);
    bytes[16] = (uint8_t)port;
    bytes[17] = (uint8_t)(port >> 8);
    return hash_bytes(bytes, sizeof(bytes), seed);
}

static struct inet_stream *group_choose(struct listen_group *group, const struct tcp_pcb *pcb)
{
    struct inet_stream *listener;
    uint64_t chosen = group->count > 1 ? connection_hash(&pcb->remote_ip, pcb->remote_port) % group->count : 0;

    list_for_each (listener, &group->listeners, group_link)
        if (chosen-- == 0)
            return listener;
    return NULL;
}

/* What a new connection takes from its listener. */
static void child_inherit(struct inet_stream *child, const struct inet_stream *listener)
{
    struct inet_membership *own = child->options.memberships;

    child->socket.send_buffer = listener->socket.send_buffer;
    child->socket.receive_buffer = listener->socket.receive_buffer;
    child->socket.send_buffer_set = listener->socket.send_buffer_set;
    child->socket.receive_buffer_set = listener->socket.receive_buffer_set;
    child->socket.send_timeout_ns = listener->socket.send_timeout_ns;
    child->socket.receive_timeout_ns = listener->socket.receive_timeout_ns;
    child->socket.receive_low_water = listener->socket.receive_low_water;
    child->socket.reuse_address = listener->socket.reuse_address;
    child->socket.reuse_port = listener->socket.reuse_port;
    child->socket.keepalive = listener->socket.keepalive;
    child->socket.linger_on = listener->socket.linger_on;
    child->socket.linger_seconds = listener->socket.linger_seconds;
    child->socket.priority = listener->socket.priority;
    child->socket.mark = listener->socket.mark;
    child->socket.bound_interface = listener->socket.bound_interface;
    child->options = listener->options;
    child->options.memberships = own;
    child->no_delay = listener->no_delay;
    child->cork = listener->cork;
    child->keep_idle_s = listener->keep_idle_s;
    child->keep_interval_s = listener->keep_interval_s;
    child->keep_count = listener->keep_count;
    child->user_timeout_ms = listener->user_timeout_ms;
    child->window_clamp = listener->window_clamp;
    child->maximum_segment = listener->maximum_segment;
}

/* lwIP: a SYN has made a pcb for this listening one. Anything but ERR_OK drops it without a word, as Linux does when queues are full. */
err_t inet_listen_passive_open(u8_t id, struct tcp_pcb_listen *listening, struct tcp_pcb *pcb)
{
    struct listen_group *group = tcp_ext_arg_get((struct tcp_pcb *)listening, id);
    struct inet_stream *listener = group != NULL ? group_choose(group, pcb) : NULL;

    if (listener == NULL || atomic_load(&listener->accept_count) > listener->backlog || listener->half_open_count > maximum(listener->backlog, HALF_OPEN_MINIMUM))
        return ERR_MEM;
    struct inet_stream *child = inet_stream_allocate(listener->socket.family, listener->socket.credentials);
    if (child == NULL)
        return ERR_MEM;
    child_inherit(child, listener);
    child->remote_address = pcb->remote_ip;
    child->remote_port = pcb->remote_port;
    child->binding.address = pcb->local_ip;
    child->binding.owner = child;
    child->binding.remote_address = pcb->remote_ip;
    child->binding.remote_port = pcb->remote_port;
    port_share(&child->binding, &listener->binding);
    atomic_store(&child->state, STREAM_CONNECTING);
    inet_stream_adopt(child, pcb);
    child->listener = listener;
    list_add_last(&listener->half_open, &child->accept_link);
    listener->half_open_count++;
    inet_stream_release_reference(child);
    return ERR_OK;
}

void inet_listen_arrived(struct inet_stream *child)
{
    struct inet_stream *listener = child->listener;

    /* Already in the queue, where it has a reference. */
    if (child->queued)
        return;
    list_remove(&child->accept_link);
    listener->half_open_count--;
    child->queued = true;
    reference_take(&child->reference);
    inet_stream_watch_errors(child);
    list_add_last(&listener->accept_queue, &child->accept_link);
    atomic_fetch_add(&listener->accept_count, 1);
    socket_wake(&listener->socket, POLL_IN | POLL_READ_NORMAL);
}

/* lwIP: the handshake is complete. */
static err_t listen_accepted(void *argument, struct tcp_pcb *pcb, err_t err)
{
    struct inet_stream *child = argument;

    if (pcb == NULL || err != ERR_OK || child == NULL)
        return ERR_VAL;
    if (child->listener == NULL)
        return ERR_VAL; /* closed meanwhile: lwIP aborts it */
    inet_stream_established(child);
    if (child->listener->defer_accept_s == 0)
        inet_listen_arrived(child);
    return ERR_OK;
}

void inet_listen_forget(struct inet_stream *child)
{
    struct inet_stream *listener = child->listener;

    /* One in the queue stays there: accept() hands it out and its error is told then. */
    if (listener == NULL || child->queued)
        return;
    list_remove(&child->accept_link);
    listener->half_open_count--;
    child->listener = NULL;
}

/* ---- accept() ---- */

static struct inet_stream *queue_take(struct inet_stream *listener)
{
    network_lock();
    struct inet_stream *child = list_first(&listener->accept_queue, struct inet_stream, accept_link);
    if (child != NULL) {
        list_remove(&child->accept_link);
        atomic_fetch_sub(&listener->accept_count, 1);
        child->listener = NULL;
        child->queued = false;
        child->connect_reported = true;
    }
    network_unlock();
    return child;
}

int inet_accept(struct socket *socket, bool nonblocking, struct socket **accepted)
{
    struct inet_stream *listener = inet_stream(socket);
    uint64_t timeout_ns = socket->receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);

    for (;;) {
        if (!socket->listening)
            return -EINVAL;
        struct inet_stream *child = queue_take(listener);
        if (child != NULL) {
            *accepted = &child->socket; /* with the queue's reference */
            return 0;
        }
        if (nonblocking)
            return -EAGAIN;
        int error = WAIT_UNTIL(&socket->wait, atomic_load(&listener->accept_count) > 0 || !socket->listening, deadline_ns, WAIT_INTERRUPTIBLE);
        if (error != 0)
            return socket_wait_error(error, timeout_ns);
    }
}
