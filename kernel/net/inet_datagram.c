/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP sockets: binding, connecting, sending, lwIP's call-back and ICMP's errors. Receiving is datagram_queue.c's.
 */
#include "kernel/net/inet_datagram.h"

#include <lwip/ip.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/hash.h"
#include "kernel/net/core.h"
#include "kernel/net/packet.h"

#define PAYLOAD_LIMIT 65507u

static const struct socket_operations datagram_operations;

int inet_datagram_create(int family, int protocol, struct credentials *credentials, struct socket **socket)
{
    if (protocol == 0)
        protocol = IPPROTO_UDP;
    if (protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE)
        return -EPROTONOSUPPORT;
    *socket = socket_allocate(sizeof(struct inet_datagram), &datagram_operations, family, SOCK_DGRAM, protocol, credentials);
    if (*socket == NULL)
        return -ENOBUFS;
    struct inet_datagram *datagram = inet_datagram(*socket);
    inet_options_init(&datagram->options);
    datagram_queue_init(&datagram->queue);
    datagram->binding.protocol = protocol == IPPROTO_UDP ? PORT_UDP : PORT_UDPLITE;
    datagram->binding.owner = datagram;
    return 0;
}

/* ---- Reception: under the core lock ---- */

struct group_pick {
    const struct inet_datagram *first;
    struct inet_datagram *chosen;
    uint64_t index;
    unsigned int count;
};

static bool group_count(struct port_binding *binding, void *context)
{
    struct group_pick *pick = context;
    if (binding->reuse_port && !binding->connected && ip_addr_cmp(&binding->address, &pick->first->binding.address)) {
        if (pick->count == pick->index)
            pick->chosen = binding->owner;
        pick->count++;
    }
    return true;
}

/* Of the sockets that share a port by SO_REUSEPORT, the one that this sender's datagrams go to. */
static struct inet_datagram *group_choose(struct inet_datagram *datagram, const ip_addr_t *source, uint16_t port)
{
    struct group_pick pick = {datagram, NULL, UINT64_MAX, 0};
    uint8_t bytes[18];

    if (!datagram->binding.reuse_port || datagram->connected || ip_addr_ismulticast(ip_current_dest_addr()))
        return datagram;
    port_for_each(datagram->binding.protocol, datagram->binding.port, group_count, &pick);
    if (pick.count < 2)
        return datagram;
    address_bytes(source, bytes);
    bytes[16] = (uint8_t)port;
    bytes[17] = (uint8_t)(port >> 8);
    pick.index = hash_bytes(bytes, sizeof(bytes), 0) % pick.count;
    pick.count = 0;
    port_for_each(datagram->binding.protocol, datagram->binding.port, group_count, &pick);
    return pick.chosen != NULL ? pick.chosen : datagram;
}

static void datagram_received(void *argument, struct udp_pcb *pcb, struct pbuf *packet, const ip_addr_t *source, u16_t port)
{
    struct inet_datagram *datagram = argument;
    const ip_addr_t *destination = ip_current_dest_addr();

    /* lwIP has one table for both protocols. */
    if (ip_current_header_proto() != datagram->socket.protocol) {
        pbuf_free(packet);
        return;
    }
    if (ip_addr_ismulticast(destination) && !datagram->options.multicast_all && !inet_is_member(&datagram->options, destination, netif_get_index(ip_current_input_netif()))) {
        pbuf_free(packet);
        return;
    }
    datagram = group_choose(datagram, source, port);
    datagram_queue_add(&datagram->queue, &datagram->socket, packet, source, port, datagram->binding.port);
}

struct unreachable_search {
    const ip_addr_t *local, *remote;
    uint16_t remote_port;
    struct inet_datagram *found;
};

static bool unreachable_match(struct port_binding *binding, void *context)
{
    struct unreachable_search *search = context;
    struct inet_datagram *datagram = binding->owner;

    if (!ip_addr_isany(&binding->address) && !ip_addr_cmp_zoneless(&binding->address, search->local))
        return true;
    bool ours = datagram->connected ? datagram->remote.port == search->remote_port && ip_addr_cmp_zoneless(&datagram->remote.address, search->remote)
                                    : datagram->options.receive_errors || datagram->options.receive_errors_v6;
    if (ours)
        search->found = datagram;
    return !ours;
}

