/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tmpfs: files in memory. A file's pages live in its page cache, which has no source; a directory's entries hold
 * references on their inodes, so that a linked inode stays. Everything goes with the unmount.
 */
#pragma once

#include "kernel/vfs/inode.h"

/* For the table of types at the roof. Options: size=, nr_blocks=, nr_inodes=, mode=, uid=, gid=. */
extern const struct file_system_type tmpfs_type;

/* A file system that is not mounted by name (the root made of an initramfs). 0, -EINVAL, -ENOMEM. */
int tmpfs_create(const char *options, struct file_system **file_system);
