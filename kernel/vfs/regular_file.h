/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of files over a page cache, and of directories: what an inode without file_operations of its own gets.
 */
#pragma once

#include "kernel/vfs/file.h"

extern const struct file_operations regular_file_operations;
extern const struct file_operations directory_file_operations;

/* Made and unmade half-open: open.c's. */
struct file *file_create(unsigned int flags, struct credentials *credentials);
void file_discard(struct file *file);
