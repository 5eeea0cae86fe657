/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes: a ring of bytes between readers and writers.
 *
 * The ring is one block of memory, allocated with the first write (a page) and grown on demand up to the pipe's size, so
 * that idle pipes cost little. Data is copied once in and once out, between the program and the ring, under the pipe's
 * mutex. Writes of at most PIPE_BUF bytes are whole. Wakes go out only when the ring leaves empty or full, or someone waits.
 */
#include "kernel/vfs/pipe.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/pipe_ring.h"
#include "kernel/vfs/process_hooks.h"
#include "xen/x86/user_access.h"

#define PIPE_DEFAULT_BYTES 65536u
#define PIPE_LARGEST_BYTES 1048576u
#define SIGNAL_PIPE 13
#define IOCTL_BYTES_READY 0x541b /* FIONREAD */

static const struct file_system_operations pipe_file_system_operations;
static struct file_system pipe_file_system; /* of pipes that have got an inode */
static struct mount *pipe_mount;
static _Atomic uint64_t next_number = 1;

int pipe_init(void)
{
    int error = file_system_init(&pipe_file_system, "pipefs", &pipe_file_system_operations, NULL);

    if (error)
        return error;
    pipe_mount = mount_create_internal(&pipe_file_system);
    return pipe_mount ? 0 : -ENOMEM;
}

/* With one reference. */
static struct pipe *pipe_new(void)
{
    struct pipe *pipe = memory_allocate_zeroed(sizeof(*pipe));

    if (!pipe)
        return NULL;
    reference_init(&pipe->reference);
    mutex_init(&pipe->lock, "pipe", 0);
    wait_queue_init(&pipe->read_wait);
    wait_queue_init(&pipe->write_wait);
    pipe->limit_bytes = PIPE_DEFAULT_BYTES;
    return pipe;
}

static void pipe_put(void *data)
{
    struct pipe *pipe = data;

    if (!reference_release(&pipe->reference))
        return;
    memory_free(pipe->ring);
    memory_free(pipe);
}

/* The ring gets another size, at least what is in it. 0 or -ENOMEM. */
static int pipe_resize(struct pipe *pipe, size_t ring_bytes)
{
    uint8_t *ring = memory_allocate(ring_bytes);
    size_t used = pipe_used(pipe);

    if (!ring)
        return -ENOMEM;
    if (used > 0) {
        size_t from = pipe->tail & (pipe->ring_bytes - 1);
        size_t first = minimum(used, pipe->ring_bytes - from);

        memcpy(ring, pipe->ring + from, first);
        memcpy(ring + first, pipe->ring, used - first);
    }
    memory_free(pipe->ring);
    pipe->ring = ring;
    pipe->ring_bytes = ring_bytes;
    pipe->tail = 0;
    pipe->head = used;
    return 0;
}

/* Free bytes for a write that wants `wanted`, growing the ring if that helps. */
size_t pipe_room(struct pipe *pipe, size_t wanted)
{
    size_t needed = pipe_used(pipe) + minimum(wanted, pipe->limit_bytes);

    if (needed > pipe->ring_bytes && pipe->ring_bytes < pipe->limit_bytes) {
        size_t ring_bytes = pipe->ring_bytes ? pipe->ring_bytes : PIPE_ATOMIC_BYTES;

        while (ring_bytes < needed && ring_bytes < pipe->limit_bytes)
            ring_bytes *= 2;
        pipe_resize(pipe, ring_bytes); /* out of memory: what there is must do */
    }
    return pipe->ring_bytes - pipe_used(pipe);
}

/* Moves up to length bytes from the vector into the ring, or out of the ring, which holds that many. */
static attribute_always_inline size_t pipe_copy(struct pipe *pipe, struct io_vector *vector, size_t length, bool in)
{
    size_t *place = in ? &pipe->head : &pipe->tail;
    size_t total = 0;

    while (total < length) {
        size_t at = *place & (pipe->ring_bytes - 1);
        size_t piece = minimum(length - total, pipe->ring_bytes - at);
        size_t copied = in ? io_vector_get(vector, pipe->ring + at, piece) : io_vector_put(vector, pipe->ring + at, piece);

        *place += copied;
        total += copied;
        if (copied < piece)
            break;
    }
    return total;
}

