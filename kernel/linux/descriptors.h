/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What several families need of the descriptor table.
 */
#pragma once

#include "kernel/base/compiler.h"

struct file;

/* Installs two files (both references are taken over, also on failure) and tells the program: 0 or -Exxx. */
long file_install_pair(struct file *first, struct file *second, bool close_on_exec, uint64_t fds_address);

/* The answer of a write to a socket: a broken connection (-EPIPE) raises SIGPIPE on the way. */
long write_result(long result);
