/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets: bind() and connect(), and the way back to the beginning. A source address that nobody chose is that of the route; ports are given
 * out by port.c, not by lwIP.
 */
#include "kernel/net/inet_stream.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/net/core.h"
#include "xen/machine/clock.h"

static u8_t stream_address_type(const struct inet_stream *stream)
{
    if (stream->socket.family == AF_INET)
        return IPADDR_TYPE_V4;
    return stream->options.v6_only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

/* Core lock held: what the binding table compares. */
static void stream_describe_binding(struct inet_stream *stream)
{
    struct port_binding *binding = &stream->binding;
    binding->reuse_address = stream->socket.reuse_address;
    binding->reuse_port = stream->socket.reuse_port;
    binding->interface = stream->socket.bound_interface;
    binding->uid = stream->socket.uid;
    binding->v6_only = stream->options.v6_only;
    binding->owner = stream;
}

int inet_stream_bind(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct inet_stream *stream = inet_stream(socket);
    struct endpoint endpoint;
    int error = address_parse(socket->family, stream->options.v6_only, address, address_bytes, &endpoint);

    if (error == -ENETUNREACH)
        error = -EINVAL;
    if (error != 0)
        return error;
    if (endpoint.port != 0 && endpoint.port < 1024 && socket->credentials != NULL && !credentials_capable(socket->credentials, CAPABILITY_NET_BIND_SERVICE))
        return -EACCES;
    network_lock();
    if (stream->binding.port != 0 || stream->pcb != NULL || atomic_load(&stream->state) == STREAM_LISTENING) {
        error = -EINVAL;
    } else if (!address_is_bindable(&endpoint.address) && !stream->options.free_bind && !stream->options.transparent) {
        error = -EADDRNOTAVAIL;
    } else {
        if (IP_IS_V6_VAL(endpoint.address) && ip_addr_isany(&endpoint.address))
            IP_SET_TYPE_VAL(endpoint.address, stream_address_type(stream));
        stream_describe_binding(stream);
        stream->binding.address = endpoint.address;
        stream->binding.port = endpoint.port;
        stream->binding.connected = false;
        stream->source_chosen = false;
        error = port_bind(&stream->binding);
    }
    network_unlock();
    return error;
}

/* Core lock held. A new pcb with the binding's address and port. */
static int stream_make_pcb(struct inet_stream *stream)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(stream_address_type(stream));
    if (pcb == NULL)
        return -ENOBUFS;
    ip_set_option(pcb, SOF_REUSEADDR); /* the table in port.c decides, not lwIP */
    err_t err = tcp_bind(pcb, &stream->binding.address, stream->binding.port);
    if (err != ERR_OK) {
        tcp_close(pcb);
        return address_error(err);
    }
    inet_stream_adopt(stream, pcb);
    inet_stream_watch_errors(stream);
    return 0;
}

/* Core lock held. The source address and port by which the remote end can be reached. */
static int stream_choose_source(struct inet_stream *stream, const struct endpoint *remote, bool *bound_here)
{
    struct port_binding *binding = &stream->binding;

    *bound_here = binding->port == 0;
    if (*bound_here) {
        stream_describe_binding(stream);
        ip_addr_set_any(IP_IS_V6_VAL(remote->address), &binding->address);
    }
    if (stream->source_chosen)
        ip_addr_set_any(IP_IS_V6_VAL(remote->address), &binding->address);
    if (ip_addr_isany(&binding->address)) {
        stream->source_chosen = true;
        struct netif *netif = ip_route(&binding->address, &remote->address);
        if (stream->socket.bound_interface != 0)
            netif = netif_get_by_index(stream->socket.bound_interface);
        const ip_addr_t *source = netif != NULL ? ip_netif_get_local_ip(netif, &remote->address) : NULL;
        if (source == NULL)
            return -ENETUNREACH;
        ip_addr_copy(binding->address, *source);
        address_select_source(&remote->address, &binding->address);
    }
    binding->remote_address = remote->address;
    binding->remote_port = remote->port;
    if (!*bound_here) {
        binding->connected = true;
        return 0;
    }
    return port_bind_connecting(binding);
}

static err_t stream_connected(void *argument, struct tcp_pcb *pcb, err_t err)
{
    struct inet_stream *stream = argument;
    inet_stream_established(stream);
    socket_wake(&stream->socket, POLL_OUT | POLL_WRITE_NORMAL);
    return ERR_OK;
}

