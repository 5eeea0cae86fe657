/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control messages (struct cmsghdr) of sendmsg and recvmsg: descriptors become files and files descriptors, credentials are
 * checked; all others pass as they are.
 */
#pragma once

#include "kernel/net/socket.h"

/* Lives as long as the call. All memory is in one block. */
struct control_block {
    uint8_t *bytes;             /* other messages; room for a call's whole control buffer */
    size_t length_bytes;
    struct file **files;        /* referenced */
    size_t file_count, file_room;
    struct socket_identity identity;
    bool has_identity;
};

/* Parses what the program sends. 0 or -EINVAL, -EFAULT, -ENOBUFS, -EBADF, -EPERM, -ENOMEM. */
int control_take(struct control_block *control, uint64_t address, uint64_t length_bytes);
/* Makes room for what a receive may bring. */
int control_make_room(struct control_block *control, uint64_t length_bytes);
/* Gives the program what was received, in its control buffer of room_bytes: the length used. *truncated: not all fitted. */
long control_answer(struct control_block *control, uint64_t address, uint64_t room_bytes, bool close_on_exec, bool *truncated);
/* Drops the files that are still there, and the memory. */
void control_release(struct control_block *control);
