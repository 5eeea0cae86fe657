/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The room's own beginnings, and what its files share beside the contracts.
 */
#pragma once

#include "kernel/vfs/inode.h"

/* Once, at boot, before any file system: caches and tables. 0 or -ENOMEM. */
int vfs_init(void);

/* Called by vfs_init(). */
int inode_table_init(void);
int dentry_init(void);
int file_init(void);

/* The parts of file_system_end() that inode_table.c does: ends the watches; waits a little, and tells whether no inode is left. */
void file_system_end_watches(struct file_system *file_system);
bool file_system_wait_empty(struct file_system *file_system);

/* The registered types, in order; NULL past the end: for /proc/filesystems. */
const struct file_system_type *file_system_type_at(size_t index);
