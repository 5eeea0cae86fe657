/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closing a descriptor, as apart from dropping a reference.
 */
#pragma once

struct file;

/* A descriptor of the current process on the file was closed: flush, POSIX locks of the process dropped; the descriptor's reference is dropped. May sleep. */
void file_close(struct file *file);
