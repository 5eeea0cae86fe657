/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw sockets (SOCK_RAW) and ping sockets (SOCK_DGRAM with ICMP) on lwIP's raw_*().
 *
 * lwIP offers each packet of the protocol before it looks at it itself; we copy it and let lwIP go on. Raw IPv4 sockets see the IP header, IPv6
 * and ping sockets do not. A ping socket's port is its echo identifier.
 *
 * Locks: the core lock for everything but the queue.
 */
#include <lwip/icmp.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/raw.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/device/random.h"
#include "kernel/net/core.h"
#include "kernel/net/datagram_queue.h"
#include "kernel/net/packet.h"

#define PAYLOAD_LIMIT 65515u
#define ECHO_REQUEST_V4 8
#define ECHO_REPLY_V4 0
#define ECHO_REQUEST_V6 128
#define ECHO_REPLY_V6 129
#define ICMP_FILTER 1
#define ICMPV6_FILTER 1

struct raw {
    struct socket socket;
    struct raw_pcb *pcb;
    struct inet_options options;
    struct endpoint remote;
    ip_addr_t local;
    bool connected;
    uint16_t identifier;          /* ping: host order, 0 until bound */
    uint32_t filter[8];           /* a set bit blocks the ICMP type */
    struct datagram_queue queue;
};

static const struct socket_operations raw_operations;

static struct raw *raw_of(struct socket *socket)
{
    return container_of(socket, struct raw, socket);
}

static bool is_ping(const struct raw *raw)
{
    return raw->socket.type == SOCK_DGRAM;
}

/* ---- Reception: under the core lock ---- */

static u8_t raw_received(void *argument, struct raw_pcb *pcb, struct pbuf *packet, const ip_addr_t *source)
{
    struct raw *raw = argument;
    bool v6 = ip_current_is_v6();
    u16_t header = ip_current_header_tot_len();
    uint8_t icmp[8];

    if (raw->connected && !ip_addr_cmp_zoneless(&raw->remote.address, source))
        return 0;
    if (!ip_addr_isany(&raw->local) && !ip_addr_cmp_zoneless(&raw->local, ip_current_dest_addr()))
        return 0;
    bool is_icmp = pcb->protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (is_icmp && pbuf_copy_partial(packet, icmp, sizeof(icmp), header) == sizeof(icmp)) {
        if (raw->filter[icmp[0] / 32] & 1u << (icmp[0] % 32))
            return 0;
        if (is_ping(raw) && (icmp[0] != (v6 ? ECHO_REPLY_V6 : ECHO_REPLY_V4) || (icmp[4] << 8 | icmp[5]) != raw->identifier))
            return 0;
    } else if (is_ping(raw)) {
        return 0;
    }
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, packet);
    if (copy == NULL)
        return 0;
    if (v6 || is_ping(raw))
        pbuf_remove_header(copy, header);
    datagram_queue_add(&raw->queue, &raw->socket, copy, source, is_ping(raw) ? 0 : (uint16_t)pcb->protocol, 0);
    return 0;
}

/* ---- Life ---- */

int raw_create(int family, int type, int protocol, struct credentials *credentials, struct socket **socket)
{
    if (type == SOCK_RAW && credentials != NULL && !credentials_capable(credentials, CAPABILITY_NET_RAW))
        return -EPERM;
    if (protocol == 0)
        return -EPROTONOSUPPORT;
    *socket = socket_allocate(sizeof(struct raw), &raw_operations, family, type, protocol, credentials);
    if (*socket == NULL)
        return -ENOBUFS;
    struct raw *raw = raw_of(*socket);
    inet_options_init(&raw->options);
    datagram_queue_init(&raw->queue);
    raw->options.header_included = protocol == IPPROTO_RAW;
    network_lock();
    raw->pcb = raw_new_ip_type(family == AF_INET ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6, (u8_t)protocol);
    if (raw->pcb != NULL) {
        raw_recv(raw->pcb, raw_received, raw);
        raw->pcb->chksum_reqd = protocol == IPPROTO_ICMPV6;
        raw->pcb->chksum_offset = 2;
    }
    network_unlock();
    if (raw->pcb != NULL)
        return 0;
    socket_free(*socket);
    return -ENOBUFS;
}

static void raw_release(struct socket *socket)
{
    struct raw *raw = raw_of(socket);

    network_lock();
    inet_options_release(&raw->options);
    raw_remove(raw->pcb);
    network_unlock();
    datagram_queue_clear(&raw->queue);
    socket_free(socket);
}

/* ---- Addresses ---- */