static bool is_nonblocking(const struct file *file)
{
    return atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NONBLOCK;
}

static long pipe_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct pipe *pipe = file->data;
    long answer;

    if (vector->remaining_bytes == 0)
        return 0;
    for (;;) {
        mutex_lock(&pipe->lock);
        bool was_full = pipe_used(pipe) > 0 && pipe->limit_bytes - pipe_used(pipe) < PIPE_ATOMIC_BYTES;
        bool ready = pipe_used(pipe) > 0;
        bool ended = pipe->writers == 0;

        answer = ready ? (long)pipe_copy(pipe, vector, minimum(pipe_used(pipe), vector->remaining_bytes), false) : 0;
        mutex_unlock(&pipe->lock);
        if (ready) {
            if (answer == 0)
                return -EFAULT;
            if (was_full)
                wait_queue_wake_all(&pipe->write_wait, POLL_OUT | POLL_WRITE_NORMAL);
            return answer;
        }
        if (ended)
            return 0;
        if (is_nonblocking(file))
            return -EAGAIN;
        if (WAIT_UNTIL(&pipe->read_wait, read_once(pipe->head) != read_once(pipe->tail) || read_once(pipe->writers) == 0,
                       WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return -ERESTARTSYS;
    }
}

/* One round of a write: as much as fits, or all of a small one. 0: nothing fits now. */
static long write_round(struct pipe *pipe, struct io_vector *vector)
{
    size_t wanted = vector->remaining_bytes;
    size_t room = pipe_room(pipe, wanted);

    if (room == 0 || (wanted <= PIPE_ATOMIC_BYTES && room < wanted))
        return 0;

    size_t copied = pipe_copy(pipe, vector, minimum(room, wanted), true);

    return copied ? (long)copied : -EFAULT;
}

static bool write_may_fit(struct pipe *pipe, size_t wanted)
{
    size_t room = read_once(pipe->limit_bytes) - (read_once(pipe->head) - read_once(pipe->tail));

    return read_once(pipe->readers) == 0 || (wanted <= PIPE_ATOMIC_BYTES ? room >= wanted : room > 0);
}

static long pipe_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct pipe *pipe = file->data;
    long total = 0;

    while (vector->remaining_bytes > 0) {
        mutex_lock(&pipe->lock);
        bool broken = pipe->readers == 0;
        bool was_empty = pipe_used(pipe) == 0;
        long written = broken ? -EPIPE : write_round(pipe, vector);

        mutex_unlock(&pipe->lock);
        if (written > 0) {
            total += written;
            if (was_empty || !wait_queue_empty(&pipe->read_wait))
                wait_queue_wake_all(&pipe->read_wait, POLL_IN | POLL_READ_NORMAL);
            continue;
        }
        if (written == -EPIPE)
            vfs_process->signal_current(SIGNAL_PIPE);
        if (written < 0)
            return total ? total : written;
        if (is_nonblocking(file))
            return total ? total : -EAGAIN;
        if (WAIT_UNTIL(&pipe->write_wait, write_may_fit(pipe, vector->remaining_bytes), WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return total ? total : -ERESTARTSYS;
    }
    return total;
}

static uint32_t pipe_poll(struct file *file, struct poll_table *table)
{
    struct pipe *pipe = file->data;
    uint32_t ready = 0;

    if (file->readable)
        poll_wait(table, &pipe->read_wait);
    if (file->writable)
        poll_wait(table, &pipe->write_wait);

    size_t used = read_once(pipe->head) - read_once(pipe->tail);

    if (file->readable) {
        if (used > 0)
            ready |= POLL_IN | POLL_READ_NORMAL;
        if (read_once(pipe->writers) == 0 && read_once(pipe->writer_opens) != 0)
            ready |= POLL_HANGUP;
    }
    if (file->writable) {
        if (read_once(pipe->limit_bytes) - used >= PIPE_ATOMIC_BYTES)
            ready |= POLL_OUT | POLL_WRITE_NORMAL;
        if (read_once(pipe->readers) == 0)
            ready |= POLL_ERROR;
    }
    return ready;
}

static long pipe_ioctl(struct file *file, unsigned int command, uint64_t argument)
{
    struct pipe *pipe = file->data;

    if (command != IOCTL_BYTES_READY)
        return -ENOTTY;

    int used = (int)(read_once(pipe->head) - read_once(pipe->tail));

    return user_store(argument, &used);
}

static void pipe_release(struct file *file)
{
    struct pipe *pipe = file->data;
    struct path own = { NULL, NULL };

    mutex_lock(&pipe->lock);
    if (file->readable)
        pipe->readers--;
    if (file->writable)
        pipe->writers--;
    bool last = pipe->readers == 0 && pipe->writers == 0, has_inode = pipe->inode != NULL;
    if (last && has_inode) { /* a fifo forgets what was in it */
        memory_free(pipe->ring);
        pipe->ring = NULL;
        pipe->ring_bytes = pipe->head = pipe->tail = 0;
        pipe->writer_opens = 0;
        own = pipe->own;
        pipe->own = (struct path){ NULL, NULL };
    }
    mutex_unlock(&pipe->lock);
    if (!last || has_inode) {
        wait_queue_wake_all(&pipe->read_wait, POLL_IN | POLL_HANGUP | POLL_READ_NORMAL);
        wait_queue_wake_all(&pipe->write_wait, POLL_OUT | POLL_ERROR | POLL_WRITE_NORMAL);
    }
    path_release(&own);
    pipe_put(pipe);
}

static int pipe_set_attributes(struct inode *inode, const struct inode_attributes *attributes)
{
    if (attributes->valid & ATTRIBUTE_MODE)
        inode->mode = (inode->mode & MODE_TYPE) | (attributes->mode & ~MODE_TYPE);
    if (attributes->valid & ATTRIBUTE_UID)
        inode->uid = attributes->uid;
    if (attributes->valid & ATTRIBUTE_GID)
        inode->gid = attributes->gid;
    return 0;
}

static const struct inode_operations pipe_inode_operations = { .set_attributes = pipe_set_attributes };

/* The inode and path of a pipe that had none. Lock held. */
static int pipe_make_inode(struct pipe *pipe, const struct credentials *credentials)
{
    struct inode *inode;
    bool fresh;
    int error = inode_get(&pipe_file_system, atomic_fetch_add(&next_number, 1), &inode, &fresh);

    if (error)
        return error;
    inode->mode = MODE_FIFO | 0600;
    inode->links = 1;
    inode->uid = credentials ? credentials->fsuid : 0;
    inode->gid = credentials ? credentials->fsgid : 0;
    inode->operations = &pipe_inode_operations;
    inode->access_time = inode->modify_time = inode->change_time = inode->birth_time = inode_now();
    inode_ready(inode);
    error = mount_internal_path(pipe_mount, inode, &pipe->own);
    if (error)
        return error;
    reference_take(&pipe->reference);
    inode->endpoint = pipe;
    inode->endpoint_release = pipe_put;
    pipe->inode = inode;
    return 0;
}

/* Of an end that pipe_create() made: others have the path they were opened by. */
static int pipe_make_path(struct file *file, struct path *path)
{
    struct pipe *pipe = file->data;

    mutex_lock(&pipe->lock);
    int error = pipe->own.dentry ? 0 : pipe_make_inode(pipe, file->credentials);
    if (!error) {
        *path = pipe->own;
        path_take(path);
    }
    mutex_unlock(&pipe->lock);
    return error;
}

static size_t pipe_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "pipe:[%lu]", ((uintptr_t)file->data >> 4) & 0xffffffff);
}

