/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splicing: see pipe_splice.h. Two pipes are locked in order of address.
 */
#include "kernel/vfs/pipe_splice.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vfs/pipe_ring.h"
#include "kernel/vfs/process_hooks.h"

#define SIGNAL_PIPE 13

static void wake_readers(struct pipe *pipe)
{
    wait_queue_wake_all(&pipe->read_wait, POLL_IN | POLL_READ_NORMAL);
}

static void wake_writers(struct pipe *pipe)
{
    wait_queue_wake_all(&pipe->write_wait, POLL_OUT | POLL_WRITE_NORMAL);
}

/* Without locks. 0: there may be data, or the end. */
static int wait_data(struct pipe *pipe, bool nonblocking)
{
    if (read_once(pipe->head) != read_once(pipe->tail) || read_once(pipe->writers) == 0)
        return 0;
    if (nonblocking)
        return -EAGAIN;
    return WAIT_UNTIL(&pipe->read_wait, read_once(pipe->head) != read_once(pipe->tail) || read_once(pipe->writers) == 0,
                      WAIT_FOREVER, WAIT_INTERRUPTIBLE) ? -ERESTARTSYS : 0;
}

static bool may_have_room(struct pipe *pipe)
{
    return read_once(pipe->readers) == 0 ||
           read_once(pipe->limit_bytes) - (read_once(pipe->head) - read_once(pipe->tail)) > 0;
}

static int wait_room(struct pipe *pipe, bool nonblocking)
{
    if (may_have_room(pipe))
        return 0;
    if (nonblocking)
        return -EAGAIN;
    return WAIT_UNTIL(&pipe->write_wait, may_have_room(pipe), WAIT_FOREVER, WAIT_INTERRUPTIBLE) ? -ERESTARTSYS : 0;
}

/* A run of data, or of free space; lock held. */
static size_t run_of_data(const struct pipe *pipe, uint8_t **bytes)
{
    size_t at = pipe->tail & (pipe->ring_bytes - 1);

    *bytes = pipe->ring + at;
    return minimum(pipe_used(pipe), pipe->ring_bytes - at);
}

static size_t run_of_room(struct pipe *pipe, size_t wanted, uint8_t **bytes)
{
    size_t room = pipe_room(pipe, wanted);

    if (room == 0)
        return 0;
    size_t at = pipe->head & (pipe->ring_bytes - 1);
    *bytes = pipe->ring + at;
    return minimum(room, pipe->ring_bytes - at);
}

long pipe_splice_out(struct file *file, size_t limit_bytes, bool nonblocking, pipe_move_t move, void *context)
{
    struct pipe *pipe = pipe_from_file(file);
    long moved = 0;

    for (;;) {
        int error = wait_data(pipe, nonblocking);
        if (error)
            return error;

        uint8_t *bytes;
        mutex_lock(&pipe->lock);
        bool ready = pipe_used(pipe) > 0, ended = pipe->writers == 0;
        if (ready) {
            size_t run = run_of_data(pipe, &bytes);
            moved = move(context, bytes, minimum(run, limit_bytes));
            if (moved > 0)
                pipe->tail += (size_t)moved;
        }
        mutex_unlock(&pipe->lock);
        if (moved > 0)
            wake_writers(pipe);
        if (ready || ended)
            return moved;
    }
}

long pipe_splice_in(struct file *file, size_t limit_bytes, bool nonblocking, pipe_move_t move, void *context)
{
    struct pipe *pipe = pipe_from_file(file);

    for (;;) {
        int error = wait_room(pipe, nonblocking);
        if (error)
            return error;

        uint8_t *bytes;
        mutex_lock(&pipe->lock);
        bool broken = pipe->readers == 0;
        size_t run = broken ? 0 : run_of_room(pipe, limit_bytes, &bytes);
        long moved = run > 0 ? move(context, bytes, minimum(run, limit_bytes)) : 0;
        if (moved > 0)
            pipe->head += (size_t)moved;
        mutex_unlock(&pipe->lock);
        if (broken) {
            vfs_process->signal_current(SIGNAL_PIPE);
            return -EPIPE;
        }
        if (moved > 0)
            wake_readers(pipe);
        if (run > 0)
            return moved;
    }
}

static void lock_both(struct pipe *one, struct pipe *other)
{
    mutex_lock(&minimum(one, other)->lock);
    mutex_lock(&maximum(one, other)->lock);
}

/* As much as there is and fits, whole: bytes. Both locked. */
static long copy_between(struct pipe *from, struct pipe *to, size_t limit_bytes, bool keep)
{
    size_t length = minimum(minimum(pipe_used(from), limit_bytes), pipe_room(to, minimum(pipe_used(from), limit_bytes)));
    size_t done = 0;

    while (done < length) {
        size_t source = (from->tail + done) & (from->ring_bytes - 1), target = (to->head + done) & (to->ring_bytes - 1);
        size_t piece = minimum(length - done, minimum(from->ring_bytes - source, to->ring_bytes - target));

        memcpy(to->ring + target, from->ring + source, piece);
        done += piece;
    }
    to->head += done;
    if (!keep)
        from->tail += done;
    return (long)done;
}

long pipe_splice_pipes(struct file *from_file, struct file *to_file, size_t limit_bytes, bool nonblocking, bool keep)
{
    struct pipe *from = pipe_from_file(from_file), *to = pipe_from_file(to_file);

    if (from == to)
        return -EINVAL;
    for (;;) {
        int error = wait_data(from, nonblocking);
        if (!error)
            error = wait_room(to, nonblocking);
        if (error)
            return error;

        lock_both(from, to);
        bool broken = to->readers == 0, ended = pipe_used(from) == 0 && from->writers == 0;
        long moved = broken ? 0 : copy_between(from, to, limit_bytes, keep);
        mutex_unlock(&from->lock);
        mutex_unlock(&to->lock);
        if (broken) {
            vfs_process->signal_current(SIGNAL_PIPE);
            return -EPIPE;
        }
        if (moved > 0) {
            wake_readers(to);
            if (!keep)
                wake_writers(from);
        }
        if (moved > 0 || ended)
            return moved;
    }
}
