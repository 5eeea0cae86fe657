/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From descriptor to descriptor: sendfile, splice, tee, vmsplice, copy_file_range. Offsets are read from the program before,
 * and written back after, as far as the transfer came; kernel/vfs/transfer.h moves the data.
 */
#include "kernel/vfs/transfer.h"

#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/descriptors.h"
#include "kernel/linux/system_calls.h"
#include "kernel/net/socket.h"
#include "kernel/process/process.h"
#include "kernel/vfs/pipe.h"
#include "xen/x86/user_access.h"

#define SPLICE_FLAGS 15u

/* Two files, one to read from and one to write to. */
struct file_pair {
    struct file *in, *out;
};

static int pair_take(struct file_pair *pair, int in_fd, int out_fd)
{
    int error = file_argument(in_fd, &pair->in);
    if (error)
        return error;
    error = pair->in->readable ? file_argument(out_fd, &pair->out) : -EBADF;
    if (!error && !pair->out->writable) {
        file_release(pair->out);
        error = -EBADF;
    }
    if (error)
        file_release(pair->in);
    return error;
}

static void pair_release(struct file_pair *pair)
{
    file_release(pair->out);
    file_release(pair->in);
}

/* An offset in the program's memory; address 0: the file's own position. */
struct offset_argument {
    uint64_t address, value;
    uint64_t *position;
};

static int offset_take(struct offset_argument *offset, uint64_t address)
{
    *offset = (struct offset_argument){ .address = address };
    if (address == 0)
        return 0;
    if (user_load(&offset->value, address))
        return -EFAULT;
    offset->position = &offset->value;
    return (int64_t)offset->value < 0 ? -EINVAL : 0;
}

/* What was moved is answered, unless the new offset cannot be told. */
static long offset_answer(const struct offset_argument *offset, long result)
{
    if (result > 0 && offset->address && user_store(offset->address, &offset->value))
        return -EFAULT;
    return result;
}

static long socket_pipe_signal(const struct file *out, long result)
{
    return result == -EPIPE && file_is_socket(out) ? write_result(result) : result;
}

long sys_sendfile(int out_fd, int in_fd, uint64_t offset_address, uint64_t length_bytes)
{
    struct offset_argument offset;
    struct file_pair pair;
    long result = offset_take(&offset, offset_address);
    if (!result)
        result = pair_take(&pair, in_fd, out_fd);
    if (result)
        return result;
    if (offset.position && !pair.in->seekable)
        result = -ESPIPE;
    else
        result = transfer_send(pair.out, pair.in, offset.position, minimum(length_bytes, LINUX_TRANSFER_LIMIT));
    result = socket_pipe_signal(pair.out, result);
    pair_release(&pair);
    return offset_answer(&offset, result);
}

long sys_splice(int in_fd, uint64_t in_offset, int out_fd, uint64_t out_offset, uint64_t length_bytes, uint32_t flags)
{
    struct offset_argument in, out;
    struct file_pair pair;
    if (length_bytes == 0)
        return 0;
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    long result = offset_take(&in, in_offset);
    if (!result)
        result = offset_take(&out, out_offset);
    if (!result)
        result = pair_take(&pair, in_fd, out_fd);
    if (result)
        return result;
    result = transfer_splice(pair.in, in.position, pair.out, out.position, minimum(length_bytes, LINUX_TRANSFER_LIMIT), flags & SPLICE_NONBLOCK);
    result = socket_pipe_signal(pair.out, result);
    pair_release(&pair);
    return offset_answer(&in, offset_answer(&out, result));
}

long sys_tee(int in_fd, int out_fd, uint64_t length_bytes, uint32_t flags)
{
    struct file_pair pair;
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    if (length_bytes == 0)
        return 0;
    long result = pair_take(&pair, in_fd, out_fd);
    if (result)
        return result;
    result = transfer_tee(pair.in, pair.out, minimum(length_bytes, LINUX_TRANSFER_LIMIT), flags & SPLICE_NONBLOCK);
    pair_release(&pair);
    return result;
}

/* A pipe's end that writes takes the program's bytes, one that reads gives them. */
static long pipe_vector(struct file *file, struct io_vector *vector, uint32_t flags)
{
    uint32_t wanted = file->writable ? POLL_OUT : POLL_IN;
    if (pipe_get_size(file) < 0)
        return -EBADF;
    if ((flags & SPLICE_NONBLOCK) && !(file_poll(file, NULL) & (wanted | POLL_ERROR | POLL_HANGUP)))
        return -EAGAIN;
    return file->writable ? file_write(file, vector, NULL) : file_read(file, vector, NULL);
}

long sys_vmsplice(int fd, uint64_t vector, uint64_t count, uint32_t flags)
{
    struct vector_argument argument;
    struct file *file;
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    long result = file_argument(fd, &file);
    if (result)
        return result;
    result = vector_argument_take(&argument, vector, count);
    if (!result) {
        result = argument.vector.remaining_bytes ? pipe_vector(file, &argument.vector, flags) : 0;
        vector_argument_release(&argument);
    }
    file_release(file);
    return result;
}

long sys_copy_file_range(int in_fd, uint64_t in_offset, int out_fd, uint64_t out_offset, uint64_t length_bytes, uint32_t flags)
{
    struct offset_argument in, out;
    struct file_pair pair;
    if (flags)
        return -EINVAL;
    long result = offset_take(&in, in_offset);
    if (!result)
        result = offset_take(&out, out_offset);
    if (!result)
        result = pair_take(&pair, in_fd, out_fd);
    if (result)
        return result;
    result = transfer_copy_range(pair.in, in.position, pair.out, out.position, minimum(length_bytes, LINUX_TRANSFER_LIMIT));
    pair_release(&pair);
    return offset_answer(&in, offset_answer(&out, result));
}
