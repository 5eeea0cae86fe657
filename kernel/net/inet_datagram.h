/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP and UDP-Lite sockets on lwIP's udp_*().
 *
 * Locks: c core lock; f fixed; a atomic or single word.
 */
#pragma once

#include <lwip/udp.h>

#include "kernel/net/datagram_queue.h"
#include "kernel/net/port.h"

struct inet_datagram {
    struct socket socket;
    struct udp_pcb *pcb;           /* c NULL until it is bound or sends */
    struct port_binding binding;   /* c */
    struct inet_options options;
    struct endpoint remote;        /* c */
    bool connected;                /* c */
    bool source_chosen;            /* c the binding's address was chosen by connect() */
    struct datagram_queue queue;
    struct pbuf *corked;           /* c what MSG_MORE has gathered */
    struct endpoint corked_remote; /* c */
    bool cork;                     /* a UDP_CORK */
    uint16_t send_coverage, receive_coverage; /* a UDP-Lite: bytes that the checksum is over, 0: all */
};

static inline struct inet_datagram *inet_datagram(struct socket *socket)
{
    return container_of(socket, struct inet_datagram, socket);
}

/* Core lock held: ICMP says that a datagram of ours did not arrive. Offsets of the sent packet within `packet`. */
void inet_datagram_unreachable(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port, const struct extended_error *error, bool hard, const ip_addr_t *offender,
                               const struct pbuf *packet, size_t payload_offset);

/* Core lock held. Packet is the payload, and stays the caller's. 0 or the error of sendto(). */
int inet_datagram_send_locked(struct inet_datagram *datagram, const struct datagram_control *control, const struct endpoint *remote, struct pbuf *packet);

/* inet_datagram_option.c */
int inet_datagram_get_option(struct socket *socket, int level, int name, void *value, size_t *length_bytes);
int inet_datagram_set_option(struct socket *socket, int level, int name, const void *value, size_t length_bytes);
void inet_datagram_option_changed(struct socket *socket, int name);
