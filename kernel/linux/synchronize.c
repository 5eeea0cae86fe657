/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data to stable storage, advice on what will be read, and mounts.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/vm/page_cache.h"
#include "xen/x86/user_access.h"

#define PAGE_BYTES 4096ull

static long file_sync(int fd, uint64_t first_byte, uint64_t last_byte, bool data_only)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    error = file_synchronize(file, first_byte, last_byte, data_only);
    file_release(file);
    return error;
}

long sys_fsync(int fd)
{
    return file_sync(fd, 0, UINT64_MAX, false);
}

long sys_fdatasync(int fd)
{
    return file_sync(fd, 0, UINT64_MAX, true);
}

/* Errors of write-back are told to fsync callers, not here, as Linux does. */
long sys_sync(void)
{
    int error = mount_synchronize_all();
    return error == -EINTR ? error : 0;
}

long sys_syncfs(int fd)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    struct file_system *file_system = file->inode ? file->inode->file_system : NULL;
    if (file_system && file_system->operations->synchronize && !file_system->read_only)
        error = file_system->operations->synchronize(file_system);
    file_release(file);
    return error;
}

#define RANGE_WAIT_BEFORE 1u
#define RANGE_WRITE 2u
#define RANGE_WAIT_AFTER 4u

long sys_sync_file_range(int fd, int64_t offset, int64_t length_bytes, uint32_t flags)
{
    struct file *file;
    int64_t end;
    if ((flags & ~(RANGE_WAIT_BEFORE | RANGE_WRITE | RANGE_WAIT_AFTER)) || offset < 0 || length_bytes < 0 || __builtin_add_overflow(offset, length_bytes, &end))
        return -EINVAL;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    if (!file->inode || !file->seekable)
        error = -ESPIPE;
    else if (flags && file->inode->has_cache)
        error = page_cache_synchronize(&file->inode->cache, (uint64_t)offset, length_bytes == 0 ? UINT64_MAX : (uint64_t)end - 1);
    file_release(file);
    return error;
}

enum { ADVICE_NORMAL, ADVICE_RANDOM, ADVICE_SEQUENTIAL, ADVICE_WILL_NEED, ADVICE_DO_NOT_NEED, ADVICE_NO_REUSE };

static void read_ahead(struct inode *inode, uint64_t offset, uint64_t length_bytes)
{
    uint64_t size = inode->size_bytes;
    if (!inode->has_cache || offset >= size)
        return;
    uint64_t end = length_bytes == 0 || length_bytes > size - offset ? size : offset + length_bytes;
    page_cache_read_ahead(&inode->cache, offset / PAGE_BYTES, (end + PAGE_BYTES - 1) / PAGE_BYTES - offset / PAGE_BYTES);
}

/* All but WILLNEED are hints that reclaim does without. */
long sys_fadvise64(int fd, int64_t offset, int64_t length_bytes, int advice)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    if ((file->inode ? file->inode->mode & MODE_TYPE : file->operations->anonymous_mode & MODE_TYPE) == MODE_FIFO)
        error = -ESPIPE;
    else if (length_bytes < 0 || advice < ADVICE_NORMAL || advice > ADVICE_NO_REUSE)
        error = -EINVAL;
    else if (advice == ADVICE_WILL_NEED && file->inode && offset >= 0)
        read_ahead(file->inode, (uint64_t)offset, (uint64_t)length_bytes);
    file_release(file);
    return error;
}

long sys_readahead(int fd, int64_t offset, uint64_t length_bytes)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    if (!file->readable)
        error = -EBADF;
    else if (!file->inode || !file->inode->has_cache || offset < 0)
        error = -EINVAL;
    else if (length_bytes)
        read_ahead(file->inode, (uint64_t)offset, length_bytes);
    file_release(file);
    return error;
}

/* An optional string; 0: NULL. */
static int optional_name(uint64_t address, char **name)
{
    *name = NULL;
    return address ? name_take(address, name) : 0;
}

/* Options are one page that need not be terminated, of which the rest may not be readable. */
static int options_take(uint64_t address, char **options)
{
    *options = NULL;
    if (address == 0)
        return 0;
    char *text = memory_allocate(PAGE_BYTES);
    if (!text)
        return -ENOMEM;
    size_t length = user_copy_in_partial(text, address, PAGE_BYTES - 1);
    text[length] = '\0';
    if (length == 0) {
        memory_free(text);
        return -EFAULT;
    }
    *options = text;
    return 0;
}

static long mount_run(const char *source, const char *target, const char *type, uint64_t flags, const char *options)
{
    struct fs_context context;
    if (!task_capable(CAPABILITY_SYS_ADMIN))
        return -EPERM;
    task_fs_context(&context);
    int error = mount_create(&context, source, target, type, (unsigned long)flags, options);
    task_fs_context_release(&context);
    return error;
}

#define MOUNT_MAGIC 0xc0ed0000ull
#define MOUNT_MAGIC_MASK 0xffff0000ull

long sys_mount(uint64_t source, uint64_t target, uint64_t type, uint64_t flags, uint64_t options)
{
    char *names[3] = { NULL, NULL, NULL }, *option_text = NULL;
    if ((flags & MOUNT_MAGIC_MASK) == MOUNT_MAGIC)
        flags &= ~MOUNT_MAGIC_MASK;
    long result = optional_name(type, &names[0]);
    if (!result)
        result = optional_name(source, &names[1]);
    if (!result)
        result = options_take(options, &option_text);
    if (!result)
        result = name_take(target, &names[2]);
    if (!result)
        result = mount_run(names[1], names[2], names[0], flags, option_text);
    for (unsigned int i = 0; i < 3; i++)
        name_release(names[i]);
    memory_free(option_text);
    return result;
}

#define UNMOUNT_FLAGS 15

long sys_umount2(uint64_t target, int flags)
{
    struct name_argument argument;
    if (flags & ~UNMOUNT_FLAGS)
        return -EINVAL;
    int error = name_argument_take(&argument, LINUX_AT_FDCWD, target, false);
    if (error)
        return error;
    error = task_capable(CAPABILITY_SYS_ADMIN) ? mount_remove(&argument.context, argument.name, flags) : -EPERM;
    name_argument_release(&argument);
    return error;
}
