/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small sockets API over kernel/net for its tests: kernel buffers, IPv4 names by number, and transfers whose bytes are checked.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/net/abi.h"
#include "kernel/net/network.h"
#include "kernel/net/socket.h"
#include "kernel/net/socket_object.h"
#include "kernel/sched/thread.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/host/host.h"
#include "xen/machine/clock.h"

#define SECOND_NS 1000000000ull
#define LOOPBACK 0x7f000001u

static struct credentials *root attribute_unused;
static const struct socket_identity identity attribute_unused = {42, 0, 0};

static inline uint16_t order16(uint16_t value)
{
    return __builtin_bswap16(value);
}

static inline struct sockaddr_in name_v4(uint32_t address, uint16_t port)
{
    return (struct sockaddr_in){AF_INET, order16(port), __builtin_bswap32(address), {0}};
}

static inline struct file *socket_new(int family, int type)
{
    struct file *file;
    assert_int_equal(socket_create(family, type, 0, 0, &identity, root, &file), 0);
    return file;
}

static inline int bind_v4(struct file *file, uint32_t address, uint16_t port)
{
    struct sockaddr_in name = name_v4(address, port);
    return socket_bind(file, NULL, &name, sizeof(name));
}

static inline int connect_v4(struct file *file, uint32_t address, uint16_t port)
{
    struct sockaddr_in name = name_v4(address, port);
    return socket_connect(file, NULL, &name, sizeof(name));
}

static inline uint16_t port_of(struct file *file)
{
    uint8_t name[128];
    size_t length = sizeof(name);
    assert_int_equal(socket_get_name(file, false, name, &length), 0);
    uint16_t port;
    memcpy(&port, name + 2, 2);
    return order16(port);
}

static inline long send_bytes(struct file *file, const void *bytes, size_t length, unsigned int flags)
{
    struct io_segment segment;
    struct io_vector vector;
    struct socket_message message = {.data = &vector, .flags = flags};
    io_vector_init_kernel(&vector, &segment, (void *)(uintptr_t)bytes, length);
    return socket_send(file, NULL, &message);
}

static inline long receive_bytes(struct file *file, void *bytes, size_t length, unsigned int flags)
{
    struct io_segment segment;
    struct io_vector vector;
    struct socket_message message = {.data = &vector, .flags = flags};
    io_vector_init_kernel(&vector, &segment, bytes, length);
    return socket_receive(file, &message);
}

static inline long send_to(struct file *file, const void *bytes, size_t length, uint32_t address, uint16_t port)
{
    struct sockaddr_in name = name_v4(address, port);
    struct io_segment segment;
    struct io_vector vector;
    struct socket_message message = {.data = &vector, .address = &name, .address_bytes = sizeof(name)};
    io_vector_init_kernel(&vector, &segment, (void *)(uintptr_t)bytes, length);
    return socket_send(file, NULL, &message);
}

static inline int set_int(struct file *file, int level, int name, int value)
{
    return socket_set_option(file, level, name, &value, sizeof(value));
}

static inline int get_int(struct file *file, int level, int name)
{
    int value = -12345;
    size_t length = sizeof(value);
    int error = socket_get_option(file, level, name, &value, &length);
    return error != 0 ? error : value;
}

static inline struct file *listener_v4(uint32_t address, uint16_t port, int backlog)
{
    struct file *file = socket_new(AF_INET, SOCK_STREAM);
    set_int(file, SOL_SOCKET, SO_REUSEADDR, 1);
    assert_int_equal(bind_v4(file, address, port), 0);
    assert_int_equal(socket_listen(file, backlog, &identity), 0);
    return file;
}

static inline struct file *accept_one(struct file *listener)
{
    struct file *accepted;
    assert_int_equal(socket_accept(listener, 0, &accepted, NULL, NULL), 0);
    return accepted;
}

static inline void tcp_pair(struct file *ends[2])
{
    struct file *listener = listener_v4(LOOPBACK, 0, 5);
    ends[0] = socket_new(AF_INET, SOCK_STREAM);
    assert_int_equal(connect_v4(ends[0], LOOPBACK, port_of(listener)), 0);
    ends[1] = accept_one(listener);
    file_release(listener);
}

struct transfer {
    struct file *file;
    size_t bytes;
    atomic_bool done;
    bool good;
};

static inline uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 11));
}

static inline void transfer_send(void *argument)
{
    struct transfer *transfer = argument;
    uint8_t buffer[50000];
    size_t sent = 0;

    while (sent < transfer->bytes) {
        size_t part = minimum(sizeof(buffer), transfer->bytes - sent);
        for (size_t i = 0; i < part; i++)
            buffer[i] = pattern(sent + i);
        long result = send_bytes(transfer->file, buffer, part, 0);
        if (result <= 0)
            break;
        sent += (size_t)result;
    }
    socket_shutdown(transfer->file, SHUT_WR);
    transfer->good = sent == transfer->bytes;
    transfer->done = true;
}

static inline size_t transfer_receive(struct file *file)
{
    uint8_t buffer[30000];
    size_t got = 0;

    for (;;) {
        long result = receive_bytes(file, buffer, sizeof(buffer), 0);
        if (result <= 0)
            return result == 0 ? got : 0;
        for (long i = 0; i < result; i++)
            if (buffer[i] != pattern(got + (size_t)i))
                return 0;
        got += (size_t)result;
    }
}

static inline void transfer_start(struct transfer *transfer)
{
    struct thread *thread;
    assert_int_equal(thread_create(&thread, "sender", transfer_send, transfer), 0);
    thread_start(thread);
    thread_release(thread);
}
