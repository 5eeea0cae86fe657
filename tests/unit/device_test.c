/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/device on the host: what block_submit() refuses, how split requests end, references; ChaCha20 and BLAKE2s against
 * their RFCs' vectors; the way of packets to a receiver.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/device/block_device.h"
#include "kernel/device/net_device.h"
#include "kernel/device/random.c" /* its static functions are tested too */

static unsigned int submitted, destroyed;
static int answer;

static void fake_submit(struct block_device *device, struct block_request *request)
{
    submitted++;
    atomic_fetch_add(&request->pieces_left, 2);
    block_request_complete(request, 0);
    block_request_complete(request, answer);
    block_request_complete(request, 0);
}

static void fake_destroy(struct block_device *device)
{
    destroyed++;
}

static const struct block_device_ops fake_ops = { .submit = fake_submit, .destroy = fake_destroy };

static unsigned int changes[3];

static void fake_changed(struct block_watcher *watcher, struct block_device *device, enum block_change change)
{
    changes[change]++;
}

static int transfer(struct block_device *device, enum block_operation operation, uint64_t sector, uint32_t offset,
                    uint32_t length)
{
    struct page *page = page_allocate(0, PAGE_KERNEL, 0);
    struct block_segment segment = { page, offset, length };
    int error = block_device_transfer(device, operation, sector, &segment, 1);
    page_release(page);
    return error;
}

static void block_requests_are_checked(void **state)
{
    struct block_device disk = { .name = "xvda", .ops = &fake_ops, .logical_block_bytes = 1024, .sector_count = 100 };
    struct block_watcher watcher = { .changed = fake_changed };
    struct block_device again = disk;

    block_watch(&watcher);
    assert_int_equal(block_device_register(&disk), 0);
    assert_int_equal(block_device_register(&again), -EEXIST);
    assert_ptr_equal(block_device_find("xvda"), &disk);
    assert_null(block_device_find("xvdb"));

    assert_int_equal(transfer(&disk, BLOCK_READ, 98, 0, 1024), 0);
    assert_int_equal(submitted, 1);
    assert_int_equal(transfer(&disk, BLOCK_READ, 100, 0, 1024), -EINVAL);
    assert_int_equal(transfer(&disk, BLOCK_READ, UINT64_MAX - 1, 0, 1024), -EINVAL);
    assert_int_equal(transfer(&disk, BLOCK_READ, 1, 0, 1024), -EINVAL);
    assert_int_equal(transfer(&disk, BLOCK_READ, 0, 0, 512), -EINVAL);
    assert_int_equal(transfer(&disk, BLOCK_READ, 0, 3584, 1024), -EINVAL);
    assert_int_equal(transfer(&disk, BLOCK_READ, 0, 100, 1024), -EINVAL);
    assert_int_equal(transfer(&disk, BLOCK_READ, 0, 0, 0), -EINVAL);
    assert_int_equal(submitted, 1);
    answer = -EIO;
    assert_int_equal(transfer(&disk, BLOCK_WRITE, 0, 0, 1024), -EIO);
    answer = 0;
    assert_int_equal(block_device_flush(&disk), 0); /* nothing to flush: not the driver's */
    assert_int_equal(submitted, 2);
    disk.read_only = true;
    assert_int_equal(transfer(&disk, BLOCK_WRITE, 0, 0, 1024), -EROFS);
    assert_int_equal(disk.read_sectors, 2);

    block_device_resized(&disk, 200);
    assert_int_equal(transfer(&disk, BLOCK_READ, 100, 0, 1024), 0);
    block_device_unregister(&disk);
    assert_int_equal(transfer(&disk, BLOCK_READ, 0, 0, 1024), -EIO);
    assert_int_equal(destroyed, 0);
    block_device_release(&disk);
    assert_int_equal(destroyed, 1);
    assert_int_equal(changes[BLOCK_ADDED] * 100 + changes[BLOCK_REMOVED] * 10 + changes[BLOCK_RESIZED], 111);
    block_unwatch(&watcher);
}

static void random_follows_the_rfcs(void **state)
{
    static const uint8_t chacha[8] = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90 };
    static const uint8_t blake[8] = { 0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2 };
    uint8_t zero[KEY_BYTES] = { 0 }, block[BLOCK_BYTES], digest[KEY_BYTES];
    struct blake2s hash;

    chacha_block(zero, 0, block);
    assert_memory_equal(block, chacha, 8);
    blake2s_init(&hash);
    blake2s_add(&hash, "a", 1);
    blake2s_add(&hash, "bc", 2);
    blake2s_finish(&hash, digest);
    assert_memory_equal(digest, blake, 8);
}

static void random_becomes_ready(void **state)
{
    uint8_t one[100], two[100];

    random_init();
    random_add_entropy("x", 1, 10000);
    assert_true(random_ready());
    assert_int_equal(random_wait(0, false), 0);
    random_bytes(one, sizeof(one));
    random_bytes(two, sizeof(two));
    assert_memory_not_equal(one, two, sizeof(one));
    for (int i = 0; i < 1000; i++) {
        assert_true(random_below(7) < 7);
        random_add_event(1);
    }
    assert_true(random_below(1) == 0);
}

static unsigned int released;

static void fake_packet_release(struct net_packet *packet)
{
    released++;
}

static int fake_transmit(struct net_device *device, struct net_frame *frame, bool more)
{
    frame->complete(frame, 0);
    return 0;
}

static void fake_net_destroy(struct net_device *device)
{
    destroyed++;
}

static const struct net_device_ops fake_net_ops = {
    .transmit = fake_transmit,
    .packet_release = fake_packet_release,
    .destroy = fake_net_destroy,
};

static unsigned int delivered, sent;

static void fake_deliver(struct net_receiver *receiver, struct net_device *device, struct list *packets)
{
    while (!list_empty(packets)) {
        struct net_packet *packet = list_first(packets, struct net_packet, link);
        list_remove(&packet->link);
        delivered++;
        net_packet_release(packet);
    }
}

static void fake_complete(struct net_frame *frame, int error)
{
    sent++;
}

static void packets_find_their_receiver(void **state)
{
    struct net_device device = { .ops = &fake_net_ops };
    struct net_receiver receiver = { .deliver = fake_deliver };
    struct net_packet packet = { .device = &device };
    struct page *page = page_allocate(0, PAGE_KERNEL, 0);
    struct net_frame frame = { .fragments = { { page, 0, 60 } }, .fragment_count = 1, .complete = fake_complete };
    struct list packets;

    assert_int_equal(net_device_register(&device), 0);
    list_init(&packets);
    list_add_last(&packets, &packet.link);
    net_device_deliver(&device, &packets);
    assert_int_equal(released, 1);
    net_device_set_receiver(&device, &receiver);
    list_add_last(&packets, &packet.link);
    net_device_deliver(&device, &packets);
    assert_int_equal(delivered, 1);
    assert_int_equal(net_transmit(&device, &frame, false), 0);
    frame.fragments[0].length_bytes = 13;
    assert_int_equal(net_transmit(&device, &frame, false), -EMSGSIZE);
    assert_int_equal(sent, 1);
    destroyed = 0;
    net_device_unregister(&device);
    assert_int_equal(destroyed, 1);
    assert_int_equal(net_transmit(&device, &frame, false), -ENETDOWN);
    page_release(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_requests_are_checked),
        cmocka_unit_test(random_follows_the_rfcs),
        cmocka_unit_test(random_becomes_ready),
        cmocka_unit_test(packets_find_their_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