/* Core lock held: sends the SYN. */
static int stream_start(struct inet_stream *stream, struct endpoint *remote)
{
    bool bound_here;

    address_any_is_loopback(&remote->address);
    if (ip_addr_ismulticast(&remote->address) || address_is_broadcast(&remote->address))
        return -ENETUNREACH;
    int error = stream_choose_source(stream, remote, &bound_here);
    if (error == 0)
        error = stream_make_pcb(stream);
    if (error == 0) {
        atomic_store(&stream->fin_received, false);
        atomic_store(&stream->socket.error, 0);
        stream->fin_wanted = stream->fin_sent = stream->connect_reported = false;
        stream->remote_address = remote->address;
        stream->remote_port = remote->port;
        stream->connect_started_ns = clock_monotonic_ns();
        atomic_store(&stream->state, STREAM_CONNECTING);
        error = address_error(tcp_connect(stream->pcb, &remote->address, remote->port, stream_connected));
        if (error == -EADDRINUSE)
            error = -EADDRNOTAVAIL;
        if (error != 0) {
            tcp_err(stream->pcb, NULL);
            tcp_abort(stream->pcb);
            atomic_store(&stream->state, STREAM_IDLE);
            atomic_store(&stream->fin_received, false);
        }
    }
    if (error != 0 && bound_here)
        port_release(&stream->binding);
    return error;
}

/* connect() to AF_UNSPEC: back to the beginning, with a reset. */
static int stream_disconnect(struct inet_stream *stream)
{
    network_lock();
    if (atomic_load(&stream->state) == STREAM_LISTENING)
        inet_listen_close(stream);
    if (stream->pcb != NULL) {
        tcp_err(stream->pcb, NULL);
        tcp_abort(stream->pcb);
    }
    port_release(&stream->binding);
    atomic_store(&stream->state, STREAM_IDLE);
    atomic_store(&stream->fin_received, false);
    stream->socket.receive_shut = stream->socket.send_shut = false;
    network_unlock();
    return 0;
}

/* A connect() that began earlier: waits for it, and tells of its end once. */
static int stream_finish_connect(struct inet_stream *stream, bool nonblocking)
{
    uint64_t timeout_ns = stream->socket.send_timeout_ns;

    if (atomic_load(&stream->state) == STREAM_CONNECTING) {
        if (nonblocking)
            return -EALREADY;
        int error = WAIT_UNTIL(&stream->socket.wait, atomic_load(&stream->state) != STREAM_CONNECTING, socket_deadline(timeout_ns), WAIT_INTERRUPTIBLE);
        if (error == -ETIMEDOUT)
            return -EINPROGRESS;
        if (error != 0)
            return socket_wait_error(error, timeout_ns);
    }
    network_lock();
    bool reported = stream->connect_reported;
    stream->connect_reported = true;
    int state = atomic_load(&stream->state);
    network_unlock();
    if (state == STREAM_CONNECTED || stream->pcb != NULL)
        return reported ? -EISCONN : 0;
    int error = socket_take_error(&stream->socket);
    return error != 0 ? error : reported ? -EISCONN : -ECONNABORTED;
}

int inet_stream_connect(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking)
{
    struct inet_stream *stream = inet_stream(socket);
    struct endpoint remote;
    uint16_t family;

    memcpy(&family, address, sizeof(family));
    if (family == AF_UNSPEC)
        return stream_disconnect(stream);
    int error = address_parse(socket->family, stream->options.v6_only, address, address_bytes, &remote);
    if (error != 0)
        return error;
    network_lock();
    int state = atomic_load(&stream->state);
    bool fresh = state == STREAM_IDLE || (state == STREAM_CLOSED && stream->connect_reported && stream->pcb == NULL && !stream->socket.send_shut);
    if (state == STREAM_CLOSED && stream->pcb == NULL && !stream->connect_reported && atomic_load(&socket->error) == 0)
        fresh = true; /* its failure was told by SO_ERROR */
    if (fresh)
        error = stream_start(stream, &remote);
    network_unlock(); /* on loopback this is where the handshake happens */
    if (state == STREAM_LISTENING)
        return -EISCONN;
    if (error != 0)
        return error;
    if (fresh && nonblocking)
        return -EINPROGRESS;
    return stream_finish_connect(stream, nonblocking);
}
