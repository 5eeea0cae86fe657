/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from a hostile network: each input is a list of (length, flags, bytes), delivered to an interface that has addresses, a TCP listener, UDP
 * and raw sockets. Flags have the frame's Ethernet header, addresses, lengths and IP checksum put right, so that the inner layers
 * are reached. Whatever comes, nothing is read or written out of bounds, and what is accepted can be read and closed.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/base/log.h"
#include "kernel/net/abi.h"
#include "kernel/net/network.h"
#include "kernel/net/socket.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/net_cable.h"

#define FIX_ETHERNET 1u
#define FIX_ADDRESSES 2u
#define FIX_LENGTH 4u
#define IPV6 8u
#define FRAME_BYTES_MOST 1514u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* lwIP chains the fragments of a datagram through pointers at odd addresses, which the search for leaks does not see. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static struct net_device *device;
static struct file *listener, *datagram, *raw;

static struct file *bound(int type, int protocol, uint16_t port)
{
    static const struct socket_identity identity = {1, 0, 0};
    struct sockaddr_in6 name = {.family = AF_INET6, .port = (uint16_t)(port << 8 | port >> 8)};
    struct file *file;
    int family = type == SOCK_RAW ? AF_INET : AF_INET6;

    if (socket_create(family, type, protocol, FILE_NONBLOCK, &identity, credentials_create_root(), &file) != 0)
        abort();
    if (type != SOCK_RAW && socket_bind(file, NULL, &name, sizeof(name)) != 0)
        abort();
    if (type == SOCK_STREAM && socket_listen(file, 16, &identity) != 0)
        abort();
    return file;
}

static void start(void)
{
    log_set_level(LOG_ERROR);
    if (vfs_init() != 0 || network_start() != 0 || network_configure("10.9.0.2/24:10.9.0.1") != 0)
        abort();
    device = net_cable_attach(-1, 2, 0);
    if (network_attach(device) != 0)
        abort();
    listener = bound(SOCK_STREAM, 0, 80);
    datagram = bound(SOCK_DGRAM, 0, 53);
    raw = bound(SOCK_RAW, 1, 0);
}

static void put_checksum(uint8_t *header, size_t length)
{
    uint32_t sum = 0;
    header[10] = header[11] = 0;
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)(header[i] << 8 | header[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    header[10] = (uint8_t)(~sum >> 8);
    header[11] = (uint8_t)~sum;
}

static void repair_v4(uint8_t *header, size_t length, unsigned int flags)
{
    size_t own = (header[0] & 15u) * 4u;

    header[0] = (uint8_t)(0x40 | (header[0] & 15));
    if (flags & FIX_ADDRESSES)
        memcpy(header + 16, (uint8_t[4]){10, 9, 0, 2}, 4);
    if (flags & FIX_LENGTH) {
        header[2] = (uint8_t)(length >> 8);
        header[3] = (uint8_t)length;
    }
    if (own >= 20 && own <= length)
        put_checksum(header, own);
}

static void repair_v6(uint8_t *header, size_t length, unsigned int flags)
{
    static const uint8_t own[16] = {0xfe, 0x80, [11] = 0xff, 0xfe, 0, 0, 2}; /* the link-local address of the cable's second end */

    header[0] = (uint8_t)(0x60 | (header[0] & 15));
    if (flags & FIX_ADDRESSES) {
        memcpy(header + 24, own, 16);
        header[24 + 8] = 0;
    }
    if (flags & FIX_LENGTH) {
        header[4] = (uint8_t)((length - 40) >> 8);
        header[5] = (uint8_t)(length - 40);
    }
}

static void frame_repair(uint8_t *frame, size_t length, unsigned int flags)
{
    bool v6 = flags & IPV6;

    if (flags & FIX_ETHERNET && length >= 14) {
        memcpy(frame, (uint8_t[6]){2, 0, 0, 0, 0, 2}, 6);
        frame[12] = v6 ? 0x86 : 0x08;
        frame[13] = v6 ? 0xdd : 0x00;
    }
    if (!v6 && length >= 34)
        repair_v4(frame + 14, length - 14, flags);
    else if (v6 && length >= 54)
        repair_v6(frame + 14, length - 14, flags);
}

static long receive(struct file *file)
{
    uint8_t buffer[2048], name[128], control[256];
    struct io_segment segment;
    struct io_vector vector;
    struct socket_message message = {.data = &vector, .address = name, .address_bytes = sizeof(name), .control = control, .control_bytes = sizeof(control)};

    io_vector_init_kernel(&vector, &segment, buffer, sizeof(buffer));
    return socket_receive(file, &message);
}

static void sockets_serve(void)
{
    struct file *accepted;

    while (socket_accept(listener, FILE_NONBLOCK, &accepted, NULL, NULL) == 0) {
        while (receive(accepted) > 0)
            ;
        file_release(accepted);
    }
    while (receive(datagram) >= 0)
        ;
    while (receive(raw) >= 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t frame[FRAME_BYTES_MOST];

    if (device == NULL)
        start();
    while (size >= 3) {
        size_t length = minimum((size_t)(data[0] << 8 | data[1]) % FRAME_BYTES_MOST + 1, size - 3);
        unsigned int flags = data[2];
        data += 3;
        size -= 3;
        memcpy(frame, data, length);
        data += length;
        size -= length;
        if (length == 0)
            break;
        frame_repair(frame, length, flags);
        net_cable_inject(device, frame, length);
    }
    sockets_serve();
    return 0;
}
