/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netfront's data path against a backend in the test: frames out (fragments, checksums, segmentation, copies for untrusted
 * backends), packets in, and each kind of dishonest backend.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "netfront/handshake.h"
#include "netfront/receive.h"
#include "netfront/transmit.h"
#include "tests/unit/host/host.h"

static struct netfront_interface *interface;
static struct page *data_page;
static uint32_t tx_producer, rx_producer, rx_consumer;
static const char *violation_seen;
static unsigned int completions, ready_calls;
static int last_error;

void netfront_violation(struct netfront_interface *of, const char *what)
{
    violation_seen = what;
}

static void destroy(struct net_device *device)
{
}

static const struct net_device_ops ops = {
    .transmit = netfront_transmit,
    .packet_release = netfront_packet_release,
    .destroy = destroy,
};

static unsigned int delivered;
static struct net_packet last_packet;
static uint8_t last_bytes[4096];

static void deliver(struct net_receiver *receiver, struct net_device *device, struct list *packets)
{
    while (!list_empty(packets)) {
        struct net_packet *packet = list_first(packets, struct net_packet, link);
        list_remove(&packet->link);
        delivered++;
        last_packet = *packet;
        memcpy(last_bytes, (char *)page_address(packet->fragments[0].page) + packet->fragments[0].offset_bytes,
               packet->fragments[0].length_bytes);
        net_packet_release(packet);
    }
}

static void transmit_ready(struct net_receiver *receiver, struct net_device *device)
{
    ready_calls++;
}

static struct net_receiver receiver = { .deliver = deliver, .transmit_ready = transmit_ready };

static void set_up(bool trusted, uint32_t features)
{
    interface = memory_allocate_zeroed(sizeof(*interface));
    interface->device.ops = &ops;
    interface->trusted = trusted;
    interface->device.features = features;
    assert_int_equal(grant_table_init(), 0);
    assert_int_equal(netfront_receive_init_all(), 0);
    assert_int_equal(netfront_receive_init(interface), 0);
    assert_int_equal(netfront_transmit_init(interface), 0);
    assert_int_equal(net_device_register(&interface->device), 0);
    net_device_set_receiver(&interface->device, &receiver);
    interface->tx_page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    interface->rx_page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    netfront_tx_queue_init(&interface->tx, page_address(interface->tx_page));
    netfront_rx_queue_init(&interface->rx, page_address(interface->rx_page));
    tx_producer = rx_producer = rx_consumer = 0;
    violation_seen = NULL;
    completions = delivered = ready_calls = 0;
    netfront_transmit_start(interface);
    netfront_receive_start(interface);
    data_page = page_allocate(0, PAGE_KERNEL, 0);
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        ((uint8_t *)page_address(data_page))[i] = (uint8_t)(i * 7);
}

static void tear_down(void)
{
    netfront_transmit_stop(interface);
    netfront_receive_stop(interface);
    page_release(interface->tx_page);
    page_release(interface->rx_page);
    net_device_unregister(&interface->device);
    netfront_transmit_destroy(interface);
    netfront_receive_destroy(interface);
    memory_free(interface);
    page_release(data_page);
}

static struct netfront_wire_tx_ring *tx(void)
{
    return page_address(interface->tx_page);
}

static struct netfront_wire_rx_ring *rx(void)
{
    return page_address(interface->rx_page);
}

static void completed(struct net_frame *frame, int error)
{
    completions++;
    last_error = error;
}

static struct net_frame frame_of(uint32_t fragments, uint32_t bytes)
{
    struct net_frame frame = { .fragment_count = fragments, .complete = completed };
    for (uint32_t i = 0; i < fragments; i++)
        frame.fragments[i] = (struct net_fragment){ data_page, i * bytes % 2048, bytes };
    return frame;
}

static void answer_tx(uint16_t id, int16_t status)
{
    struct netfront_wire_tx_response *response = &tx()->entries[tx_producer++ % NETFRONT_RING_SIZE].response;
    *response = (struct netfront_wire_tx_response){ id, status };
    tx()->header.response_producer = tx_producer;
}

