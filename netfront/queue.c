/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network rings: entries and their copies; the indices are xen/bus/shared_ring.c's. Source: Xen's io/netif.h.
 */
#include "netfront/queue.h"

#include <string.h>

void netfront_tx_queue_init(struct netfront_tx_queue *queue, struct netfront_wire_tx_ring *ring)
{
    queue->ring = ring;
    shared_ring_init(&queue->indices, &ring->header, NETFRONT_RING_SIZE);
}

void netfront_rx_queue_init(struct netfront_rx_queue *queue, struct netfront_wire_rx_ring *ring)
{
    queue->ring = ring;
    shared_ring_init(&queue->indices, &ring->header, NETFRONT_RING_SIZE);
}

union netfront_wire_tx *netfront_tx_queue_next(struct netfront_tx_queue *queue)
{
    union netfront_wire_tx *entry = &queue->ring->entries[shared_ring_next(&queue->indices)];

    memset(entry, 0, sizeof(*entry));
    return entry;
}

struct netfront_wire_rx_request *netfront_rx_queue_next(struct netfront_rx_queue *queue, uint32_t *slot)
{
    *slot = shared_ring_next(&queue->indices);
    struct netfront_wire_rx_request *request = &queue->ring->entries[*slot].request;
    memset(request, 0, sizeof(*request));
    request->id = (uint16_t)*slot;
    return request;
}

int netfront_tx_queue_take(struct netfront_tx_queue *queue, struct netfront_wire_tx_response *response)
{
    uint32_t index;
    int taken = shared_ring_peek(&queue->indices, &index);

    if (taken != 1)
        return taken;
    const volatile struct netfront_wire_tx_response *wire = &queue->ring->entries[index].response;
    response->id = wire->id;
    response->status = wire->status;
    shared_ring_taken(&queue->indices);
    return 1;
}

int netfront_rx_queue_take(struct netfront_rx_queue *queue, union netfront_wire_rx *response, uint32_t *slot)
{
    int taken = shared_ring_peek(&queue->indices, slot);

    if (taken != 1)
        return taken;
    uint64_t copy = *(const volatile uint64_t *)&queue->ring->entries[*slot]; /* the whole entry in one access */
    memcpy(response, &copy, sizeof(*response));
    shared_ring_taken(&queue->indices);
    return 1;
}