static int raw_bind_socket(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct raw *raw = raw_of(socket);
    struct endpoint endpoint;
    int error = address_parse(socket->family, true, address, address_bytes, &endpoint);

    if (error != 0)
        return error;
    network_lock();
    if (!address_is_bindable(&endpoint.address)) {
        error = -EADDRNOTAVAIL;
    } else {
        raw->local = endpoint.address;
        if (is_ping(raw))
            raw->identifier = endpoint.port != 0 ? endpoint.port : (uint16_t)(1 + random_below(65535));
        if (!ip_addr_isany(&endpoint.address))
            raw_bind(raw->pcb, &endpoint.address);
    }
    network_unlock();
    return error;
}

static int raw_connect_socket(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking)
{
    struct raw *raw = raw_of(socket);
    struct endpoint endpoint;
    uint16_t family;

    memcpy(&family, address, sizeof(family));
    if (family == AF_UNSPEC) {
        raw->connected = false;
        return 0;
    }
    int error = address_parse(socket->family, true, address, address_bytes, &endpoint);
    if (error != 0)
        return error;
    network_lock();
    raw->remote = endpoint;
    raw->connected = true;
    network_unlock();
    return 0;
}

static long raw_get_name(struct socket *socket, bool peer, void *address)
{
    struct raw *raw = raw_of(socket);

    if (peer && !raw->connected)
        return -ENOTCONN;
    uint16_t port = is_ping(raw) ? raw->identifier : (uint16_t)socket->protocol;
    ip_addr_t local = raw->local;
    if (ip_addr_isany(&local))
        ip_addr_set_any(socket->family == AF_INET6, &local);
    return (long)address_format(socket->family, peer ? &raw->remote.address : &local, peer ? raw->remote.port : port, address);
}

/* ---- Sending ---- */

/* An echo request gets the socket's identifier and its checksum (IPv6's is lwIP's). */
static int ping_complete(struct raw *raw, struct pbuf *packet)
{
    bool v6 = raw->socket.family == AF_INET6;
    uint8_t header[8];

    if (packet->tot_len < sizeof(header))
        return -EINVAL;
    pbuf_copy_partial(packet, header, sizeof(header), 0);
    if (header[0] != (v6 ? ECHO_REQUEST_V6 : ECHO_REQUEST_V4) || header[1] != 0)
        return -EINVAL;
    if (raw->identifier == 0)
        raw->identifier = (uint16_t)(1 + random_below(65535));
    header[2] = header[3] = 0;
    header[4] = (uint8_t)(raw->identifier >> 8);
    header[5] = (uint8_t)raw->identifier;
    pbuf_take(packet, header, sizeof(header));
    if (!v6) {
        u16_t sum = inet_chksum_pbuf(packet);
        pbuf_take_at(packet, &sum, sizeof(sum), 2);
    }
    return 0;
}

static int send_locked(struct raw *raw, const struct datagram_control *control, const ip_addr_t *remote, struct pbuf *packet)
{
    struct raw_pcb *pcb = raw->pcb;
    bool v6 = IP_IS_V6(remote), group = ip_addr_ismulticast(remote);
    ip_addr_t any, source;

    if (is_ping(raw)) {
        int error = ping_complete(raw, packet);
        if (error != 0)
            return error;
    }
    if (address_is_broadcast(remote) && !raw->socket.broadcast)
        return -EACCES;
    if (raw->socket.broadcast)
        ip_set_option(pcb, SOF_BROADCAST);
    pcb->ttl = control->ttl >= 0 ? (u8_t)control->ttl : group ? (v6 ? raw->options.multicast_hops : raw->options.multicast_ttl) : inet_ttl(&raw->options, v6);
    pcb->tos = control->tos >= 0 ? (u8_t)control->tos : v6 ? raw->options.traffic_class : raw->options.tos;
    pcb->mcast_ttl = pcb->ttl;
    pcb->flags = (u8_t)((pcb->flags & ~RAW_FLAGS_HDRINCL) | (raw->options.header_included ? RAW_FLAGS_HDRINCL : 0));
    ip_addr_set_any(v6, &any);
    source = !ip_addr_isany(&control->source) ? control->source : !ip_addr_isany(&raw->local) ? raw->local : any;
    uint8_t index = control->interface != 0 ? control->interface : raw->socket.bound_interface;
    struct netif *netif = index != 0 && !address_is_local(remote) ? netif_get_by_index(index) : ip_route(&source, remote);
    if (netif == NULL)
        return -ENETUNREACH;
    if (ip_addr_isany(&source)) {
        const ip_addr_t *own = ip_netif_get_local_ip(netif, remote);
        if (own == NULL)
            return -ENETUNREACH;
        source = *own;
        address_select_source(remote, &source);
    }
    return address_error(raw_sendto_if_src(pcb, packet, remote, netif, &source));
}

