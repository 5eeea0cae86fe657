/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments of system calls made into kernel things, copied once and checked as Linux checks them: descriptors, names,
 * buffers, times, signal sets. What a take_ function gave is given back by its release_ twin.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/linux/abi/file.h"
#include "kernel/linux/abi/time.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/path.h"
#include "kernel/vm/io_vector.h"

/* Referenced file of the descriptor: 0, or -EBADF (also for O_PATH descriptors). */
int file_argument(int fd, struct file **file);
/* O_PATH descriptors too. */
int file_argument_any(int fd, struct file **file);
/* Gives the file the lowest free descriptor; takes over the reference, also on failure. fd or -Exxx. */
long file_install(struct file *file, bool close_on_exec);

/* A terminated string of the program's in kernel memory. */
int name_take(uint64_t user, char **name);
void name_release(char *name);

/* A name with what it is looked up from. */
struct name_argument {
    char *name;
    struct file *base;         /* the directory's file, referenced; NULL: the working directory */
    struct fs_context context; /* the caller's */
};
/* 0, -EBADF, -ENOTDIR (a descriptor without a path), -EFAULT, -ENAMETOOLONG, -ENOENT (empty; unless allow_empty). */
int name_argument_take(struct name_argument *argument, int directory, uint64_t user, bool allow_empty);
void name_argument_release(struct name_argument *argument);
static inline const struct path *name_argument_at(const struct name_argument *argument)
{
    return argument->base ? &argument->base->path : NULL;
}
/* take, then look up: a referenced path. `empty` allows AT_EMPTY_PATH. */
int path_argument(int directory, uint64_t user, unsigned int path_flags, struct path *path);

/* A buffer of the program's as a vector of one segment; length cut at LINUX_TRANSFER_LIMIT. 0 or -EFAULT. */
struct buffer_argument {
    struct io_segment segment;
    struct io_vector vector;
};
int buffer_argument(struct buffer_argument *argument, uint64_t address, uint64_t length_bytes);

/* A struct iovec array. */
struct vector_argument {
    struct io_segment few[8];
    struct io_segment *segments;
    struct io_vector vector;
};
int vector_argument_take(struct vector_argument *argument, uint64_t user, uint64_t count);
void vector_argument_release(struct vector_argument *argument);

/* A timespec in the program's memory. 0, -EFAULT, -EINVAL. */
int time_argument(uint64_t user, uint64_t *ns);
/* A relative timeout as a deadline in clock_monotonic_ns() time. 0 stays 0, for those who do not wait: it costs no look at the clock. */
uint64_t deadline_from_timeout(uint64_t relative_ns);
/* The same of a timespec in the program's memory; address 0: WAIT_FOREVER. 0, -EFAULT, -EINVAL. */
int timeout_argument(uint64_t user, uint64_t *deadline_ns);
int time_answer(uint64_t user, uint64_t ns);

/* A signal set; 0, -EFAULT, -EINVAL (size). */
int signal_set_argument(uint64_t user, uint64_t length_bytes, uint64_t *set);

/* Of the current task. */
bool task_capable(unsigned int capability);
