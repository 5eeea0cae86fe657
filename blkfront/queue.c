/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block ring. Indices run freely modulo 2^32. The backend can write all of the page at any time: its index is read
 * once and checked against what we asked, a response is copied before anybody looks at it, and our own indices are kept in
 * our own memory. Source: Xen's io/ring.h, io/blkif.h.
 */
#include "blkfront/queue.h"

#include <string.h>

#include "kernel/base/error.h"

void blkfront_queue_init(struct blkfront_queue *queue, struct blkfront_wire_ring *ring)
{
    memset(queue, 0, sizeof(*queue));
    queue->ring = ring;
    ring->request_event = 1;
    ring->response_event = 1;
}

struct blkfront_wire_request *blkfront_queue_next(struct blkfront_queue *queue)
{
    struct blkfront_wire_request *request =
        &queue->ring->entries[queue->request_producer++ % BLKFRONT_RING_SIZE].request;

    memset(request, 0, sizeof(*request));
    return request;
}

bool blkfront_queue_push(struct blkfront_queue *queue)
{
    uint32_t old = queue->request_pushed, new = queue->request_producer;

    if (old == new)
        return false;
    queue->request_pushed = new;
    /* The requests before the index; the index before the look at what the backend waits for. */
    __atomic_store_n(&queue->ring->request_producer, new, __ATOMIC_SEQ_CST);
    uint32_t event = __atomic_load_n(&queue->ring->request_event, __ATOMIC_SEQ_CST);
    return new - event < new - old;
}

int blkfront_queue_take(struct blkfront_queue *queue, struct blkfront_wire_response *response)
{
    uint32_t producer = __atomic_load_n(&queue->ring->response_producer, __ATOMIC_ACQUIRE);
    uint32_t outstanding = queue->request_pushed - queue->response_consumer;

    if (producer - queue->response_consumer > outstanding)
        return -EPROTO;
    if (producer == queue->response_consumer)
        return 0;
    const volatile struct blkfront_wire_response *wire =
        &queue->ring->entries[queue->response_consumer % BLKFRONT_RING_SIZE].response;
    response->id = wire->id;
    response->operation = wire->operation;
    response->status = wire->status;
    queue->response_consumer++;
    return 1;
}

bool blkfront_queue_rearm(struct blkfront_queue *queue)
{
    /* First the wish, then the look, so that a response between the two is seen or brings an event. */
    __atomic_store_n(&queue->ring->response_event, queue->response_consumer + 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&queue->ring->response_producer, __ATOMIC_SEQ_CST) != queue->response_consumer;
}
