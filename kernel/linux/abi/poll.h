/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll, select and epoll as programs see them.
 */
#pragma once

#include "kernel/base/compiler.h"

struct linux_pollfd {
    int32_t fd;
    int16_t events, returned;
};
_Static_assert(sizeof(struct linux_pollfd) == 8, "struct pollfd");

struct linux_epoll_event {
    uint32_t events;
    uint64_t data;
} attribute_packed;
_Static_assert(sizeof(struct linux_epoll_event) == 12, "struct epoll_event");

#define LINUX_EPOLL_CTL_ADD 1
#define LINUX_EPOLL_CTL_DEL 2
#define LINUX_EPOLL_CTL_MOD 3

/* The last argument of pselect6. */
struct linux_sigset_argument {
    uint64_t address, length_bytes;
};
