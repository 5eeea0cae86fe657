/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block ring: entries and their copies; the indices are xen/bus/shared_ring.c's. Source: Xen's io/blkif.h.
 */
#include "blkfront/queue.h"

#include <string.h>

void blkfront_queue_init(struct blkfront_queue *queue, struct blkfront_wire_ring *ring)
{
    queue->ring = ring;
    shared_ring_init(&queue->indices, &ring->header, BLKFRONT_RING_SIZE);
}

struct blkfront_wire_request *blkfront_queue_next(struct blkfront_queue *queue)
{
    struct blkfront_wire_request *request = &queue->ring->entries[shared_ring_next(&queue->indices)].request;

    memset(request, 0, sizeof(*request));
    return request;
}

int blkfront_queue_take(struct blkfront_queue *queue, struct blkfront_wire_response *response)
{
    uint32_t index;
    int taken = shared_ring_peek(&queue->indices, &index);

    if (taken != 1)
        return taken;
    const volatile struct blkfront_wire_response *wire = &queue->ring->entries[index].response;
    response->id = wire->id;
    response->operation = wire->operation;
    response->status = wire->status;
    shared_ring_taken(&queue->indices);
    return 1;
}
