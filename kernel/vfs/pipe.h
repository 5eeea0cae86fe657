/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes and fifos; pipe_create() is file.h's.
 */
#pragma once

#include "kernel/vfs/file.h"

/* vfs_init()'s. 0 or -ENOMEM. */
int pipe_init(void);

/* Opens a fifo's inode into the file, waiting for the other end as POSIX has it. 0, -ENXIO (write end, nonblocking, no reader), -ERESTARTSYS, -ENOMEM. */
int fifo_open(struct inode *inode, struct file *file);

/* F_GETPIPE_SZ and F_SETPIPE_SZ: bytes, or -EBADF (not a pipe), -EBUSY, -EINVAL. */
long pipe_get_size(struct file *file);
long pipe_set_size(struct file *file, uint64_t size_bytes);
