/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file is: stat in all its forms, statx, statfs, access, readlink. kernel/vfs/attributes.h gives the status; here it
 * is laid out as programs know it.
 */
#include "kernel/base/error.h"
#include "kernel/linux/abi/stat.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/vfs/attributes.h"
#include "xen/x86/user_access.h"

static struct linux_timespec time_of(struct inode_time time)
{
    return (struct linux_timespec){ time.seconds, time.nanoseconds };
}

static long status_answer(const struct inode_status *status, uint64_t buffer)
{
    struct linux_stat answer = {
        .device = status->device, .inode = status->inode_number, .links = status->links, .mode = status->mode,
        .uid = status->uid, .gid = status->gid, .device_number = status->rdevice, .size_bytes = (int64_t)status->size_bytes,
        .block_bytes = (int64_t)status->block_bytes, .blocks = (int64_t)status->blocks,
        .access_time = time_of(status->access_time), .modify_time = time_of(status->modify_time), .change_time = time_of(status->change_time),
    };
    return user_store(buffer, &answer);
}

static int status_of_fd(int fd, struct inode_status *status)
{
    struct file *file;
    int error = file_argument_any(fd, &file);
    if (error)
        return error;
    error = attributes_file_status(file, status);
    file_release(file);
    return error;
}

/* With AT_EMPTY_PATH an empty name is the descriptor itself, which need not have a path. */
static int status_of_name(int directory, uint64_t name, int flags, struct inode_status *status)
{
    unsigned int path_flags = flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : PATH_FOLLOW;
    struct path path;
    if (flags & LINUX_AT_EMPTY_PATH) {
        char first;
        if (user_load(&first, name))
            return -EFAULT;
        if (first == '\0' && directory != LINUX_AT_FDCWD)
            return status_of_fd(directory, status);
        path_flags |= PATH_EMPTY;
    }
    int error = path_argument(directory, name, path_flags, &path);
    if (error)
        return error;
    error = attributes_path_status(&path, status);
    path_release(&path);
    return error;
}

long sys_newfstatat(int directory, uint64_t name, uint64_t buffer, int flags)
{
    struct inode_status status;
    if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_NO_AUTOMOUNT | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    int error = status_of_name(directory, name, flags, &status);
    return error ? error : status_answer(&status, buffer);
}

long sys_stat(uint64_t name, uint64_t buffer)
{
    return sys_newfstatat(LINUX_AT_FDCWD, name, buffer, 0);
}

long sys_lstat(uint64_t name, uint64_t buffer)
{
    return sys_newfstatat(LINUX_AT_FDCWD, name, buffer, LINUX_AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(int fd, uint64_t buffer)
{
    struct inode_status status;
    int error = status_of_fd(fd, &status);
    return error ? error : status_answer(&status, buffer);
}

static struct linux_statx_time statx_time_of(struct inode_time time)
{
    return (struct linux_statx_time){ .seconds = time.seconds, .nanoseconds = time.nanoseconds };
}

static bool time_is_set(struct inode_time time)
{
    return time.seconds != 0 || time.nanoseconds != 0;
}

/* Everything cheap is always told, whatever the mask asks for, as Linux does. */
static void statx_fill(struct linux_statx *answer, const struct inode_status *status)
{
    bool born = time_is_set(status->birth_time);
    *answer = (struct linux_statx){
        .mask = LINUX_STATX_BASIC | LINUX_STATX_MOUNT_ID | (born ? LINUX_STATX_BIRTH_TIME : 0),
        .block_bytes = (uint32_t)status->block_bytes,
        .attributes = status->mount_root ? LINUX_STATX_ATTRIBUTE_MOUNT_ROOT : 0,
        .attributes_mask = LINUX_STATX_ATTRIBUTE_MOUNT_ROOT,
        .links = status->links, .uid = status->uid, .gid = status->gid, .mode = (uint16_t)status->mode,
        .inode = status->inode_number, .size_bytes = status->size_bytes, .blocks = status->blocks,
        .access_time = statx_time_of(status->access_time), .birth_time = statx_time_of(status->birth_time),
        .change_time = statx_time_of(status->change_time), .modify_time = statx_time_of(status->modify_time),
        .device_number_major = linux_device_major(status->rdevice), .device_number_minor = linux_device_minor(status->rdevice),
        .device_major = linux_device_major(status->device), .device_minor = linux_device_minor(status->device),
        .mount_id = status->mount_id,
    };
}

long sys_statx(int directory, uint64_t name, int flags, uint32_t mask, uint64_t buffer)
{
    struct inode_status status;
    struct linux_statx answer;
    if (mask & LINUX_STATX_RESERVED)
        return -EINVAL;
    if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_NO_AUTOMOUNT | LINUX_AT_EMPTY_PATH | LINUX_AT_STATX_SYNC_TYPE))
        return -EINVAL;
    if ((flags & LINUX_AT_STATX_SYNC_TYPE) == LINUX_AT_STATX_SYNC_TYPE)
        return -EINVAL;
    int error = status_of_name(directory, name, flags, &status);
    if (error)
        return error;
    statx_fill(&answer, &status);
    return user_store(buffer, &answer);
}

