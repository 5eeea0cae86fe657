/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes in and out of a pipe's ring without a copy between, for transfers.
 *
 * `move` is called with the pipe's lock held: it may sleep, but the caller has made sure that it will not for long. It
 * answers how many bytes it moved (0: nothing now or the end), or -Exxx.
 */
#pragma once

#include "kernel/base/compiler.h"

struct file;

typedef long (*pipe_move_t)(void *context, void *bytes, size_t length_bytes);

/* Waits for data (unless nonblocking: -EAGAIN), then lets `move` take a run of it: what it took leaves the pipe. 0: no writer is left. */
long pipe_splice_out(struct file *pipe, size_t limit_bytes, bool nonblocking, pipe_move_t move, void *context);
/* Waits for room, then lets `move` fill a run of it. -EPIPE (with SIGPIPE) where there are no readers. */
long pipe_splice_in(struct file *pipe, size_t limit_bytes, bool nonblocking, pipe_move_t move, void *context);
/* From one pipe to another; with `keep` the bytes stay in the first as well (tee). -EINVAL: the same pipe. */
long pipe_splice_pipes(struct file *from, struct file *to, size_t limit_bytes, bool nonblocking, bool keep);
