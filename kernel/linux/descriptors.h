/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What several families need of the descriptor table.
 */
#pragma once

#include "kernel/base/compiler.h"

struct file;
struct task;

/* Installs two files (both references are taken over, also on failure) and tells the program: 0 or -Exxx. */
long file_install_pair(struct file *first, struct file *second, bool close_on_exec, uint64_t fds_address);
/* The current task gets a descriptor table of its own if it shares one. 0 or -ENOMEM. */
int unshare_files(struct task *task);

/* The answer of a write: a broken pipe or connection (-EPIPE) raises SIGPIPE on the way. */
long write_result(long result);
struct io_vector;
/*
 * RLIMIT_FSIZE before a write at `position` (NULL: the file's own): cuts the vector at the limit. 0, or -EFBIG with SIGXFSZ
 * sent when nothing may be written.
 */
int write_limit(struct file *file, const uint64_t *position, struct io_vector *vector);
/* The same for a file that is to become `size_bytes` long. */
int size_limit(uint64_t size_bytes);
