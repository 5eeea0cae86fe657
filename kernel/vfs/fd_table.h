/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptor tables: small numbers to open files, shared by the threads of a process (CLONE_FILES).
 */
#pragma once

#include "kernel/base/compiler.h"

struct file;
struct fd_table;

int fd_table_create(struct fd_table **table);
/* For fork, and unshare(CLONE_FILES). */
int fd_table_duplicate(struct fd_table *table, struct fd_table **copy);
void fd_table_take(struct fd_table *table);
void fd_table_release(struct fd_table *table); /* closes everything with the last reference */

/* Referenced file, or NULL (-EBADF). */
struct file *fd_table_get(struct fd_table *table, int fd);
/* Lowest free number ≥ minimum and < limit (RLIMIT_NOFILE); takes over the caller's reference on success. fd, -EMFILE, -ENOMEM. */
int fd_table_install(struct fd_table *table, struct file *file, bool close_on_exec, int minimum, uint64_t limit);
/* dup2/dup3: replaces what is at fd. */
int fd_table_install_at(struct fd_table *table, struct file *file, bool close_on_exec, int fd, uint64_t limit);
int fd_table_close(struct fd_table *table, int fd);
/* close_range; with mark_only sets close-on-exec instead. */
void fd_table_close_range(struct fd_table *table, unsigned int first, unsigned int last, bool mark_only);
void fd_table_close_on_exec(struct fd_table *table); /* exec */
int fd_table_get_close_on_exec(struct fd_table *table, int fd);
int fd_table_set_close_on_exec(struct fd_table *table, int fd, bool close_on_exec);
/* Next open fd ≥ fd, or -1: for /proc/self/fd. */
int fd_table_next(struct fd_table *table, int fd);
