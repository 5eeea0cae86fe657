/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a pipe, for pipe.c and pipe_splice.c.
 */
#pragma once

#include "kernel/base/reference.h"
#include "kernel/sched/mutex.h"
#include "kernel/vfs/file.h"

#define PIPE_ATOMIC_BYTES 4096u /* PIPE_BUF */

/* Locks: m lock. */
struct pipe {
    struct reference reference; /* of each open file, and of the inode: who closes an end still wakes the other one, which may be closed meanwhile */
    struct mutex lock;
    struct wait_queue read_wait, write_wait;
    uint8_t *ring;            /* m NULL until the first write */
    size_t ring_bytes;        /* m a power of two */
    size_t limit_bytes;       /* m what the ring may grow to, a power of two */
    size_t head, tail;        /* m bytes ever written and read; head - tail are there */
    unsigned int readers, writers; /* m open files */
    unsigned int reader_opens, writer_opens; /* m opens ever: for fifos that wait for the other end */
    struct inode *inode;      /* m fifo's, or own's; not referenced */
    struct path own;          /* m of a pipe that was reached through /proc/self/fd: as long as an end is open */
};

static inline size_t pipe_used(const struct pipe *pipe)
{
    return pipe->head - pipe->tail;
}

/* Free bytes for a write that wants `wanted`, growing the ring if that helps. Lock held. */
size_t pipe_room(struct pipe *pipe, size_t wanted);
/* The pipe behind a file, or NULL. */
struct pipe *pipe_from_file(const struct file *file);