static const struct file_operations pipe_operations = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
    .describe = pipe_describe,
    .make_path = pipe_make_path,
    .anonymous_mode = MODE_FIFO | 0600,
};

int pipe_create(unsigned int flags, struct credentials *credentials, struct file **read_end, struct file **write_end)
{
    struct pipe *pipe = pipe_new();
    int error;

    if (!pipe)
        return -ENOMEM;
    error = file_create_anonymous(&pipe_operations, pipe, FILE_READ_ONLY | flags, credentials, read_end);
    if (error) {
        pipe_put(pipe);
        return error;
    }
    pipe->readers = 1;
    error = file_create_anonymous(&pipe_operations, pipe, FILE_WRITE_ONLY | flags, credentials, write_end);
    if (error) {
        file_release(*read_end);
        return error;
    }
    reference_take(&pipe->reference);
    pipe->writers = pipe->writer_opens = pipe->reader_opens = 1;
    return 0;
}

/* The fifo's pipe, made with its first open and kept as long as the inode. */
static int fifo_pipe(struct inode *inode, struct pipe **pipe)
{
    int error = 0;

    rw_lock_write(&inode->lock);
    if (!inode->endpoint) {
        struct pipe *fresh = pipe_new();

        if (fresh) {
            fresh->inode = inode;
            inode->endpoint = fresh;
            inode->endpoint_release = pipe_put;
        } else {
            error = -ENOMEM;
        }
    }
    *pipe = inode->endpoint;
    rw_unlock_write(&inode->lock);
    return error;
}

