/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cable between two test processes. Sent frames are put together, checksums that were left to the device filled in, and written to a
 * SOCK_SEQPACKET socket; a thread reads the other direction and delivers batches of pages.
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
    unsigned int lose_every;
    atomic_uint sent;
};

struct cable_packet {
    struct net_packet packet;
    struct page *page;
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

static void complete_checksum(uint8_t *frame, size_t length, const struct net_frame *net)
{
    uint32_t sum = 0;
    for (size_t i = net->checksum_start; i < length; i++)
        sum += (i - net->checksum_start) % 2 == 0 ? (uint32_t)frame[i] << 8 : frame[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = ~sum & 0xffff;
    frame[net->checksum_start + net->checksum_offset] = (uint8_t)(sum >> 8);
    frame[net->checksum_start + net->checksum_offset + 1] = (uint8_t)sum;
}

static int cable_transmit(struct net_device *device, struct net_frame *frame, bool more)
{
    struct cable *cable = cable_of(device);
    uint8_t bytes[NET_FRAME_BYTES_LIMIT];
    size_t length = 0;

    for (uint32_t i = 0; i < frame->fragment_count; i++) {
        const struct net_fragment *fragment = &frame->fragments[i];
        memcpy(bytes + length, (uint8_t *)page_address(fragment->page) + fragment->offset_bytes, fragment->length_bytes);
        length += fragment->length_bytes;
    }
    if (length > device->mtu_bytes + NET_HEADER_BYTES)
        panic("frame of %zu bytes", length);
    if (frame->checksum == NET_CHECKSUM_PARTIAL)
        complete_checksum(bytes, length, frame);
    unsigned int number = atomic_fetch_add(&cable->sent, 1) + 1;
    if (cable->lose_every == 0 || number % cable->lose_every != 0)
        send(cable->end, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    atomic_fetch_add(&device->tx_packets, 1);
    frame->complete(frame, 0);
    return 0;
}

static void cable_release(struct net_packet *packet)
{
    struct cable_packet *own = container_of(packet, struct cable_packet, packet);
    page_release(own->page);
    free(own);
}

static void cable_destroy(struct net_device *device)
{
    free(cable_of(device));
}

static const struct net_device_ops cable_ops = {cable_transmit, cable_release, cable_destroy};

static struct net_packet *packet_make(struct net_device *device, const void *bytes, size_t length)
{
    struct cable_packet *own = calloc(1, sizeof(*own));
    own->page = page_allocate(0, PAGE_DEVICE, 0);
    if (own->page == NULL || length > PAGE_SIZE)
        abort();
    memcpy(page_address(own->page), bytes, length);
    own->packet.device = device;
    own->packet.fragments[0] = (struct net_fragment){own->page, 0, (uint32_t)length};
    own->packet.fragment_count = 1;
    own->packet.length_bytes = (uint32_t)length;
    return &own->packet;
}

static void cable_thread(void *argument)
{
    struct cable *cable = argument;
    uint8_t bytes[PAGE_SIZE];

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
    cable->lose_every = lose_every;
    cable->device.ops = &cable_ops;
    memcpy(cable->device.mac, (uint8_t[6]){2, 0, 0, 0, 0, number}, 6);
    atomic_init(&cable->device.mtu_bytes, 1500);
    atomic_init(&cable->device.features, NET_FEATURE_TX_CHECKSUM_V4 | NET_FEATURE_TX_CHECKSUM_V6 | NET_FEATURE_SCATTER_GATHER);
    atomic_init(&cable->device.link_up, true);
    net_device_register(&cable->device);
    if (end >= 0) {
        if (thread_create(&thread, "cable", cable_thread, cable) != 0)
            abort();
        thread_start(thread);
    }
    return &cable->device;
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