void inet_datagram_unreachable(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port, const struct extended_error *error, bool hard, const ip_addr_t *offender,
                               const struct pbuf *packet, size_t payload_offset)
{
    struct unreachable_search search = {local, remote, remote_port, NULL};

    port_for_each(PORT_UDP, local_port, unreachable_match, &search);
    struct inet_datagram *datagram = search.found;
    if (datagram == NULL)
        return;
    bool wanted = IP_IS_V6(remote) ? datagram->options.receive_errors_v6 : datagram->options.receive_errors;
    if (wanted)
        datagram_queue_add_error(&datagram->queue, &datagram->socket, error, packet, payload_offset, offender, remote, remote_port);
    if (wanted || (hard && datagram->connected)) {
        atomic_store(&datagram->socket.error, (int)error->number);
        socket_wake(&datagram->socket, POLL_ERROR | POLL_IN | POLL_OUT);
    }
}

/* ---- bind, connect ---- */

static u8_t address_type(const struct inet_datagram *datagram)
{
    if (datagram->socket.family == AF_INET)
        return IPADDR_TYPE_V4;
    return datagram->options.v6_only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

static void describe_binding(struct inet_datagram *datagram)
{
    datagram->binding.reuse_address = datagram->socket.reuse_address;
    datagram->binding.reuse_port = datagram->socket.reuse_port;
    datagram->binding.interface = datagram->socket.bound_interface;
    datagram->binding.uid = datagram->socket.uid;
    datagram->binding.v6_only = datagram->options.v6_only;
    datagram->binding.connected = datagram->connected;
}

/* Core lock held: the pcb at the binding's address and port, which is taken first. */
static int bind_locked(struct inet_datagram *datagram, const ip_addr_t *address, uint16_t port)
{
    describe_binding(datagram);
    datagram->binding.address = *address;
    datagram->binding.port = port;
    int error = port_bind(&datagram->binding);
    if (error != 0)
        return error;
    datagram->pcb = udp_new_ip_type(address_type(datagram));
    if (datagram->pcb == NULL) {
        port_release(&datagram->binding);
        return -ENOBUFS;
    }
    ip_set_option(datagram->pcb, SOF_REUSEADDR);
    if (datagram->socket.protocol == IPPROTO_UDPLITE)
        udp_set_flags(datagram->pcb, UDP_FLAGS_UDPLITE);
    if (datagram->socket.bound_interface != 0)
        udp_bind_netif(datagram->pcb, netif_get_by_index(datagram->socket.bound_interface));
    error = address_error(udp_bind(datagram->pcb, address, datagram->binding.port));
    if (error != 0) {
        udp_remove(datagram->pcb);
        datagram->pcb = NULL;
        port_release(&datagram->binding);
        return error;
    }
    udp_recv(datagram->pcb, datagram_received, datagram);
    return 0;
}

static int bind_any(struct inet_datagram *datagram)
{
    ip_addr_t any = {0};

    if (datagram->pcb != NULL)
        return 0;
    IP_SET_TYPE_VAL(any, address_type(datagram));
    int error = bind_locked(datagram, &any, 0);
    return error == -EADDRINUSE ? -EAGAIN : error;
}

static int datagram_bind(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct inet_datagram *datagram = inet_datagram(socket);
    struct endpoint endpoint;
    int error = address_parse(socket->family, datagram->options.v6_only, address, address_bytes, &endpoint);

    if (error != 0)
        return error == -ENETUNREACH ? -EINVAL : error;
    if (endpoint.port != 0 && endpoint.port < 1024 && socket->credentials != NULL && !credentials_capable(socket->credentials, CAPABILITY_NET_BIND_SERVICE))
        return -EACCES;
    network_lock();
    if (datagram->pcb != NULL) {
        error = -EINVAL;
    } else if (!address_is_bindable(&endpoint.address) && !datagram->options.free_bind && !datagram->options.transparent) {
        error = -EADDRNOTAVAIL;
    } else {
        if (IP_IS_V6_VAL(endpoint.address) && ip_addr_isany(&endpoint.address))
            IP_SET_TYPE_VAL(endpoint.address, address_type(datagram));
        error = bind_locked(datagram, &endpoint.address, endpoint.port);
    }
    network_unlock();
    return error;
}

/* Core lock held: the interface and source address for a destination. */
static int choose_route(struct inet_datagram *datagram, const struct datagram_control *control, const ip_addr_t *remote, struct netif **netif, ip_addr_t *source)
{
    bool v6 = IP_IS_V6(remote);
    uint8_t index = control->interface != 0 ? control->interface : datagram->socket.bound_interface;
    ip_addr_t bound = ip_addr_isany(&control->source) ? datagram->binding.address : control->source;

    if (index == 0 && ip_addr_ismulticast(remote))
        index = v6 ? datagram->options.multicast_interface_v6 : datagram->options.multicast_interface;
    if (ip_addr_isany(&bound) || ip_addr_ismulticast(&bound) || IP_IS_V6_VAL(bound) != v6)
        ip_addr_set_any(v6, &bound);
    if (index != 0) {
        *netif = netif_get_by_index(index);
        if (*netif != NULL && address_is_local(remote))
            *netif = ip_route(&bound, remote);
    } else {
        *netif = ip_route(&bound, remote);
    }
    if (*netif == NULL)
        return -ENETUNREACH;
    if (ip_addr_isany(&bound)) {
        const ip_addr_t *own = ip_netif_get_local_ip(*netif, remote);
        if (own == NULL)
            return -ENETUNREACH;
        bound = *own;
        address_select_source(remote, &bound);
    }
    *source = bound;
    return 0;
}

static int disconnect(struct inet_datagram *datagram)
{
    network_lock();
    if (datagram->connected) {
        udp_disconnect(datagram->pcb);
        datagram->connected = false;
        datagram->binding.connected = false;
        if (datagram->source_chosen) {
            ip_addr_set_zero(&datagram->binding.address);
            IP_SET_TYPE_VAL(datagram->binding.address, address_type(datagram));
            ip_addr_copy(datagram->pcb->local_ip, datagram->binding.address);
            datagram->source_chosen = false;
        }
    }
    network_unlock();
    return 0;
}

/* Core lock held. */
static int connect_locked(struct inet_datagram *datagram, struct endpoint *remote)
{
    struct datagram_control plain = {.ttl = -1, .tos = -1};
    struct netif *netif;
    ip_addr_t source;

    if (address_is_broadcast(&remote->address) && !datagram->socket.broadcast)
        return -EACCES;
    int error = bind_any(datagram);
    if (error != 0)
        return error;
    if (datagram->source_chosen)
        ip_addr_set_any(IP_IS_V6_VAL(remote->address), &datagram->binding.address);
    error = choose_route(datagram, &plain, &remote->address, &netif, &source);
    if (error != 0)
        return error;
    if (ip_addr_isany(&datagram->binding.address)) {
        datagram->source_chosen = true;
        datagram->binding.address = source;
        ip_addr_copy(datagram->pcb->local_ip, source);
    }
    error = address_error(udp_connect(datagram->pcb, &remote->address, remote->port));
    if (error == 0) {
        datagram->remote = *remote;
        datagram->connected = datagram->binding.connected = true;
        datagram->binding.remote_address = remote->address;
        datagram->binding.remote_port = remote->port;
    }
    return error;
}

static int datagram_connect(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking)
{
    struct inet_datagram *datagram = inet_datagram(socket);
    struct endpoint remote;
    uint16_t family;

    memcpy(&family, address, sizeof(family));
    if (family == AF_UNSPEC)
        return disconnect(datagram);
    int error = address_parse(socket->family, datagram->options.v6_only, address, address_bytes, &remote);
    if (error != 0)
        return error;
    address_any_is_loopback(&remote.address);
    network_lock();
    error = connect_locked(datagram, &remote);
    network_unlock();
    return error;
}

/* ---- Sending ---- */

/* Core lock held: what lwIP looks up in the pcb for this datagram. */
static void apply_options(struct inet_datagram *datagram, const struct datagram_control *control, bool v6)
{
    struct udp_pcb *pcb = datagram->pcb;
    const struct inet_options *options = &datagram->options;
    bool loop = v6 ? options->multicast_loop_v6 : options->multicast_loop;

    pcb->ttl = control->ttl >= 0 ? (u8_t)control->ttl : inet_ttl(options, v6);
    pcb->tos = control->tos >= 0 ? (u8_t)control->tos : v6 ? options->traffic_class : options->tos;
    if (datagram->socket.protocol == IPPROTO_UDPLITE) {
        pcb->chksum_len_tx = datagram->send_coverage;
        pcb->chksum_len_rx = datagram->receive_coverage;
    }
    pcb->mcast_ttl = control->ttl >= 0 ? (u8_t)control->ttl : v6 ? options->multicast_hops : options->multicast_ttl;
    udp_set_flags(pcb, loop ? UDP_FLAGS_MULTICAST_LOOP : 0);
    if (!loop)
        udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
    if (datagram->socket.broadcast)
        ip_set_option(pcb, SOF_BROADCAST);
    else
        ip_reset_option(pcb, SOF_BROADCAST);
}

int inet_datagram_send_locked(struct inet_datagram *datagram, const struct datagram_control *control, const struct endpoint *remote, struct pbuf *packet)
{
    struct netif *netif;
    ip_addr_t source;
    bool v6 = IP_IS_V6_VAL(remote->address);

    if (!datagram->socket.broadcast && address_is_broadcast(&remote->address))
        return -EACCES;
    int error = bind_any(datagram);
    if (error == 0)
        error = choose_route(datagram, control, &remote->address, &netif, &source);
    if (error != 0)
        return error;
    uint8_t discover = v6 ? datagram->options.path_mtu_discover_v6 : datagram->options.path_mtu_discover;
    size_t headers = v6 ? 48 : 28;
    if ((discover == 2 || discover == 3) && packet->tot_len + headers > netif->mtu)
        return -EMSGSIZE;
    apply_options(datagram, control, v6);
    return address_error(udp_sendto_if_src(datagram->pcb, packet, &remote->address, remote->port, netif, &source));
}

/* Core lock held. MSG_MORE and UDP_CORK: parts become one datagram; takes the part over. 0 when there is nothing to send yet. */
static int gather(struct inet_datagram *datagram, struct pbuf **packet, const struct endpoint *remote, bool more)
{
    if (datagram->corked != NULL) {
        if ((uint32_t)datagram->corked->tot_len + (*packet)->tot_len > PAYLOAD_LIMIT)
            return -EMSGSIZE;
        pbuf_cat(datagram->corked, *packet);
        *packet = datagram->corked;
        datagram->corked = NULL;
    } else {
        datagram->corked_remote = *remote;
    }
    if (more) {
        datagram->corked = *packet;
        *packet = NULL;
    }
    return 0;
}

static int send_destination(struct inet_datagram *datagram, const struct socket_message *message, struct endpoint *remote)
{
    uint16_t family = AF_UNSPEC;

    if (message->address != NULL && message->address_bytes > 0) {
        if (message->address_bytes >= sizeof(family))
            memcpy(&family, message->address, sizeof(family));
        if (datagram->socket.family == AF_INET6 && family == AF_INET) { /* Linux takes both */
            int error = address_parse(AF_INET, false, message->address, message->address_bytes, remote);
            if (error != 0)
                return error;
        } else {
            int error = address_parse(datagram->socket.family, datagram->options.v6_only, message->address, message->address_bytes, remote);
            if (error != 0)
                return error;
        }
        address_any_is_loopback(&remote->address);
        return remote->port == 0 ? -EINVAL : 0;
    }
    network_lock();
    bool connected = datagram->connected;
    *remote = datagram->corked != NULL ? datagram->corked_remote : datagram->remote;
    connected |= datagram->corked != NULL;
    network_unlock();
    return connected ? 0 : -EDESTADDRREQ;
}

static long datagram_send(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking)
{
    struct inet_datagram *datagram = inet_datagram(socket);
    size_t length = message->data->remaining_bytes;
    bool more = (message->flags & MSG_MORE) || datagram->cork;
    struct datagram_control control;
    struct endpoint remote;
    struct pbuf *packet;

    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (length > PAYLOAD_LIMIT)
        return -EMSGSIZE;
    if (socket->send_shut)
        return -EPIPE;
    int error = send_destination(datagram, message, &remote);
    if (error == 0)
        error = datagram_control_parse(socket, message, &control);
    if (error == 0)
        error = socket_take_error(socket);
    if (error == 0)
        error = packet_create_vector(message->data, length, PBUF_TRANSPORT, &packet);
    if (error != 0)
        return error;
    network_lock();
    if (datagram->corked != NULL)
        remote = datagram->corked_remote;
    if (more || datagram->corked != NULL)
        error = gather(datagram, &packet, &remote, more);
    if (error == 0 && packet != NULL)
        error = inet_datagram_send_locked(datagram, &control, &remote, packet);
    if (packet != NULL)
        pbuf_free(packet);
    network_unlock();
    return error != 0 ? error : (long)length;
}

static long datagram_receive_message(struct socket *socket, struct socket_message *message, bool nonblocking)
{
    struct inet_datagram *datagram = inet_datagram(socket);
    return datagram_receive(socket, &datagram->queue, &datagram->options, message, nonblocking);
}

/* ---- The rest ---- */

static int datagram_shutdown(struct socket *socket, int how)
{
    if (how != SHUT_WR)
        socket->receive_shut = true;
    if (how != SHUT_RD)
        socket->send_shut = true;
    bool connected = inet_datagram(socket)->connected;
    socket_wake(socket, POLL_IN | POLL_OUT | POLL_READ_HANGUP | POLL_HANGUP);
    return connected ? 0 : -ENOTCONN; /* having shut it nevertheless, as Linux does */
}

static long datagram_get_name(struct socket *socket, bool peer, void *address)
{
    struct inet_datagram *datagram = inet_datagram(socket);
    long length = -ENOTCONN;
    ip_addr_t any = {0};

    network_lock();
    if (!peer)
        length = (long)address_format(socket->family, datagram->binding.port != 0 ? &datagram->binding.address : &any, datagram->binding.port, address);
    else if (datagram->connected)
        length = (long)address_format(socket->family, &datagram->remote.address, datagram->remote.port, address);
    network_unlock();
    return length;
}

static uint32_t datagram_poll_file(struct socket *socket)
{
    return datagram_poll(socket, &inet_datagram(socket)->queue);
}

static long datagram_input(struct socket *socket)
{
    return datagram_input_bytes(&inet_datagram(socket)->queue);
}

static long datagram_output(struct socket *socket)
{
    return 0;
}

static void datagram_release(struct socket *socket)
{
    struct inet_datagram *datagram = inet_datagram(socket);

    network_lock();
    inet_options_release(&datagram->options);
    port_release(&datagram->binding);
    if (datagram->pcb != NULL)
        udp_remove(datagram->pcb);
    if (datagram->corked != NULL)
        pbuf_free(datagram->corked);
    network_unlock();
    datagram_queue_clear(&datagram->queue);
    socket_free(socket);
}

static const struct socket_operations datagram_operations = {
    .release = datagram_release,
    .bind = datagram_bind,
    .connect = datagram_connect,
    .send = datagram_send,
    .receive = datagram_receive_message,
    .shutdown = datagram_shutdown,
    .get_name = datagram_get_name,
    .get_option = inet_datagram_get_option,
    .set_option = inet_datagram_set_option,
    .option_changed = inet_datagram_option_changed,
    .poll = datagram_poll_file,
    .input_bytes = datagram_input,
    .output_bytes = datagram_output,
};
