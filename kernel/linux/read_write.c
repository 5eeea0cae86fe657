/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes in and out of descriptors: read, write and their vector and positioned forms, lseek, and transfers between
 * descriptors. The data goes straight between the program's memory and the file's operations through an io_vector.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/descriptors.h"
#include "kernel/linux/system_calls.h"
#include "kernel/net/socket.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

/* kernel/vfs raises SIGPIPE for pipes itself; kernel/net knows no signals. */
long write_result(long result)
{
    if (unlikely(result == -EPIPE))
        signal_send_task(task_current(), SIGNAL_PIPE, NULL);
    return result;
}

static long write_run(struct file *file, struct io_vector *vector, uint64_t *position)
{
    long result = file_write(file, vector, position);
    return likely(result != -EPIPE) || !file_is_socket(file) ? result : write_result(result);
}

/* One buffer; position NULL is the file's own. Lets go of the file. */
static attribute_always_inline long buffer_transfer(struct file *file, uint64_t buffer, uint64_t length_bytes, uint64_t *position, bool write)
{
    struct buffer_argument argument;
    long result = buffer_argument(&argument, buffer, length_bytes);
    if (!result)
        result = write ? write_run(file, &argument.vector, position) : file_read(file, &argument.vector, position);
    file_release(file);
    return result;
}

long sys_read(int fd, uint64_t buffer, uint64_t length_bytes)
{
    struct file *file;
    long result = file_argument(fd, &file);
    return result ? result : buffer_transfer(file, buffer, length_bytes, NULL, false);
}

long sys_write(int fd, uint64_t buffer, uint64_t length_bytes)
{
    struct file *file;
    long result = file_argument(fd, &file);
    return result ? result : buffer_transfer(file, buffer, length_bytes, NULL, true);
}

/* Linux asks in this order: offset, descriptor, whether it can seek. */
static int positioned_file(int fd, int64_t offset, struct file **file)
{
    if (offset < 0)
        return -EINVAL;
    int error = file_argument(fd, file);
    if (error)
        return error;
    if (!(*file)->seekable) {
        file_release(*file);
        return -ESPIPE;
    }
    return 0;
}

long sys_pread64(int fd, uint64_t buffer, uint64_t length_bytes, int64_t offset)
{
    struct file *file;
    uint64_t position = (uint64_t)offset;
    long result = positioned_file(fd, offset, &file);
    return result ? result : buffer_transfer(file, buffer, length_bytes, &position, false);
}

long sys_pwrite64(int fd, uint64_t buffer, uint64_t length_bytes, int64_t offset)
{
    struct file *file;
    uint64_t position = (uint64_t)offset;
    long result = positioned_file(fd, offset, &file);
    return result ? result : buffer_transfer(file, buffer, length_bytes, &position, true);
}

/* The six vector calls: position NULL is the file's own. */
static long vector_transfer(struct file *file, uint64_t vector, uint64_t count, uint64_t *position, bool write)
{
    struct vector_argument argument;
    if (write ? !file->writable : !file->readable)
        return -EBADF;
    long result = vector_argument_take(&argument, vector, count);
    if (result)
        return result;
    result = write ? write_run(file, &argument.vector, position) : file_read(file, &argument.vector, position);
    vector_argument_release(&argument);
    return result;
}

static long vector_call(int fd, uint64_t vector, uint64_t count, bool write)
{
    struct file *file;
    long result = file_argument(fd, &file);
    if (result)
        return result;
    result = vector_transfer(file, vector, count, NULL, write);
    file_release(file);
    return result;
}

static long positioned_vector_call(int fd, uint64_t vector, uint64_t count, int64_t offset, bool write)
{
    struct file *file;
    uint64_t position = (uint64_t)offset;
    long result = positioned_file(fd, offset, &file);
    if (result)
        return result;
    result = vector_transfer(file, vector, count, &position, write);
    file_release(file);
    return result;
}

long sys_readv(int fd, uint64_t vector, uint64_t count)
{
    return vector_call(fd, vector, count, false);
}

long sys_writev(int fd, uint64_t vector, uint64_t count)
{
    return vector_call(fd, vector, count, true);
}

long sys_preadv(int fd, uint64_t vector, uint64_t count, int64_t offset, uint64_t unused)
{
    return positioned_vector_call(fd, vector, count, offset, false);
}

long sys_pwritev(int fd, uint64_t vector, uint64_t count, int64_t offset, uint64_t unused)
{
    return positioned_vector_call(fd, vector, count, offset, true);
}

/* HIPRI is a hint. A write with DSYNC or SYNC is followed by its own fsync; APPEND goes to the end. */
static int vector_flags_check(int flags, bool write)
{
    if (flags & ~(LINUX_RWF_HIPRI | LINUX_RWF_DSYNC | LINUX_RWF_SYNC | LINUX_RWF_NOWAIT | LINUX_RWF_APPEND))
        return -EOPNOTSUPP;
    if (flags & LINUX_RWF_NOWAIT)
        return -EOPNOTSUPP;
    if (!write && (flags & LINUX_RWF_APPEND))
        return -EOPNOTSUPP;
    return 0;
}

long sys_preadv2(int fd, uint64_t vector, uint64_t count, int64_t offset, uint64_t unused, int flags)
{
    int error = vector_flags_check(flags, false);
    if (error)
        return error;
    if (offset == -1)
        return vector_call(fd, vector, count, false);
    return positioned_vector_call(fd, vector, count, offset, false);
}

long sys_pwritev2(int fd, uint64_t vector, uint64_t count, int64_t offset, uint64_t unused, int flags)
{
    struct file *file;
    uint64_t position = (uint64_t)offset;
    long result = vector_flags_check(flags, true);
    if (result)
        return result;
    result = offset == -1 ? file_argument(fd, &file) : positioned_file(fd, offset, &file);
    if (result)
        return result;
    if ((flags & LINUX_RWF_APPEND) && file->inode)
        position = file->inode->size_bytes;
    result = vector_transfer(file, vector, count, offset == -1 && !(flags & LINUX_RWF_APPEND) ? NULL : &position, true);
    if (result > 0 && (flags & (LINUX_RWF_DSYNC | LINUX_RWF_SYNC))) {
        int error = file_synchronize(file, 0, UINT64_MAX, !(flags & LINUX_RWF_SYNC));
        if (error)
            result = error;
    }
    file_release(file);
    return result;
}

long sys_lseek(int fd, int64_t offset, int whence)
{
    struct file *file;
    long result = file_argument(fd, &file);
    if (result)
        return result;
    result = (unsigned int)whence > 4 ? -EINVAL : file_seek(file, offset, whence);
    file_release(file);
    return result;
}