static long file_system_answer(const struct file_system_statistics *statistics, uint64_t buffer)
{
    struct linux_statfs answer = {
        .type = (int64_t)statistics->type, .block_bytes = (int64_t)statistics->block_size, .blocks = statistics->blocks,
        .blocks_free = statistics->blocks_free, .blocks_available = statistics->blocks_available, .files = statistics->files,
        .files_free = statistics->files_free, .id = { (int32_t)statistics->id, (int32_t)(statistics->id >> 32) },
        .name_length = (int64_t)statistics->name_length, .fragment_bytes = (int64_t)statistics->block_size,
        .flags = (int64_t)statistics->flags,
    };
    return user_store(buffer, &answer);
}

long sys_statfs(uint64_t name, uint64_t buffer)
{
    struct file_system_statistics statistics = { 0 };
    struct path path;
    int error = path_argument(LINUX_AT_FDCWD, name, PATH_FOLLOW, &path);
    if (error)
        return error;
    error = attributes_file_system(&path, &statistics);
    path_release(&path);
    return error ? error : file_system_answer(&statistics, buffer);
}

/* The file systems that Linux has behind files without a name. */
#define MAGIC_ANONYMOUS 0x09041934u
#define MAGIC_PIPE 0x50495045u
#define MAGIC_SOCKET 0x534f434bu
#define STATFS_VALID 0x20u

long sys_fstatfs(int fd, uint64_t buffer)
{
    struct file_system_statistics statistics = { .type = MAGIC_ANONYMOUS, .block_size = 4096, .name_length = 255, .flags = STATFS_VALID };
    struct file *file;
    int error = file_argument_any(fd, &file);
    if (error)
        return error;
    uint32_t kind = file->operations->anonymous_mode & MODE_TYPE;
    if (file->path.dentry)
        error = attributes_file_system(&file->path, &statistics);
    else if (kind == MODE_FIFO || kind == MODE_SOCKET)
        statistics.type = kind == MODE_FIFO ? MAGIC_PIPE : MAGIC_SOCKET;
    file_release(file);
    return error ? error : file_system_answer(&statistics, buffer);
}

/* access() asks for the real ids, with the capabilities they would have. */
static struct credentials *credentials_of_real_ids(void)
{
    const struct credentials *mine = task_current()->credentials;
    struct credentials *real = credentials_copy(mine, mine->group_count);
    if (!real)
        return NULL;
    real->fsuid = real->uid;
    real->fsgid = real->gid;
    real->effective = real->uid == 0 ? real->permitted : 0;
    return real;
}

static long access_run(int directory, uint64_t name, int mode, int flags)
{
    struct name_argument argument;
    struct path path;
    struct credentials *real = NULL;
    unsigned int path_flags = (flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : PATH_FOLLOW) | (flags & LINUX_AT_EMPTY_PATH ? PATH_EMPTY : 0);
    if ((mode & ~7) || (flags & ~(LINUX_AT_EACCESS | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH)))
        return -EINVAL;
    int error = name_argument_take(&argument, directory, name, (flags & LINUX_AT_EMPTY_PATH) != 0);
    if (error)
        return error;
    struct credentials *own = argument.context.credentials;
    if (!(flags & LINUX_AT_EACCESS)) {
        real = credentials_of_real_ids();
        if (!real)
            error = -ENOMEM;
        else
            argument.context.credentials = real;
    }
    if (!error)
        error = path_lookup(&argument.context, name_argument_at(&argument), argument.name, path_flags, &path);
    if (!error) {
        error = attributes_access(&argument.context, &path, (unsigned int)mode);
        path_release(&path);
    }
    argument.context.credentials = own;
    if (real)
        credentials_release(real);
    name_argument_release(&argument);
    return error;
}

long sys_faccessat2(int directory, uint64_t name, int mode, int flags)
{
    return access_run(directory, name, mode, flags);
}

long sys_faccessat(int directory, uint64_t name, int mode)
{
    return access_run(directory, name, mode, 0);
}

long sys_access(uint64_t name, int mode)
{
    return access_run(LINUX_AT_FDCWD, name, mode, 0);
}

static long link_read(const struct path *path, uint64_t buffer, int length_bytes)
{
    struct inode *inode = path_inode(path);
    if ((inode->mode & MODE_TYPE) != MODE_SYMLINK || !inode->operations->read_link)
        return -EINVAL;
    char *text = memory_allocate(PATH_LENGTH_LIMIT);
    if (!text)
        return -ENOMEM;
    long length = inode->operations->read_link(inode, text, PATH_LENGTH_LIMIT);
    if (length > 0) {
        length = minimum(length, (long)length_bytes);
        if (user_copy_out(buffer, text, (size_t)length))
            length = -EFAULT;
    }
    memory_free(text);
    return length;
}

long sys_readlinkat(int directory, uint64_t name, uint64_t buffer, int length_bytes)
{
    struct path path;
    if (length_bytes <= 0)
        return -EINVAL;
    long result = path_argument(directory, name, PATH_EMPTY, &path);
    if (result)
        return result;
    char first = 1;
    result = link_read(&path, buffer, length_bytes);
    /* An empty name is for descriptors of links; of anything else it names nothing. */
    if (result == -EINVAL && user_load(&first, name) == 0 && first == '\0')
        result = -ENOENT;
    path_release(&path);
    return result;
}

long sys_readlink(uint64_t name, uint64_t buffer, int length_bytes)
{
    return sys_readlinkat(LINUX_AT_FDCWD, name, buffer, length_bytes);
}
