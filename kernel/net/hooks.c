/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's hooks (kernel/net/lwip/lwip_hooks.h): sequence numbers that cannot be guessed, the way to our own addresses, old connections that give
 * way to new ones, and what DHCP says besides addresses. All run under the core lock.
 */
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/prot/tcp.h>
#include <lwip/prot/udp.h>
#include <lwip_hooks.h>

#include <string.h>

#include "kernel/base/hash.h"
#include "kernel/device/random.h"
#include "kernel/net/address.h"
#include "kernel/net/inet_stream.h"
#include "kernel/net/loopback.h"
#include "kernel/net/network_internal.h"
#include "xen/machine/clock.h"

/* RFC 6528: a clock of 4 microseconds plus a keyed hash of the connection's names. */
u32_t network_hook_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote, u16_t remote_port)
{
    static uint64_t key[2];
    struct {
        uint64_t key;
        uint8_t local[16], remote[16];
        u16_t local_port, remote_port;
        uint32_t padding;
    } names = {0};

    if (key[0] == 0)
        random_bytes(key, sizeof(key));
    names.key = key[1];
    memcpy(names.local, local, IP_IS_V6(local) ? 16 : 4);
    memcpy(names.remote, remote, IP_IS_V6(remote) ? 16 : 4);
    names.local_port = local_port;
    names.remote_port = remote_port;
    uint64_t mixed = hash_integer(hash_bytes(&names, sizeof(names), key[0]) ^ key[1]);
    return (u32_t)(mixed >> 16) + (u32_t)(clock_monotonic_ns() / 4000);
}

/*
 * A SYN for a connection that we still keep in TIME_WAIT opens a new one if its sequence number lies beyond the old one's
 * (RFC 1122, 4.2.2.13): the old goes, and the SYN finds the listener. lwIP itself would answer with a reset.
 */
static void time_wait_recycle(const struct tcp_hdr *header, const ip_addr_t *source, const ip_addr_t *destination)
{
    u16_t from = lwip_ntohs(header->src), to = lwip_ntohs(header->dest);

    if ((TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
        return;
    for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb != NULL; pcb = pcb->next) {
        if (pcb->remote_port != from || pcb->local_port != to || !ip_addr_cmp(&pcb->remote_ip, source) || !ip_addr_cmp(&pcb->local_ip, destination))
            continue;
        if (TCP_SEQ_GT(lwip_ntohl(header->seqno), pcb->rcv_nxt - 1))
            tcp_abort(pcb);
        return;
    }
}

int network_hook_input_v4(struct pbuf *p, struct netif *input)
{
    const struct ip_hdr *header = p->payload;
    ip_addr_t source, destination;

    if (p->len < IP_HLEN)
        return 0;
    ip_addr_copy_from_ip4(source, header->src);
    ip_addr_copy_from_ip4(destination, header->dest);
    loopback_adopt(input, ip_2_ip4(&destination));
    u16_t length = IPH_HL_BYTES(header);
    /* lwIP looks at the port of UDP packets that are not for us before it looks at their length; a last fragment may be so short. */
    bool fragment = (IPH_OFFSET(header) & PP_HTONS(IP_OFFMASK)) != 0;
    if (IPH_PROTO(header) == IP_PROTO_UDP && p->len < length + UDP_HLEN && !(fragment && address_is_local(&destination))) {
        pbuf_free(p);
        return 1;
    }
    if (IPH_PROTO(header) == IP_PROTO_TCP && tcp_tw_pcbs != NULL && !fragment && p->len >= length + TCP_HLEN)
        time_wait_recycle((const struct tcp_hdr *)((const u8_t *)p->payload + length), &source, &destination);
    return 0;
}

int network_hook_input_v6(struct pbuf *p, struct netif *input)
{
    const struct ip6_hdr *header = p->payload;
    ip_addr_t source, destination;

    if (p->len < IP6_HLEN + TCP_HLEN || IP6H_NEXTH(header) != IP_PROTO_TCP || tcp_tw_pcbs == NULL)
        return 0;
    ip_addr_copy_from_ip6_packed(source, header->src);
    ip_addr_copy_from_ip6_packed(destination, header->dest);
    ip6_addr_assign_zone(ip_2_ip6(&source), IP6_UNKNOWN, input);
    ip6_addr_assign_zone(ip_2_ip6(&destination), IP6_UNKNOWN, input);
    time_wait_recycle((const struct tcp_hdr *)((const u8_t *)p->payload + IP6_HLEN), &source, &destination);
    return 0;
}

void network_hook_segment(struct tcp_pcb *pcb)
{
    struct inet_stream *stream = pcb->state != LISTEN && pcb->state != TIME_WAIT ? tcp_ext_arg_get(pcb, inet_stream_argument) : NULL;
    if (stream != NULL)
        inet_stream_note_segment(stream);
}

struct netif *network_hook_route_v4(const ip4_addr_t *source, const ip4_addr_t *destination)
{
    struct netif *netif;

    if (ip4_addr_isloopback(destination))
        return loopback_netif();
    NETIF_FOREACH (netif)
        if (netif_is_up(netif) && !ip4_addr_isany_val(*netif_ip4_addr(netif)) && ip4_addr_cmp(destination, netif_ip4_addr(netif)))
            return loopback_netif();
    return NULL;
}

struct netif *network_hook_route_v6(const ip6_addr_t *source, const ip6_addr_t *destination)
{
    struct netif *netif;

    if (ip6_addr_isloopback(destination))
        return loopback_netif();
    NETIF_FOREACH (netif)
        if (netif_get_ip6_addr_match(netif, destination) >= 0)
            return loopback_netif();
    return NULL;
}

void network_hook_dhcp_option(struct netif *netif, u8_t option, u8_t length, struct pbuf *p, u16_t offset)
{
    char text[256];

    if (option == 12 && length > 0 && pbuf_copy_partial(p, text, length, offset) == length)
        network_note_host_name(text, length);
}
