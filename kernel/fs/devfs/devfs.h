/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev. The type "devtmpfs" is a tmpfs with the nodes of one table in it, so that programs may make their own beside them;
 * "devpts" shows the ptys. What the nodes open is registered by number (kernel/vfs/device_file.h).
 */
#pragma once

#include "kernel/vfs/inode.h"

struct fs_context;

/* For the table of types at the roof; tmpfs is in it too. */
extern const struct file_system_type devfs_type, devpts_type;

/* Once, at boot: what the numbers open. 0 or -ENOSPC. */
int devfs_init(void);
/* /dev is mounted: mounts devpts on /dev/pts, and makes nodes of disks, those that are there and those that come. The context is copied, with references. */
int devfs_start(const struct fs_context *context);

/* memory_device.c, block_file.c: openers of character devices of major 1, and of disks. */
int memory_device_open(struct inode *inode, struct file *file);
int block_file_open(struct inode *inode, struct file *file);
