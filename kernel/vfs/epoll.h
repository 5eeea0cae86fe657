/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll, for the room's own files; the calls are in file.h.
 */
#pragma once

#include "kernel/vfs/file.h"

/* Depth to which epolls may watch epolls. */
#define EPOLL_NESTING_LIMIT 5

/* For /proc/PID/fdinfo: calls back for each watched descriptor, under the epoll's lock. */
void epoll_for_each(struct file *epoll, void (*visit)(void *context, int fd, uint32_t events, uint64_t data), void *context);
bool file_is_epoll(const struct file *file);
