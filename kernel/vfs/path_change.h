/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What open(O_CREAT) shares with the calls that make names.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/vfs/path.h"

void path_change_init(void);

/*
 * Makes the file of a negative dentry: checks permission, applies the umask, asks the file system. The directory's inode is locked for
 * writing. 0 or -Exxx.
 */
int path_create_locked(const struct fs_context *context, const struct path *directory, struct dentry *child,
                       uint32_t mode, uint64_t device);
