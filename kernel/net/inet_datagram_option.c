/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP and UDP-Lite sockets: options of their own levels, and those of other levels that lwIP must hear of.
 */
#include "kernel/base/error.h"
#include "kernel/net/core.h"
#include "kernel/net/inet_datagram.h"

int inet_datagram_get_option(struct socket *socket, int level, int name, void *value, size_t *length_bytes)
{
    struct inet_datagram *datagram = inet_datagram(socket);
    int32_t number;

    if (level == SOL_IP || level == SOL_IPV6)
        return inet_option_get(socket, &datagram->options, level, name, value, length_bytes);
    if (level != SOL_UDP && !(level == SOL_UDPLITE && socket->protocol == IPPROTO_UDPLITE))
        return -EOPNOTSUPP;
    switch (name) {
    case UDPLITE_SEND_CSCOV: number = datagram->send_coverage; break;
    case UDPLITE_RECV_CSCOV: number = datagram->receive_coverage; break;
    case UDP_CORK: number = datagram->cork; break;
    case UDP_ENCAP:
    case UDP_SEGMENT:
    case UDP_GRO: number = 0; break;
    default: return -ENOPROTOOPT;
    }
    return socket_option_out(value, length_bytes, &number, sizeof(number));
}

/* UDP_CORK taken away: what was gathered goes out. */
static int uncork(struct inet_datagram *datagram)
{
    struct datagram_control plain = {.ttl = -1, .tos = -1};
    int error = 0;

    network_lock();
    struct pbuf *packet = datagram->corked;
    datagram->corked = NULL;
    if (packet != NULL) {
        error = inet_datagram_send_locked(datagram, &plain, &datagram->corked_remote, packet);
        pbuf_free(packet);
    }
    network_unlock();
    return error;
}

/* At least the header is covered; less is rounded up, as Linux does. Core lock not held. */
static int set_coverage(struct inet_datagram *datagram, bool send, int number)
{
    uint16_t coverage = number == 0 ? 0 : (uint16_t)minimum(maximum(number, 8), 65535);

    network_lock();
    if (send)
        datagram->send_coverage = coverage;
    else
        datagram->receive_coverage = coverage;
    if (datagram->pcb != NULL) {
        datagram->pcb->chksum_len_tx = datagram->send_coverage;
        datagram->pcb->chksum_len_rx = datagram->receive_coverage;
    }
    network_unlock();
    return 0;
}

int inet_datagram_set_option(struct socket *socket, int level, int name, const void *value, size_t length_bytes)
{
    struct inet_datagram *datagram = inet_datagram(socket);
    int number;

    if (level == SOL_IP || level == SOL_IPV6)
        return inet_option_set(socket, &datagram->options, level, name, value, length_bytes);
    bool lite = socket->protocol == IPPROTO_UDPLITE;
    if (level != SOL_UDP && !(level == SOL_UDPLITE && lite))
        return -ENOPROTOOPT;
    if (length_bytes < sizeof(int32_t) || socket_option_in(value, length_bytes, &number) != 0)
        return -EINVAL;
    if (lite && (name == UDPLITE_SEND_CSCOV || name == UDPLITE_RECV_CSCOV))
        return set_coverage(datagram, name == UDPLITE_SEND_CSCOV, number);
    if (name != UDP_CORK)
        return -ENOPROTOOPT;
    datagram->cork = number != 0;
    return datagram->cork ? 0 : uncork(datagram);
}

void inet_datagram_option_changed(struct socket *socket, int name)
{
    struct inet_datagram *datagram = inet_datagram(socket);

    network_lock();
    datagram->binding.reuse_address = socket->reuse_address;
    datagram->binding.reuse_port = socket->reuse_port;
    if (datagram->pcb != NULL)
        udp_bind_netif(datagram->pcb, socket->bound_interface != 0 ? netif_get_by_index(socket->bound_interface) : NULL);
    network_unlock();
}
