/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared rings. Indices run freely modulo 2^32. The backend can write all of the page at any time: so its index is read once and checked
 * against what we asked, and our own indices are kept in our own memory.
 */
#include "xen/bus/shared_ring.h"

#include "kernel/base/error.h"
#include "kernel/base/panic.h"

void shared_ring_init(struct shared_ring *ring, struct shared_ring_header *header, uint32_t size)
{
    *ring = (struct shared_ring){ .header = header, .size = size };
    header->request_event = 1;
    header->response_event = 1;
}

uint32_t shared_ring_next(struct shared_ring *ring)
{
    assert(shared_ring_room(ring) > 0);
    return ring->request_producer++ & (ring->size - 1);
}

bool shared_ring_push(struct shared_ring *ring)
{
    uint32_t old = ring->request_pushed, new = ring->request_producer;

    if (old == new)
        return false;
    ring->request_pushed = new;
    /* The requests before the index; the index before the look at what the backend waits for. */
    __atomic_store_n(&ring->header->request_producer, new, __ATOMIC_SEQ_CST);
    uint32_t event = __atomic_load_n(&ring->header->request_event, __ATOMIC_SEQ_CST);
    return new - event < new - old;
}

int shared_ring_peek(const struct shared_ring *ring, uint32_t *index)
{
    uint32_t producer = __atomic_load_n(&ring->header->response_producer, __ATOMIC_ACQUIRE);
    uint32_t outstanding = ring->request_pushed - ring->response_consumer;

    if (producer - ring->response_consumer > outstanding)
        return -EPROTO;
    *index = ring->response_consumer & (ring->size - 1);
    return producer != ring->response_consumer;
}

void shared_ring_taken(struct shared_ring *ring)
{
    ring->response_consumer++;
}

bool shared_ring_rearm(struct shared_ring *ring, uint32_t count)
{
    /* First the wish, then the look, so that a response between the two is seen or brings an event. */
    __atomic_store_n(&ring->header->response_event, ring->response_consumer + count, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&ring->header->response_producer, __ATOMIC_SEQ_CST) != ring->response_consumer;
}
