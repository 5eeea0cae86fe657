/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first tree of files: the root file system, and the kernel's own mounted over its empty directories.
 */
#pragma once

#include "kernel/vfs/path.h"

/* Mounts it all. `context` gets the root, and the kernel's credentials: what the roof itself opens files with. 0, or an error that was told. */
int root_mount(struct fs_context *context);
