/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transfers between files. A file with a page cache hands its pages to the other's write operation as they lie, up to 16 at a
 * time, so that the bytes are copied once; others go through a page in between. A pipe's ring is read and filled in place.
 *
 * No lock is held while bytes move but the pipe's; who could block under it is waited for first.
 */
#include "kernel/vfs/transfer.h"

#include "kernel/base/error.h"
#include "kernel/memory/page.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/pipe_ring.h"
#include "kernel/vfs/pipe_splice.h"
#include "kernel/vfs/poll.h"

#define BATCH_PAGES 16u
#define AHEAD_PAGES 32u
#define TRANSFER_LIMIT 0x7ffff000ull
#define PIPE_PIECE_BYTES 16384u

static bool is_nonblocking(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NONBLOCK) != 0;
}

static bool is_regular(const struct file *file)
{
    return file->inode && (file->inode->mode & MODE_TYPE) == MODE_REGULAR;
}

/* The run of pages from `index` that can be had at once, at least one: their number, 0 at the end of the file, or -Exxx. */
static int take_pages(struct page_cache *cache, uint64_t index, size_t wanted, struct page **pages)
{
    size_t count = minimum(wanted, (size_t)BATCH_PAGES), run = 0;

    page_cache_get_present(cache, index, pages, count);
    while (run < count && pages[run])
        run++;
    for (size_t i = run; i < count; i++)
        if (pages[i])
            page_release(pages[i]);
    if (run > 0) {
        if (run < count)
            page_cache_read_ahead(cache, index + run, AHEAD_PAGES);
        return (int)run;
    }
    page_cache_read_ahead(cache, index, AHEAD_PAGES);
    int error = page_cache_get(cache, index, &pages[0]);
    return error == -ENXIO ? 0 : error ? error : 1;
}

/* One batch out of a page cache. Bytes written. */
static long send_pages(struct page_cache *cache, uint64_t offset, uint64_t length, struct file *out, uint64_t *out_position)
{
    struct io_segment segments[BATCH_PAGES];
    struct page *pages[BATCH_PAGES];
    uint64_t size = read_once(cache->size_bytes), left;

    if (offset >= size)
        return 0;
    left = minimum(length, size - offset);
    size_t within = offset & (PAGE_SIZE - 1);
    int count = take_pages(cache, offset / PAGE_SIZE, (size_t)((within + left + PAGE_SIZE - 1) / PAGE_SIZE), pages);
    if (count <= 0)
        return count;

    struct io_vector vector = {.segments = segments, .segment_count = (size_t)count};
    for (int i = 0; i < count; i++) {
        size_t piece = (size_t)minimum(left, (uint64_t)(PAGE_SIZE - within));

        segments[i] = (struct io_segment){.address = (uintptr_t)page_address(pages[i]) + within, .length_bytes = piece};
        vector.remaining_bytes += piece;
        left -= piece;
        within = 0;
    }
    long written = file_write(out, &vector, out_position);
    for (int i = 0; i < count; i++)
        page_release(pages[i]);
    return written;
}

/* One piece through a page of ours: `in` can seek, so that what is not written is not lost. */
static long send_bounced(struct file *in, uint64_t offset, uint64_t length, struct file *out, uint64_t *out_position)
{
    struct page *page = page_allocate(0, PAGE_KERNEL, 0);
    struct io_segment segment;
    struct io_vector vector;

    if (!page)
        return -ENOMEM;
    io_vector_init_kernel(&vector, &segment, page_address(page), (size_t)minimum(length, (uint64_t)PAGE_SIZE));
    long moved = file_read(in, &vector, &offset);
    if (moved > 0) {
        io_vector_init_kernel(&vector, &segment, page_address(page), (size_t)moved);
        moved = file_write(out, &vector, out_position);
    }
    page_release(page);
    return moved;
}

static long send_all(struct file *in, uint64_t *position, struct file *out, uint64_t *out_position, uint64_t length)
{
    bool cached = is_regular(in) && in->inode->has_cache;
    long done = 0, moved = 0;

    length = minimum(length, (uint64_t)TRANSFER_LIMIT);
    while (length > 0) {
        moved = cached ? send_pages(&in->inode->cache, *position, length, out, out_position)
                       : send_bounced(in, *position, length, out, out_position);
        if (moved <= 0)
            break;
        *position += (uint64_t)moved;
        length -= (uint64_t)moved;
        done += moved;
        thread_yield_if_due();
    }
    return done > 0 ? done : moved;
}

/* The file's own position, taken before and put back after. */
static uint64_t position_begin(struct file *file, const uint64_t *position)
{
    if (position)
        return *position;
    mutex_lock(&file->position_lock);
    uint64_t at = file->position;
    mutex_unlock(&file->position_lock);
    return at;
}

static void position_end(struct file *file, uint64_t *position, uint64_t at)
{
    if (position) {
        *position = at;
        return;
    }
    mutex_lock(&file->position_lock);
    file->position = at;
    mutex_unlock(&file->position_lock);
}