static void frames_are_granted_and_completed(void **state)
{
    struct grant_table_statistics before, after;

    set_up(true, NET_FEATURE_SCATTER_GATHER);
    grant_table_statistics(&before);
    struct net_frame frame = frame_of(3, 100);
    frame.checksum = NET_CHECKSUM_PARTIAL;
    assert_int_equal(net_transmit(&interface->device, &frame, false), 0);
    assert_int_equal(tx()->header.request_producer, 3);
    const struct netfront_wire_tx_request *first = &tx()->entries[0].request, *second = &tx()->entries[1].request;
    assert_int_equal(first->size_bytes, 300);
    assert_int_equal(first->flags, NETFRONT_CHECKSUM_BLANK | NETFRONT_DATA_VALIDATED | NETFRONT_MORE_DATA);
    assert_int_equal(second->size_bytes, 100);
    assert_int_equal(second->offset_bytes, 100);
    assert_int_equal(tx()->entries[2].request.flags, 0);
    assert_ptr_equal(host_grant_page(second->reference, false), page_address(data_page));
    assert_null(host_grant_page(second->reference, true));
    uint16_t ids[3] = { first->id, second->id, tx()->entries[2].request.id };
    uint32_t reference = second->reference;
    for (int i = 0; i < 3; i++)
        answer_tx(ids[i], NETFRONT_OKAY);
    netfront_transmit_event(0, interface);
    assert_int_equal(completions * 10 + last_error, 10);
    assert_null(host_grant_page(reference, false));
    assert_null(violation_seen);
    grant_table_statistics(&after);
    assert_int_equal(before.free, after.free);
    tear_down();
}

static void segmentation_takes_an_extra_slot(void **state)
{
    set_up(true, NET_FEATURE_SCATTER_GATHER | NET_FEATURE_TSO_V4);
    struct net_frame frame = frame_of(2, 2000);
    frame.gso = NET_GSO_TCP_V4;
    frame.gso_bytes = 1448;
    frame.checksum = NET_CHECKSUM_PARTIAL;
    assert_int_equal(net_transmit(&interface->device, &frame, false), 0);
    assert_int_equal(tx()->header.request_producer, 3);
    assert_true(tx()->entries[0].request.flags & NETFRONT_EXTRA_INFO);
    assert_int_equal(tx()->entries[1].extra.gso_bytes, 1448);
    uint16_t ids[2] = { tx()->entries[0].request.id, tx()->entries[2].request.id };
    answer_tx(ids[0], NETFRONT_OKAY);
    answer_tx(0xffff, NETFRONT_NULL);
    answer_tx(ids[1], NETFRONT_OKAY);
    netfront_transmit_event(0, interface);
    assert_int_equal(completions, 1);
    answer_tx(0, NETFRONT_NULL);
    netfront_transmit_event(0, interface);
    assert_non_null(violation_seen);
    frame.gso = NET_GSO_TCP_V6;
    tear_down();
}

static void untrusted_backends_get_copies(void **state)
{
    set_up(false, NET_FEATURE_SCATTER_GATHER);
    struct net_frame frame = frame_of(4, 100);
    assert_int_equal(net_transmit(&interface->device, &frame, false), 0);
    assert_int_equal(tx()->header.request_producer, 1);
    uint8_t *copy = host_grant_page(tx()->entries[0].request.reference, false);
    assert_ptr_not_equal(copy, page_address(data_page));
    assert_memory_equal(copy, page_address(data_page), 400);
    assert_int_equal(copy[400], 0);
    tear_down();
    assert_int_equal(completions, 1);
    assert_int_equal(last_error, -EIO);
}

static void a_full_ring_says_so_and_when_it_is_not(void **state)
{
    static struct net_frame frames[NETFRONT_RING_SIZE];
    unsigned int sent = 0;

    set_up(true, NET_FEATURE_SCATTER_GATHER);
    for (; sent < NETFRONT_RING_SIZE; sent++) {
        frames[sent] = frame_of(1, 60);
        assert_int_equal(net_transmit(&interface->device, &frames[sent], sent + 1 < NETFRONT_RING_SIZE), 0);
    }
    struct net_frame more = frame_of(1, 60);
    assert_int_equal(net_transmit(&interface->device, &more, false), -ENOBUFS);
    for (unsigned int i = 0; i < 10; i++)
        answer_tx(tx()->entries[i].request.id, NETFRONT_OKAY);
    netfront_transmit_event(0, interface);
    assert_int_equal(ready_calls, 0);
    for (unsigned int i = 10; i < 40; i++)
        answer_tx(tx()->entries[i].request.id, NETFRONT_OKAY);
    netfront_transmit_event(0, interface);
    assert_int_equal(ready_calls, 1);
    assert_int_equal(completions, 40);
    assert_int_equal(net_transmit(&interface->device, &more, false), 0);
    tear_down();
    assert_int_equal(completions, NETFRONT_RING_SIZE + 1);
}

