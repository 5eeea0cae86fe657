/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two rings shared with the network backend, a page each, and copies of what it puts there. Knows layouts only; what a response means is
 * transmit.c's and receive.c's. The caller holds the ring's lock.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "xen/bus/shared_ring.h"

#define NETFRONT_RING_SIZE 256u

/* Flags of transmit requests and receive responses. */
#define NETFRONT_CHECKSUM_BLANK 1u
#define NETFRONT_DATA_VALIDATED 2u
#define NETFRONT_MORE_DATA 4u
#define NETFRONT_EXTRA_INFO 8u

/* Statuses of transmit responses. */
#define NETFRONT_OKAY 0
#define NETFRONT_NULL 1 /* the slot was extra info */

#define NETFRONT_EXTRA_GSO 1u
#define NETFRONT_EXTRA_MORE 1u
#define NETFRONT_GSO_TCP_V4 1u
#define NETFRONT_GSO_TCP_V6 2u

struct netfront_wire_extra {
    uint8_t type;
    uint8_t flags;
    uint16_t gso_bytes;
    uint8_t gso_type;
    uint8_t padding;
    uint16_t gso_features;
};

struct netfront_wire_tx_request {
    uint32_t reference;
    uint16_t offset_bytes;
    uint16_t flags;
    uint16_t id;
    uint16_t size_bytes; /* first slot of a frame: of the whole frame */
};

struct netfront_wire_tx_response {
    uint16_t id;
    int16_t status;
};

union netfront_wire_tx {
    struct netfront_wire_tx_request request;
    struct netfront_wire_extra extra;
    struct netfront_wire_tx_response response;
};

struct netfront_wire_rx_request {
    uint16_t id;
    uint16_t padding;
    uint32_t reference;
};

struct netfront_wire_rx_response {
    uint16_t id;
    uint16_t offset_bytes;
    uint16_t flags;
    int16_t status; /* length, or negative */
};

union netfront_wire_rx {
    struct netfront_wire_rx_request request;
    struct netfront_wire_rx_response response;
    struct netfront_wire_extra extra;
};

_Static_assert(sizeof(union netfront_wire_tx) == 12, "as on the wire");
_Static_assert(sizeof(union netfront_wire_rx) == 8, "as on the wire");

struct netfront_wire_tx_ring {
    struct shared_ring_header header;
    union netfront_wire_tx entries[NETFRONT_RING_SIZE];
};

struct netfront_wire_rx_ring {
    struct shared_ring_header header;
    union netfront_wire_rx entries[NETFRONT_RING_SIZE];
};

struct netfront_tx_queue {
    struct shared_ring indices;
    struct netfront_wire_tx_ring *ring;
};

struct netfront_rx_queue {
    struct shared_ring indices;
    struct netfront_wire_rx_ring *ring;
};

/* Rings in fresh, zeroed memory. */
void netfront_tx_queue_init(struct netfront_tx_queue *queue, struct netfront_wire_tx_ring *ring);
void netfront_rx_queue_init(struct netfront_rx_queue *queue, struct netfront_wire_rx_ring *ring);
/* The next entry to fill, zeroed; there must be room. */
union netfront_wire_tx *netfront_tx_queue_next(struct netfront_tx_queue *queue);
/* The next receive request; *slot is its place in the ring, which is its id. */
struct netfront_wire_rx_request *netfront_rx_queue_next(struct netfront_rx_queue *queue, uint32_t *slot);
/* 1: a copy of the next response (of rx also as extra info, and its place); 0: none; -EPROTO: an impossible index. */
int netfront_tx_queue_take(struct netfront_tx_queue *queue, struct netfront_wire_tx_response *response);
int netfront_rx_queue_take(struct netfront_rx_queue *queue, union netfront_wire_rx *response, uint32_t *slot);