/* Waits until the other end has been opened (since), also if it was closed again meanwhile. */
static int fifo_wait(struct pipe *pipe, struct file *file, unsigned int readers_before, unsigned int writers_before)
{
    if ((file->readable && file->writable) || pipe->inode->file_system == &pipe_file_system)
        return 0;
    if (file->readable) {
        if (is_nonblocking(file) || read_once(pipe->writers) != 0)
            return 0;
        return WAIT_UNTIL(&pipe->read_wait, read_once(pipe->writer_opens) != writers_before, WAIT_FOREVER,
                          WAIT_INTERRUPTIBLE) ? -ERESTARTSYS : 0;
    }
    if (read_once(pipe->readers) != 0)
        return 0;
    if (is_nonblocking(file))
        return -ENXIO;
    return WAIT_UNTIL(&pipe->write_wait, read_once(pipe->reader_opens) != readers_before, WAIT_FOREVER,
                      WAIT_INTERRUPTIBLE) ? -ERESTARTSYS : 0;
}

int fifo_open(struct inode *inode, struct file *file)
{
    struct pipe *pipe;
    int error = fifo_pipe(inode, &pipe);

    if (error)
        return error;
    mutex_lock(&pipe->lock);
    unsigned int readers_before = pipe->reader_opens, writers_before = pipe->writer_opens;
    if (file->readable) {
        pipe->readers++;
        pipe->reader_opens++;
    }
    if (file->writable) {
        pipe->writers++;
        pipe->writer_opens++;
    }
    mutex_unlock(&pipe->lock);
    reference_take(&pipe->reference);
    file->operations = &pipe_operations;
    file->data = pipe;
    wait_queue_wake_all(&pipe->read_wait, 0);
    wait_queue_wake_all(&pipe->write_wait, 0);
    error = fifo_wait(pipe, file, readers_before, writers_before);
    if (error)
        pipe_release(file);
    return error;
}

static bool is_pipe(const struct file *file)
{
    return file->operations == &pipe_operations;
}

struct pipe *pipe_from_file(const struct file *file)
{
    return is_pipe(file) ? file->data : NULL;
}

long pipe_get_size(struct file *file)
{
    return is_pipe(file) ? (long)((struct pipe *)file->data)->limit_bytes : -EBADF;
}

long pipe_set_size(struct file *file, uint64_t size_bytes)
{
    struct pipe *pipe = file->data;
    size_t limit_bytes = PIPE_ATOMIC_BYTES;
    int error = 0;

    if (!is_pipe(file))
        return -EBADF;
    if (size_bytes > PIPE_LARGEST_BYTES && !credentials_capable(file->credentials, CAPABILITY_SYS_RESOURCE))
        return -EPERM;
    if (size_bytes > 1u << 31)
        return -EINVAL;
    while (limit_bytes < size_bytes)
        limit_bytes *= 2;
    mutex_lock(&pipe->lock);
    if (limit_bytes < pipe_used(pipe))
        error = -EBUSY;
    else if (limit_bytes < pipe->ring_bytes)
        error = pipe_resize(pipe, limit_bytes);
    if (!error)
        pipe->limit_bytes = limit_bytes;
    mutex_unlock(&pipe->lock);
    return error ? error : (long)limit_bytes;
}
