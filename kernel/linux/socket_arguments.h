/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments that the socket calls share: descriptors that must be sockets, addresses, and who the caller is.
 */
#pragma once

#include "kernel/net/socket.h"

/* For SO_PEERCRED and SCM_CREDENTIALS. */
struct socket_identity socket_identity_mine(void);
/* Referenced file: 0, -EBADF, -ENOTSOCK. */
int socket_argument(int fd, struct file **file);
/* An address into kernel[SOCKET_ADDRESS_LIMIT]: 0, -EINVAL (length), -EFAULT. */
int address_argument(uint8_t *kernel, uint64_t address, int length_bytes);
/* As much of an address as the program has room for; its whole length goes to where the room stood. */
int address_answer(uint64_t address, uint64_t length_address, const uint8_t *kernel, size_t length_bytes);