static void few_answers_bring_no_event_and_are_found_by_the_receiver(void **state)
{
    static struct net_frame frames[NETFRONT_RING_SIZE];

    set_up(true, NET_FEATURE_SCATTER_GATHER);
    assert_int_equal(tx()->header.response_event, 1);
    struct net_frame frame = frame_of(1, 60);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(net_transmit(&interface->device, &frame, false), 0);
        answer_tx(tx()->entries[i].request.id, NETFRONT_OKAY);
        assert_false(netfront_receive_round(interface));
        assert_int_equal(completions, i + 1);
        assert_int_equal(tx()->header.response_event, i + 1 + NETFRONT_RING_SIZE / 4);
    }
    /* With the ring full, an event comes long before the last answer. */
    for (unsigned int i = 0; i < NETFRONT_RING_SIZE; i++) {
        frames[i] = frame_of(1, 60);
        assert_int_equal(net_transmit(&interface->device, &frames[i], false), 0);
    }
    netfront_transmit_event(0, interface);
    assert_int_equal(tx()->header.response_event, 3 + NETFRONT_RING_SIZE / 2 + 1);
    tear_down();
    assert_int_equal(completions, NETFRONT_RING_SIZE + 3);
}

static void violation_tx(uint16_t id, uint32_t producer)
{
    set_up(true, NET_FEATURE_SCATTER_GATHER);
    struct net_frame frame = frame_of(1, 60);
    assert_int_equal(net_transmit(&interface->device, &frame, false), 0);
    if (producer)
        tx()->header.response_producer = producer;
    else
        answer_tx(id, 0);
    netfront_transmit_event(0, interface);
    assert_non_null(violation_seen);
    assert_int_equal(completions, 0);
    tear_down();
    assert_int_equal(completions, 1);
}

static void dishonest_transmit_answers(void **state)
{
    violation_tx(5, 0);
    violation_tx(300, 0);
    violation_tx(0, 2);
    violation_tx(0, UINT32_MAX);
}

static void put_rx(uint16_t id, uint16_t offset, uint16_t flags, int16_t status)
{
    struct netfront_wire_rx_response *response = &rx()->entries[rx_producer++ % NETFRONT_RING_SIZE].response;
    *response = (struct netfront_wire_rx_response){ id, offset, flags, status };
    rx()->header.response_producer = rx_producer;
}

static void receive_all(void)
{
    while (netfront_receive_round(interface))
        ;
}

static void packets_are_delivered(void **state)
{
    set_up(true, 0);
    for (unsigned int i = 0; i < 1000; i++) {
        uint16_t id = (uint16_t)(i % NETFRONT_RING_SIZE);
        uint8_t *page = host_grant_page(rx()->entries[id].request.reference, true);
        assert_non_null(page);
        memset(page + 2, (int)i, 100);
        put_rx(id, 2, NETFRONT_DATA_VALIDATED, 100);
        receive_all();
        assert_int_equal(delivered, i + 1);
        assert_int_equal(last_bytes[99], (uint8_t)i);
    }
    assert_int_equal(last_packet.checksum, NET_CHECKSUM_TRUSTED);
    assert_int_equal(last_packet.length_bytes, 100);
    assert_null(violation_seen);
    tear_down();
}

