/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading directories: what getdents is made of.
 */
#pragma once

#include "kernel/vfs/file.h"

/*
 * Emits entries from the file's position on, "." and ".." first, until `emit` answers false or the end; the position moves past what was
 * emitted. next_offset of an entry is what lseek() may be given to go on behind it. 0, -ENOTDIR, -ENOENT (removed directory), -EBADF, -EIO.
 */
int directory_read_entries(struct file *file, directory_emit_t emit, void *context);
