/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advisory locks: flock() (owned by an open file), POSIX record locks (owned by a process, dropped when it closes any
 * descriptor of the file) and open-file-description locks (record locks owned by an open file).
 */
#pragma once

#include "kernel/vfs/file.h"

enum file_lock_type { FILE_LOCK_READ = 0, FILE_LOCK_WRITE = 1, FILE_LOCK_UNLOCK = 2 }; /* F_RDLCK, F_WRLCK, F_UNLCK */

struct file_lock_range {
    enum file_lock_type type;
    uint64_t start, end; /* bytes, end exclusive; UINT64_MAX: to the end whatever it is */
    int pid;             /* answer of get: the holder, -1 for an open file's */
};

/* flock(): type UNLOCK releases. 0, -EWOULDBLOCK, -ERESTARTSYS, -ENOLCK. */
int file_lock_whole(struct file *file, enum file_lock_type type, bool wait);
/* fcntl F_SETLK(W) / F_OFD_SETLK(W) (by_file). 0, -EAGAIN, -EDEADLK, -ERESTARTSYS, -ENOLCK, -EBADF (access mode). */
int file_lock_range_set(struct file *file, const struct file_lock_range *range, bool by_file, bool wait);
/* fcntl F_GETLK: range becomes the first lock in the way, or of type UNLOCK. */
void file_lock_range_get(struct file *file, struct file_lock_range *range, bool by_file);
/* The current process closed a descriptor of the file; the open file is going. */
void file_lock_release_process(struct file *file);
void file_lock_release_file(struct file *file);
/* Once, at boot. */
void file_lock_init(void);
/* For /proc/locks and tests: how many there are. */
size_t file_lock_count(void);