long transfer_send(struct file *out, struct file *in, uint64_t *in_position, uint64_t length_bytes)
{
    if (!in->readable || !out->writable)
        return -EBADF;
    if (!in->seekable)
        return in_position ? -ESPIPE : -EINVAL;
    if (atomic_load(&out->flags) & FILE_APPEND)
        return -EINVAL;

    uint64_t at = position_begin(in, in_position);
    if (at > INT64_MAX)
        return -EINVAL;
    long done = send_all(in, &at, out, NULL, length_bytes);
    position_end(in, in_position, at);
    return done;
}

long transfer_copy_range(struct file *in, uint64_t *in_position, struct file *out, uint64_t *out_position, uint64_t length_bytes)
{
    if (!in->readable || !out->writable || (atomic_load(&out->flags) & FILE_APPEND))
        return -EBADF;
    if (!in->inode || !out->inode)
        return -EINVAL;
    if ((in->inode->mode & MODE_TYPE) == MODE_DIRECTORY || (out->inode->mode & MODE_TYPE) == MODE_DIRECTORY)
        return -EISDIR;
    if (!is_regular(in) || !is_regular(out))
        return -EINVAL;

    uint64_t from = position_begin(in, in_position), to = position_begin(out, out_position);
    if (from > INT64_MAX || to > INT64_MAX || length_bytes > INT64_MAX - maximum(from, to))
        return -EOVERFLOW;
    if (in->inode == out->inode && from < to + length_bytes && to < from + length_bytes && length_bytes > 0)
        return -EINVAL;
    long done = send_all(in, &from, out, &to, length_bytes);
    position_end(in, in_position, from);
    position_end(out, out_position, to);
    return done;
}

/* What a move between a pipe's ring and a file works on. */
struct splice_side {
    struct file *file;
    uint64_t *position; /* NULL: the file's own */
};

static long write_run(void *context, void *bytes, size_t length_bytes)
{
    struct splice_side *side = context;
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, bytes, length_bytes);
    return file_write(side->file, &vector, side->position);
}

static long read_run(void *context, void *bytes, size_t length_bytes)
{
    struct splice_side *side = context;
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, bytes, length_bytes);
    return file_read(side->file, &vector, side->position);
}

/* So that the other side does not make the pipe's users wait: 0, or -EAGAIN, -ERESTARTSYS. */
static int wait_ready(struct file *file, uint32_t events, bool nonblocking)
{
    struct poll_request request = {.file = file, .events = events};

    if (!file->operations->poll || is_nonblocking(file))
        return 0;
    int ready = poll_requests(&request, 1, nonblocking ? 0 : WAIT_FOREVER);
    return ready > 0 ? 0 : ready == 0 ? -EAGAIN : ready == -EINTR ? -ERESTARTSYS : ready;
}

static long splice_one(struct file *in, uint64_t *in_position, struct file *out, uint64_t *out_position, size_t length,
                       bool nonblocking)
{
    if (pipe_from_file(in)) {
        struct splice_side side = {.file = out, .position = out_position};
        int error = wait_ready(out, POLL_OUT, nonblocking);

        return error ? error : pipe_splice_out(in, length, nonblocking || is_nonblocking(in), write_run, &side);
    }
    struct splice_side side = {.file = in, .position = in_position};
    int error = wait_ready(in, POLL_IN, nonblocking);

    return error ? error : pipe_splice_in(out, length, nonblocking || is_nonblocking(out), read_run, &side);
}

long transfer_splice(struct file *in, uint64_t *in_position, struct file *out, uint64_t *out_position,
                     uint64_t length_bytes, unsigned int flags)
{
    bool from_pipe = pipe_from_file(in), to_pipe = pipe_from_file(out), nonblocking = flags & SPLICE_NONBLOCK;
    long done = 0, moved = 0;

    if (!in->readable || !out->writable)
        return -EBADF;
    if (!from_pipe && !to_pipe)
        return -EINVAL;
    if ((from_pipe && in_position) || (to_pipe && out_position))
        return -ESPIPE;
    if ((in_position && !in->seekable) || (out_position && !out->seekable))
        return -EINVAL;
    if (!to_pipe && (atomic_load(&out->flags) & FILE_APPEND))
        return -EINVAL;
    length_bytes = minimum(length_bytes, (uint64_t)TRANSFER_LIMIT);
    if (length_bytes == 0)
        return 0;
    if (from_pipe && to_pipe)
        return pipe_splice_pipes(in, out, (size_t)length_bytes,
                                 nonblocking || is_nonblocking(in) || is_nonblocking(out), false);
    /* The first piece may wait, the others only take what is there. */
    while (length_bytes > 0) {
        size_t piece = (size_t)minimum(length_bytes, (uint64_t)PIPE_PIECE_BYTES);

        moved = splice_one(in, in_position, out, out_position, piece, nonblocking || done > 0);
        if (moved <= 0)
            break;
        done += moved;
        length_bytes -= (uint64_t)moved;
    }
    return done > 0 ? done : moved;
}

long transfer_tee(struct file *in, struct file *out, uint64_t length_bytes, unsigned int flags)
{
    if (!in->readable || !out->writable)
        return -EBADF;
    if (!pipe_from_file(in) || !pipe_from_file(out))
        return -EINVAL;
    if (length_bytes == 0)
        return 0;
    return pipe_splice_pipes(in, out, (size_t)minimum(length_bytes, (uint64_t)TRANSFER_LIMIT),
                             (flags & SPLICE_NONBLOCK) || is_nonblocking(in) || is_nonblocking(out), true);
}
