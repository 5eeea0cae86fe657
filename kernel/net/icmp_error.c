/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP's errors for our sockets: lwIP drops them, so two raw pcbs listen, find the socket that the quoted packet came from, and tell it.
 */
#include <lwip/ip.h>
#include <lwip/prot/icmp.h>
#include <lwip/prot/icmp6.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/raw.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/net/core.h"
#include "kernel/net/inet_datagram.h"
#include "kernel/net/inet_stream.h"

#define QUOTE_BYTES 48  /* an IPv6 header and the ports */
#define UNREACHABLE_V4 3
#define TIME_EXCEEDED_V4 11

/* Linux's icmp_err_convert: what a code of "unreachable" means, and whether it ends an attempt at once. */
static const struct {
    uint8_t error;
    bool hard;
} unreachable_v4[] = {
    {ENETUNREACH, false}, {EHOSTUNREACH, false}, {ENOPROTOOPT, true}, {ECONNREFUSED, true}, {EMSGSIZE, false}, {EOPNOTSUPP, false},
    {ENETUNREACH, true}, {EHOSTDOWN, true}, {ENONET, true}, {ENETUNREACH, true}, {EHOSTUNREACH, true}, {ENETUNREACH, false},
    {EHOSTUNREACH, false}, {EHOSTUNREACH, true}, {EHOSTUNREACH, true}, {EHOSTUNREACH, true},
};

struct quoted {
    ip_addr_t source, destination;
    uint16_t source_port, destination_port;
    uint8_t protocol;
    size_t payload_offset;      /* in the packet, past UDP's header */
};

static void quoted_ports(struct quoted *quoted, const uint8_t *ports)
{
    quoted->source_port = (uint16_t)(ports[0] << 8 | ports[1]);
    quoted->destination_port = (uint16_t)(ports[2] << 8 | ports[3]);
}

static bool quote_v4(const struct pbuf *packet, u16_t offset, struct quoted *quoted)
{
    uint8_t bytes[60 + 4];
    struct ip_hdr header;
    u16_t length = pbuf_copy_partial(packet, bytes, sizeof(bytes), offset);

    if (length < IP_HLEN)
        return false;
    memcpy(&header, bytes, sizeof(header));
    u16_t header_bytes = IPH_HL_BYTES(&header);
    if (header_bytes < IP_HLEN || length < header_bytes + 4)
        return false;
    ip_addr_copy_from_ip4(quoted->source, header.src);
    ip_addr_copy_from_ip4(quoted->destination, header.dest);
    quoted->protocol = IPH_PROTO(&header);
    quoted_ports(quoted, bytes + header_bytes);
    quoted->payload_offset = (size_t)offset + header_bytes + 8;
    return true;
}

static bool quote_v6(const struct pbuf *packet, u16_t offset, struct quoted *quoted)
{
    uint8_t bytes[QUOTE_BYTES];
    struct ip6_hdr header;

    if (pbuf_copy_partial(packet, bytes, sizeof(bytes), offset) < IP6_HLEN + 4)
        return false;
    memcpy(&header, bytes, sizeof(header));
    ip_addr_copy_from_ip6_packed(quoted->source, header.src);
    ip_addr_copy_from_ip6_packed(quoted->destination, header.dest);
    quoted->protocol = IP6H_NEXTH(&header);
    quoted_ports(quoted, bytes + IP6_HLEN);
    quoted->payload_offset = (size_t)offset + IP6_HLEN + 8;
    return true;
}

static void tell(const struct quoted *quoted, const struct extended_error *error, bool hard, const ip_addr_t *offender, const struct pbuf *packet)
{
    if (quoted->protocol == IP_PROTO_UDP)
        inet_datagram_unreachable(&quoted->source, quoted->source_port, &quoted->destination, quoted->destination_port, error, hard, offender, packet, quoted->payload_offset);
    else if (quoted->protocol == IP_PROTO_TCP && error->number != EMSGSIZE)
        inet_stream_unreachable(&quoted->source, quoted->source_port, &quoted->destination, quoted->destination_port, (int)error->number);
}

static u8_t icmp_received(void *argument, struct raw_pcb *pcb, struct pbuf *packet, const ip_addr_t *source)
{
    u16_t header = ip_current_header_tot_len();
    struct quoted quoted;
    uint8_t icmp[8];

    if (pbuf_copy_partial(packet, icmp, sizeof(icmp), header) < sizeof(icmp) || !quote_v4(packet, header + sizeof(icmp), &quoted))
        return 0;
    struct extended_error error = {.origin = EXTENDED_ERROR_ICMP, .type = icmp[0], .code = icmp[1]};
    bool hard = false;
    if (icmp[0] == UNREACHABLE_V4 && icmp[1] < array_count(unreachable_v4)) {
        error.number = unreachable_v4[icmp[1]].error;
        hard = unreachable_v4[icmp[1]].hard;
        if (error.number == EMSGSIZE)
            error.information = (uint32_t)(icmp[6] << 8 | icmp[7]);
    } else if (icmp[0] == TIME_EXCEEDED_V4) {
        error.number = EHOSTUNREACH;
    } else {
        return 0;
    }
    tell(&quoted, &error, hard, source, packet);
    return 0;
}

static u8_t icmp6_received(void *argument, struct raw_pcb *pcb, struct pbuf *packet, const ip_addr_t *source)
{
    static const uint8_t unreachable[] = {ENETUNREACH, EACCES, EHOSTUNREACH, EHOSTUNREACH, ECONNREFUSED, EACCES, EACCES};
    u16_t header = ip_current_header_tot_len();
    struct quoted quoted;
    uint8_t icmp[8];

    if (pbuf_copy_partial(packet, icmp, sizeof(icmp), header) < sizeof(icmp) || icmp[0] >= ICMP6_TYPE_EREQ || !quote_v6(packet, header + sizeof(icmp), &quoted))
        return 0;
    struct extended_error error = {.origin = EXTENDED_ERROR_ICMP6, .type = icmp[0], .code = icmp[1]};
    bool hard = false;
    if (icmp[0] == ICMP6_TYPE_DUR && icmp[1] < array_count(unreachable)) {
        error.number = unreachable[icmp[1]];
        hard = error.number == ECONNREFUSED || error.number == EACCES;
    } else if (icmp[0] == ICMP6_TYPE_PTB) {
        error.number = EMSGSIZE;
    } else if (icmp[0] == ICMP6_TYPE_TE) {
        error.number = EHOSTUNREACH;
    } else {
        return 0;
    }
    tell(&quoted, &error, hard, source, packet);
    return 0;
}

/* The Internet families' start. */
int inet_start(void)
{
    int error = 0;

    port_start();
    network_lock();
    inet_stream_argument = tcp_ext_arg_alloc_id();
    struct raw_pcb *v4 = raw_new_ip_type(IPADDR_TYPE_V4, IP_PROTO_ICMP), *v6 = raw_new_ip_type(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6);
    if (v4 != NULL && v6 != NULL) {
        raw_recv(v4, icmp_received, NULL);
        raw_recv(v6, icmp6_received, NULL);
    } else {
        error = -ENOMEM;
    }
    network_unlock();
    return error;
}
