/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Received datagrams of UDP and raw sockets, with what the program may ask about each, and the queue of errors (IP_RECVERR).
 */
#pragma once

#include "kernel/net/address.h"
#include "kernel/net/inet_option.h"
#include "kernel/net/socket_object.h"
#include "kernel/sched/mutex.h"
#include "xen/machine/spinlock.h"

struct datagram {
    struct list link;
    struct pbuf *packet;
    ip_addr_t source, destination;
    uint16_t source_port, destination_port;
    uint8_t interface;          /* index */
    uint8_t ttl, tos;
    uint64_t real_ns;
    struct extended_error error;/* of the error queue; number 0: a datagram */
};

/* Locks: q lock; r receive_mutex. Order: receive_mutex, then lock. */
struct datagram_queue {
    struct spinlock lock;
    struct mutex receive_mutex;
    struct list datagrams;      /* q; taken from the front by the holder of receive_mutex */
    struct list errors;         /* q */
    _Atomic size_t bytes;       /* q to write: with overhead, against SO_RCVBUF */
    unsigned int error_count;   /* q */
    _Atomic uint64_t dropped;
};

void datagram_queue_init(struct datagram_queue *queue);
void datagram_queue_clear(struct datagram_queue *queue);
/* Core lock held, in a call-back of lwIP: takes the packet over, with what ip_current_*() say; drops it where there is no room. */
void datagram_queue_add(struct datagram_queue *queue, struct socket *socket, struct pbuf *packet, const ip_addr_t *source, uint16_t source_port, uint16_t destination_port);
/* Core lock held: an error for MSG_ERRQUEUE; packet (referenced by the call) is what was sent. */
void datagram_queue_add_error(struct datagram_queue *queue, struct socket *socket, const struct extended_error *error, const struct pbuf *packet, size_t skip_bytes, const ip_addr_t *offender, const ip_addr_t *destination, uint16_t destination_port);
/* recvmsg() on such a socket. */
long datagram_receive(struct socket *socket, struct datagram_queue *queue, const struct inet_options *options, struct socket_message *message, bool nonblocking);
uint32_t datagram_poll(struct socket *socket, struct datagram_queue *queue);
/* Length of the first. */
long datagram_input_bytes(struct datagram_queue *queue);

/* What a send's control messages ask for. */
struct datagram_control {
    ip_addr_t source;           /* any: by route */
    uint8_t interface;          /* 0: by route */
    int ttl, tos;               /* -1: the socket's */
};
int datagram_control_parse(const struct socket *socket, const struct socket_message *message, struct datagram_control *control);
