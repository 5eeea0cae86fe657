/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring shared with the block backend, one page, in the x86_64 protocol. Knows layouts only; what a response
 * means is transfer.c's. The caller holds the disk's lock.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "xen/bus/shared_ring.h"

#define BLKFRONT_RING_SIZE 32u
#define BLKFRONT_SEGMENT_LIMIT 11u

enum blkfront_operation {
    BLKFRONT_READ = 0,
    BLKFRONT_WRITE = 1,
    BLKFRONT_FLUSH = 3,
    BLKFRONT_DISCARD = 5,
};

/* Statuses of responses. */
#define BLKFRONT_OKAY 0
#define BLKFRONT_ERROR (-1)
#define BLKFRONT_UNSUPPORTED (-2)

struct blkfront_wire_segment {
    uint32_t reference;
    uint8_t first_sector, last_sector; /* 512-byte sectors inside the page, both included */
    uint16_t padding;
};

struct blkfront_wire_request {
    uint8_t operation;
    uint8_t segment_count; /* DISCARD: flags */
    uint16_t handle;       /* the virtual device's number */
    uint32_t padding;
    uint64_t id;
    uint64_t sector;
    union {
        struct blkfront_wire_segment segments[BLKFRONT_SEGMENT_LIMIT];
        uint64_t discard_sectors;
    };
};

struct blkfront_wire_response {
    uint64_t id;
    uint8_t operation;
    uint8_t padding;
    int16_t status;
    uint32_t padding_end;
};

union blkfront_wire_entry {
    struct blkfront_wire_request request;
    struct blkfront_wire_response response;
};

struct blkfront_wire_ring {
    struct shared_ring_header header;
    union blkfront_wire_entry entries[BLKFRONT_RING_SIZE];
};

_Static_assert(sizeof(struct blkfront_wire_request) == 112, "as on the wire");
_Static_assert(sizeof(struct blkfront_wire_response) == 16, "as on the wire");
_Static_assert(offsetof(struct blkfront_wire_ring, entries) == 64, "as on the wire");

struct blkfront_queue {
    struct shared_ring indices;
    struct blkfront_wire_ring *ring;
};

/* A ring in fresh, zeroed memory. */
void blkfront_queue_init(struct blkfront_queue *queue, struct blkfront_wire_ring *ring);
/* The next entry to fill, zeroed; there is one as long as fewer than BLKFRONT_RING_SIZE requests are outstanding. */
struct blkfront_wire_request *blkfront_queue_next(struct blkfront_queue *queue);
/* 1: *response is a copy of the next one; 0: none; -EPROTO: an impossible index. */
int blkfront_queue_take(struct blkfront_queue *queue, struct blkfront_wire_response *response);
