/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile network backend: each input is a list of its deeds (bytes of both rings overwritten, answers honest and not, pages kept mapped, events)
 * between frames of ours. Whatever it does, every frame completes exactly once, packets handed up lie inside their pages, and all
 * pages and grants come back.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "netfront/receive.h"
#include "netfront/transmit.h"
#include "tests/unit/host/host.h"

#define FRAMES 24u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct netfront_interface *interface;
static struct net_frame frames[FRAMES];
static unsigned int completed[FRAMES], taken[FRAMES], frame_count;
static struct page *data_page;
static struct list kept; /* packets the stack has not released yet */

void netfront_violation(struct netfront_interface *of, const char *what)
{
}

static void destroy(struct net_device *device)
{
}

static const struct net_device_ops ops = {
    .transmit = netfront_transmit,
    .packet_release = netfront_packet_release,
    .destroy = destroy,
};

static void release_kept(void)
{
    while (!list_empty(&kept)) {
        struct net_packet *packet = list_first(&kept, struct net_packet, link);
        list_remove(&packet->link);
        net_packet_release(packet);
    }
}

static void deliver(struct net_receiver *receiver, struct net_device *device, struct list *packets)
{
    struct net_packet *packet;

    list_for_each(packet, packets, link) {
        uint32_t sum = 0;
        volatile uint8_t last;
        if (packet->fragment_count == 0 || packet->fragment_count > NET_FRAGMENT_LIMIT)
            abort();
        for (uint32_t i = 0; i < packet->fragment_count; i++) {
            const struct net_fragment *fragment = &packet->fragments[i];
            if (fragment->length_bytes == 0 || fragment->offset_bytes + fragment->length_bytes > PAGE_SIZE)
                abort();
            last = ((uint8_t *)page_address(fragment->page))[fragment->offset_bytes + fragment->length_bytes - 1];
            (void)last;
            sum += fragment->length_bytes;
        }
        if (sum != packet->length_bytes || sum < NET_HEADER_BYTES)
            abort();
    }
    list_move_all(&kept, packets);
}

static void transmit_ready(struct net_receiver *receiver, struct net_device *device)
{
}

static struct net_receiver receiver = { .deliver = deliver, .transmit_ready = transmit_ready };

static void note(struct net_frame *frame, int error)
{
    completed[frame - frames]++;
}

static void send(uint8_t kind)
{
    if (frame_count == FRAMES)
        return;
    struct net_frame *frame = &frames[frame_count];
    *frame = (struct net_frame){ .fragment_count = 1 + kind % NET_FRAGMENT_LIMIT, .complete = note, .gso = kind & 128 ? NET_GSO_TCP_V4 : 0, .gso_bytes = 1000 };
    for (uint32_t i = 0; i < frame->fragment_count; i++)
        frame->fragments[i] = (struct net_fragment){ data_page, kind, 20u + kind };
    completed[frame_count] = 0;
    taken[frame_count] = net_transmit(&interface->device, frame, kind & 64) == 0;
    frame_count++;
}

static size_t deed(const uint8_t *data, size_t size)
{
    struct netfront_wire_tx_ring *tx = page_address(interface->tx_page);
    struct netfront_wire_rx_ring *rx = page_address(interface->rx_page);
    uint8_t argument = size > 1 ? data[1] : 0;

    switch (data[0] % 10) {
    case 0:
        send(argument);
        break;
    case 1: {
        uint16_t id = tx->entries[argument].request.id;
        tx->entries[tx->header.response_producer % NETFRONT_RING_SIZE].response = (struct netfront_wire_tx_response){ id, (int16_t)(data[0] / 10 % 4 - 1) };
        tx->header.response_producer++;
        break;
    }
    case 2: {
        if (size < 6)
            return size;
        struct netfront_wire_rx_response response;
        memcpy(&response, data + 1, 5); /* id stays ours; offset, flags and status are its own */
        response = (struct netfront_wire_rx_response){ (uint16_t)(rx->header.response_producer % NETFRONT_RING_SIZE), (uint16_t)(data[1] * 16), data[2] & 15, (int16_t)(data[3] | data[4] << 8) };
        rx->entries[rx->header.response_producer % NETFRONT_RING_SIZE].response = response;
        rx->header.response_producer++;
        return 5;
    }
    case 3:
        host_grant_hold(tx->entries[argument].request.reference, data[0] & 32);
        break;
    case 4:
        host_grant_hold(rx->entries[argument].request.reference, data[0] & 32);
        break;
    case 5:
        if (size < 4)
            return size;
        ((uint8_t *)tx)[(argument | data[2] << 8) % sizeof(*tx)] = data[3];
        return 4;
    case 6:
        if (size < 4)
            return size;
        ((uint8_t *)rx)[(argument | data[2] << 8) % sizeof(*rx)] = data[3];
        return 4;
    case 7:
        netfront_transmit_event(0, interface);
        return 1;
    case 8:
        while (netfront_receive_round(interface))
            ;
        return 1;
    default:
        release_kept();
        return 1;
    }
    return 2;
}

static void release_all_holds(void)
{
    for (uint32_t reference = 8; reference < 8 * 512; reference++)
        host_grant_hold(reference, false);
}

static void start(uint8_t kind)
{
    interface = memory_allocate_zeroed(sizeof(*interface));
    interface->device.ops = &ops;
    interface->trusted = kind & 1;
    interface->device.features = kind & 2 ? NET_FEATURE_SCATTER_GATHER | NET_FEATURE_TSO_V4 : 0;
    if (netfront_receive_init(interface) != 0 || netfront_transmit_init(interface) != 0 || net_device_register(&interface->device) != 0)
        abort();
    net_device_set_receiver(&interface->device, &receiver);
    interface->tx_page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    interface->rx_page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    netfront_tx_queue_init(&interface->tx, page_address(interface->tx_page));
    netfront_rx_queue_init(&interface->rx, page_address(interface->rx_page));
    data_page = page_allocate(0, PAGE_KERNEL, 0);
    list_init(&kept);
    frame_count = 0;
    netfront_transmit_start(interface);
    netfront_receive_start(interface);
}

static void end(void)
{
    netfront_transmit_stop(interface);
    netfront_receive_stop(interface);
    release_kept();
    net_device_unregister(&interface->device);
    netfront_transmit_destroy(interface);
    netfront_receive_destroy(interface);
    page_release(interface->tx_page);
    page_release(interface->rx_page);
    page_release(data_page);
    memory_free(interface);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct grant_table_statistics before, after;

    if (!started && (grant_table_init() != 0 || netfront_receive_init_all() != 0 || grant_table_reserve(1000) != 0))
        abort();
    if (!started)
        log_set_level(LOG_ERROR);
    started = true;
    grant_table_statistics(&before);
    size_t pages_before = host_pages_in_use();
    start(size > 0 ? data[0] : 0);
    for (size_t place = 1; place < size;)
        place += deed(data + place, size - place);
    end();
    for (unsigned int i = 0; i < frame_count; i++)
        if (completed[i] != taken[i])
            abort();
    release_all_holds();
    host_clock_advance(1100000000);
    grant_table_statistics(&after);
    if (before.free != after.free || after.ending != 0 || pages_before != host_pages_in_use())
        abort();
    return 0;
}