static int send_destination(struct raw *raw, const struct socket_message *message, struct endpoint *remote)
{
    if (message->address != NULL && message->address_bytes > 0)
        return address_parse(raw->socket.family, true, message->address, message->address_bytes, remote);
    *remote = raw->remote;
    return raw->connected ? 0 : -EDESTADDRREQ;
}

static long raw_send_message(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking)
{
    struct raw *raw = raw_of(socket);
    size_t length = message->data->remaining_bytes;
    struct datagram_control control;
    struct endpoint remote;
    struct pbuf *packet;

    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (length > PAYLOAD_LIMIT)
        return -EMSGSIZE;
    int error = send_destination(raw, message, &remote);
    if (error == 0)
        error = datagram_control_parse(socket, message, &control);
    if (error == 0)
        error = socket_take_error(socket);
    if (error == 0)
        error = packet_create_vector(message->data, length, raw->options.header_included ? PBUF_LINK : PBUF_IP, &packet);
    if (error != 0)
        return error;
    network_lock();
    error = send_locked(raw, &control, &remote.address, packet);
    pbuf_free(packet);
    network_unlock();
    return error != 0 ? error : (long)length;
}

static long raw_receive_message(struct socket *socket, struct socket_message *message, bool nonblocking)
{
    return datagram_receive(socket, &raw_of(socket)->queue, &raw_of(socket)->options, message, nonblocking);
}

/* ---- Options and the rest ---- */

static int raw_get_option(struct socket *socket, int level, int name, void *value, size_t *length_bytes)
{
    struct raw *raw = raw_of(socket);

    if (level == SOL_RAW && name == ICMP_FILTER && socket->protocol == IPPROTO_ICMP)
        return socket_option_out(value, length_bytes, raw->filter, 4);
    if (level == SOL_ICMPV6 && name == ICMPV6_FILTER)
        return socket_option_out(value, length_bytes, raw->filter, sizeof(raw->filter));
    if (level == SOL_IP || level == SOL_IPV6)
        return inet_option_get(socket, &raw->options, level, name, value, length_bytes);
    return -ENOPROTOOPT;
}

static int set_checksum(struct raw *raw, const void *value, size_t length_bytes)
{
    int offset;
    if (length_bytes < sizeof(int32_t) || socket_option_in(value, length_bytes, &offset) != 0 || (offset > 0 && (offset & 1)) || offset > 65534)
        return -EINVAL;
    if (raw->socket.protocol == IPPROTO_ICMPV6)
        return offset == 2 ? 0 : -EINVAL;
    network_lock();
    raw->pcb->chksum_reqd = offset >= 0;
    raw->pcb->chksum_offset = (u16_t)maximum(offset, 0);
    network_unlock();
    return 0;
}

static int raw_set_option(struct socket *socket, int level, int name, const void *value, size_t length_bytes)
{
    struct raw *raw = raw_of(socket);

    if (level == SOL_RAW && name == ICMP_FILTER && socket->protocol == IPPROTO_ICMP) {
        memcpy(raw->filter, value, minimum(length_bytes, (size_t)4));
        return 0;
    }
    if (level == SOL_ICMPV6 && name == ICMPV6_FILTER) {
        memcpy(raw->filter, value, minimum(length_bytes, sizeof(raw->filter)));
        return 0;
    }
    if ((level == SOL_IPV6 || level == SOL_RAW) && name == IPV6_CHECKSUM && socket->family == AF_INET6)
        return set_checksum(raw, value, length_bytes);
    if (level == SOL_IP || level == SOL_IPV6)
        return inet_option_set(socket, &raw->options, level, name, value, length_bytes);
    return -ENOPROTOOPT;
}

static int raw_shutdown(struct socket *socket, int how)
{
    if (!raw_of(socket)->connected)
        return -ENOTCONN;
    if (how != SHUT_WR)
        socket->receive_shut = true;
    if (how != SHUT_RD)
        socket->send_shut = true;
    socket_wake(socket, POLL_IN | POLL_OUT | POLL_HANGUP);
    return 0;
}

static uint32_t raw_poll(struct socket *socket)
{
    return datagram_poll(socket, &raw_of(socket)->queue);
}

static long raw_input_bytes(struct socket *socket)
{
    return datagram_input_bytes(&raw_of(socket)->queue);
}

static const struct socket_operations raw_operations = {
    .release = raw_release,
    .bind = raw_bind_socket,
    .connect = raw_connect_socket,
    .send = raw_send_message,
    .receive = raw_receive_message,
    .shutdown = raw_shutdown,
    .get_name = raw_get_name,
    .get_option = raw_get_option,
    .set_option = raw_set_option,
    .poll = raw_poll,
    .input_bytes = raw_input_bytes,
};