static void chains_and_extras_are_gathered(void **state)
{
    set_up(true, 0);
    put_rx(0, 0, NETFRONT_CHECKSUM_BLANK | NETFRONT_MORE_DATA | NETFRONT_EXTRA_INFO, 4096);
    rx()->entries[1].extra = (struct netfront_wire_extra){ .type = NETFRONT_EXTRA_GSO, .gso_type = NETFRONT_GSO_TCP_V4, .gso_bytes = 1400 };
    rx_producer++;
    put_rx(2, 0, NETFRONT_MORE_DATA, 4096);
    put_rx(3, 0, 0, 10);
    receive_all();
    assert_int_equal(delivered, 1);
    assert_int_equal(last_packet.fragment_count, 3);
    assert_int_equal(last_packet.length_bytes, 8202);
    assert_int_equal(last_packet.gso, NET_GSO_TCP_V4);
    assert_int_equal(last_packet.gso_bytes, 1400);
    assert_int_equal(last_packet.checksum, NET_CHECKSUM_PARTIAL);
    put_rx(4, 0, 0, -1);
    put_rx(5, 0, 0, 13);
    receive_all();
    assert_int_equal(delivered, 1);
    assert_int_equal(interface->device.rx_errors, 2);
    for (uint16_t i = 6; i < 6 + 20; i++)
        put_rx(i, 0, i < 25 ? NETFRONT_MORE_DATA : 0, 100);
    receive_all();
    assert_int_equal(delivered, 1);
    assert_int_equal(interface->device.rx_errors, 3);
    put_rx(26, 0, 0, 60);
    receive_all();
    assert_int_equal(delivered, 2);
    assert_null(violation_seen);
    tear_down();
}

static void more_buffers_where_they_run_out(void **state)
{
    set_up(true, 0);
    assert_int_equal(interface->rx_target, 64);
    for (uint16_t i = 0; i < 60; i++)
        put_rx(i, 0, 0, 60);
    receive_all();
    assert_int_equal(delivered, 60);
    assert_int_equal(interface->rx_target, 128);
    assert_int_equal(rx()->header.request_producer, 60 + 128);
    tear_down();
}

static void violation_rx(uint16_t id, uint16_t offset, int16_t status, uint32_t producer)
{
    set_up(true, 0);
    put_rx(id, offset, 0, status);
    if (producer)
        rx()->header.response_producer = producer;
    receive_all();
    assert_non_null(violation_seen);
    assert_int_equal(delivered, 0);
    put_rx(1, 0, 0, 60);
    receive_all();
    assert_int_equal(delivered, 0);
    tear_down();
}

static void dishonest_receive_answers(void **state)
{
    size_t before = host_pages_in_use();

    violation_rx(1, 0, 60, 0);
    violation_rx(0, 4090, 60, 0);
    violation_rx(0, 65535, 60, 0);
    violation_rx(0, 0, 4097, 0);
    violation_rx(0, 0, 60, 100);
    violation_rx(0, 0, 60, UINT32_MAX);
    assert_int_equal(host_pages_in_use(), before);
}

static void addresses(void **state)
{
    uint8_t mac[6];
    assert_int_equal(netfront_handshake_parse_mac("00:16:3e:ff:0A:01", mac), 0);
    assert_int_equal(mac[3] + mac[4] + mac[5], 0xff + 10 + 1);
    assert_int_equal(netfront_handshake_parse_mac("01:16:3e:ff:0A:01", mac), -EINVAL);
    assert_int_equal(netfront_handshake_parse_mac("00:16:3e:ff:0A", mac), -EINVAL);
    assert_int_equal(netfront_handshake_parse_mac("00:16:3e:ff:0A:0g", mac), -EINVAL);
    assert_int_equal(netfront_handshake_parse_mac("00-16-3e-ff-0A-01", mac), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_granted_and_completed),
        cmocka_unit_test(segmentation_takes_an_extra_slot),
        cmocka_unit_test(untrusted_backends_get_copies),
        cmocka_unit_test(a_full_ring_says_so_and_when_it_is_not),
        cmocka_unit_test(few_answers_bring_no_event_and_are_found_by_the_receiver),
        cmocka_unit_test(dishonest_transmit_answers),
        cmocka_unit_test(packets_are_delivered),
        cmocka_unit_test(chains_and_extras_are_gathered),
        cmocka_unit_test(more_buffers_where_they_run_out),
        cmocka_unit_test(dishonest_receive_answers),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
