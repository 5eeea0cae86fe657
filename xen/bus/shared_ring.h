/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The indices of a ring shared with a backend: the frontend's side of Xen's io/ring.h. Where the entries lie and what is in them is
 * the frontend's; it copies a response before it looks at it. The caller holds the lock of whatever the ring belongs to.
 */
#pragma once

#include "kernel/base/compiler.h"

/* The head of the shared page; entries follow. */
struct shared_ring_header {
    uint32_t request_producer, request_event;
    uint32_t response_producer, response_event;
    uint8_t padding[48];
};

_Static_assert(sizeof(struct shared_ring_header) == 64, "entries begin there");

struct shared_ring {
    struct shared_ring_header *header;
    uint32_t size;              /* entries, a power of two */
    uint32_t request_producer;  /* filled so far */
    uint32_t request_pushed;    /* of these, shown to the backend */
    uint32_t response_consumer; /* taken so far */
};

/* In fresh, zeroed memory. */
void shared_ring_init(struct shared_ring *ring, struct shared_ring_header *header, uint32_t size);

/* Entries that can still be filled. */
static inline uint32_t shared_ring_room(const struct shared_ring *ring)
{
    return ring->size - (ring->request_producer - ring->response_consumer);
}

/* Index of the entry to fill next; there must be room. */
uint32_t shared_ring_next(struct shared_ring *ring);
/* Shows the filled entries; true when the backend wants to be told. */
bool shared_ring_push(struct shared_ring *ring);
/*
 * 1: *index is the entry of the next response, to be copied (once) and then, by shared_ring_taken(), left; 0: none; -EPROTO: the backend
 * answers more than was asked.
 */
int shared_ring_peek(const struct shared_ring *ring, uint32_t *index);
void shared_ring_taken(struct shared_ring *ring);
/* Asks for an event when `count` more responses have come; true if there is one to take already. */
bool shared_ring_rearm(struct shared_ring *ring, uint32_t count);
