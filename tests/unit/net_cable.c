/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cable between two test processes. Sent frames are put together, checksums that were left to the device filled in, and written to a
 * SOCK_SEQPACKET socket; a thread reads the other direction and delivers batches of pages. Long segments are cut by the ends of odd
 * number, as a wire wants it, and go whole from the others, as between guests of one host.
 */
#include "tests/unit/net_cable.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "kernel/base/panic.h"
#include "kernel/sched/thread.h"

#define BATCH 16

struct cable {
    struct net_device device;
    int end;
    bool cuts;
    unsigned int lose_every;
    atomic_uint sent, long_segments;
};

static struct cable *cable_of(struct net_device *device)
{
    return container_of(device, struct cable, device);
}

void net_cable_create(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
        abort();
    int bytes = 4 << 20;
    for (int i = 0; i < 2; i++) {
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
        setsockopt(ends[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
}

#define IP_BYTES_V4 20u

static uint32_t load(const uint8_t *at, unsigned int bytes)
{
    uint32_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | *at++;
    return value;
}

static void store(uint8_t *at, uint32_t value, unsigned int bytes)
{
    while (bytes-- > 0) {
        at[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

/* Ones' complement sum of big-endian words, on top of another; odd parts last only. */
static uint16_t sum_of(uint32_t sum, const uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t pseudo_sum(const uint8_t *frame, size_t start, size_t length)
{
    bool v4 = load(frame + 12, 2) == 0x800;
    return sum_of((uint32_t)(length - start) + 6, frame + (v4 ? 26 : 22), v4 ? 8 : 32);
}

/* The device goes by the sum of the pseudo-header that it finds. */
static void complete_checksum(uint8_t *frame, size_t length, size_t start, size_t offset)
{
    store(frame + start + offset, (uint16_t)~sum_of(0, frame + start, length - start), 2);
}

static void cable_write(struct cable *cable, const uint8_t *bytes, size_t length)
{
    unsigned int number = atomic_fetch_add(&cable->sent, 1) + 1;

    if (cable->lose_every == 0 || number % cable->lose_every != 0)
        send(cable->end, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    atomic_fetch_add(&cable->device.tx_packets, 1);
}

/* One of the segments that a long one is cut into. */
static void segment_write(struct cable *cable, const uint8_t *whole, size_t start, size_t headers, size_t from, size_t bytes, bool last)
{
    uint8_t frame[2048];
    bool v4 = load(whole + 12, 2) == 0x800;

    memcpy(frame, whole, headers);
    memcpy(frame + headers, whole + headers + from, bytes);
    store(frame + start + 4, load(whole + start + 4, 4) + (uint32_t)from, 4);
    if (!last)
        frame[start + 13] &= (uint8_t)~9u; /* FIN and PSH */
    if (v4) {
        store(frame + 16, (uint32_t)(headers - NET_HEADER_BYTES + bytes), 2);
        store(frame + 24, 0, 2);
        store(frame + 24, (uint16_t)~sum_of(0, frame + NET_HEADER_BYTES, IP_BYTES_V4), 2);
    } else {
        store(frame + 18, (uint32_t)(headers + bytes - start), 2);
    }
    store(frame + start + 16, pseudo_sum(frame, start, headers + bytes), 2);
    complete_checksum(frame, headers + bytes, start, 16);
    cable_write(cable, frame, headers + bytes);
}

static void long_segment_check(struct cable *cable, const struct net_frame *frame, const uint8_t *bytes, size_t length, size_t headers)
{
    bool v4 = load(bytes + 12, 2) == 0x800;
    size_t start = frame->checksum_start;

    if (frame->checksum != NET_CHECKSUM_PARTIAL || frame->gso != (v4 ? NET_GSO_TCP_V4 : NET_GSO_TCP_V6) || frame->gso_bytes == 0 ||
        headers + frame->gso_bytes > cable->device.mtu_bytes + NET_HEADER_BYTES || length <= headers + frame->gso_bytes)
        panic("long segment of %zu bytes for segments of %u", length, frame->gso_bytes);
    if (load(bytes + (v4 ? 16 : 18), 2) != length - NET_HEADER_BYTES - (v4 ? 0 : 40) ||
        (v4 && sum_of(0, bytes + NET_HEADER_BYTES, IP_BYTES_V4) != 0xffff) || load(bytes + start + 16, 2) != pseudo_sum(bytes, start, length))
        panic("long segment's headers");
    atomic_fetch_add(&cable->long_segments, 1);
}

static int cable_transmit(struct net_device *device, struct net_frame *frame, bool more)
{
    struct cable *cable = cable_of(device);
    uint8_t bytes[NET_FRAME_BYTES_LIMIT];
    size_t length = 0, start = frame->checksum_start;

    for (uint32_t i = 0; i < frame->fragment_count; i++) {
        const struct net_fragment *fragment = &frame->fragments[i];
        memcpy(bytes + length, (uint8_t *)page_address(fragment->page) + fragment->offset_bytes, fragment->length_bytes);
        length += fragment->length_bytes;
    }
    size_t headers = frame->gso != NET_GSO_NONE ? start + (size_t)(bytes[start + 12] >> 4) * 4 : 0;
    if (frame->gso != NET_GSO_NONE)
        long_segment_check(cable, frame, bytes, length, headers);
    else if (length > device->mtu_bytes + NET_HEADER_BYTES)
        panic("frame of %zu bytes", length);
    if (frame->gso != NET_GSO_NONE && cable->cuts) {
        for (size_t from = 0; from < length - headers; from += frame->gso_bytes) {
            size_t part = minimum(length - headers - from, (size_t)frame->gso_bytes);
            segment_write(cable, bytes, start, headers, from, part, from + part == length - headers);
        }
    } else {
        if (frame->checksum == NET_CHECKSUM_PARTIAL)
            complete_checksum(bytes, length, start, frame->checksum_offset);
        cable_write(cable, bytes, length);
    }
    frame->complete(frame, 0);
    return 0;
}

static void cable_release(struct net_packet *packet)
{
    for (uint32_t i = 0; i < packet->fragment_count; i++)
        page_release(packet->fragments[i].page);
    free(packet);
}

static void cable_destroy(struct net_device *device)
{
    free(cable_of(device));
}

static const struct net_device_ops cable_ops = {cable_transmit, cable_release, cable_destroy};

static struct net_packet *packet_make(struct net_device *device, const uint8_t *bytes, size_t length)
{
    struct net_packet *packet = calloc(1, sizeof(*packet));

    packet->device = device;
    packet->length_bytes = (uint32_t)length;
    while (length > 0) {
        struct page *page = page_allocate(0, PAGE_DEVICE, 0);
        size_t part = minimum(length, (size_t)PAGE_SIZE);
        if (page == NULL || packet->fragment_count == NET_FRAGMENT_LIMIT)
            abort();
        memcpy(page_address(page), bytes, part);
        packet->fragments[packet->fragment_count++] = (struct net_fragment){page, 0, (uint32_t)part};
        bytes += part;
        length -= part;
    }
    return packet;
}

static void cable_thread(void *argument)
{
    struct cable *cable = argument;
    uint8_t bytes[NET_FRAME_BYTES_LIMIT];

    for (;;) {
        struct list batch;
        list_init(&batch);
        ssize_t length = recv(cable->end, bytes, sizeof(bytes), 0);
        if (length <= 0)
            return;
        for (int i = 0; i < BATCH && length > 0; i++) {
            list_add_last(&batch, &packet_make(&cable->device, bytes, (size_t)length)->link);
            length = recv(cable->end, bytes, sizeof(bytes), MSG_DONTWAIT);
        }
        if (length > 0)
            list_add_last(&batch, &packet_make(&cable->device, bytes, (size_t)length)->link);
        net_device_deliver(&cable->device, &batch);
    }
}

struct net_device *net_cable_attach(int end, uint8_t number, unsigned int lose_every)
{
    struct cable *cable = calloc(1, sizeof(*cable));
    struct thread *thread;

    cable->end = end;
    cable->cuts = number % 2 != 0;
    cable->lose_every = lose_every;
    cable->device.ops = &cable_ops;
    memcpy(cable->device.mac, (uint8_t[6]){2, 0, 0, 0, 0, number}, 6);
    atomic_init(&cable->device.mtu_bytes, 1500);
    atomic_init(&cable->device.features, NET_FEATURE_TX_CHECKSUM_V4 | NET_FEATURE_TX_CHECKSUM_V6 | NET_FEATURE_SCATTER_GATHER | NET_FEATURE_TSO_V4 | NET_FEATURE_TSO_V6);
    atomic_init(&cable->device.link_up, true);
    net_device_register(&cable->device);
    if (end >= 0) {
        if (thread_create(&thread, "cable", cable_thread, cable) != 0)
            abort();
        thread_start(thread);
    }
    return &cable->device;
}

unsigned int net_cable_long_segments(struct net_device *device)
{
    return atomic_load(&cable_of(device)->long_segments);
}

void net_cable_inject(struct net_device *device, const void *bytes, size_t length_bytes)
{
    struct list batch;
    list_init(&batch);
    struct net_packet *packet = packet_make(device, bytes, length_bytes);
    packet->checksum = NET_CHECKSUM_TRUSTED;
    list_add_last(&batch, &packet->link);
    net_device_deliver(device, &batch);
}

/* <sys/wait.h> has names that the kernel's headers have too. */
pid_t waitpid(pid_t child, int *status, int options);

int net_cable_in_child(void (*run)(int argument), int argument)
{
    pid_t child = fork();
    if (child == 0) {
        run(argument);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}
