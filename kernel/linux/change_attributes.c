/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chmod, chown, utime, truncate and fallocate, by name and by descriptor. Each call finds its path; kernel/vfs/attributes.h
 * checks and changes.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "kernel/vfs/attributes.h"
#include "xen/x86/user_access.h"

/* A change of the file at a path. */
struct change {
    enum { CHANGE_MODE, CHANGE_OWNER, CHANGE_TIMES, CHANGE_SIZE } kind;
    uint32_t mode, uid, gid;
    uint64_t size_bytes;
    struct attributes_time access, modify;
};

static int change_run(const struct fs_context *context, const struct path *path, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_MODE:
        return attributes_change_mode(context, path, change->mode & 07777);
    case CHANGE_OWNER:
        return attributes_change_owner(context, path, change->uid, change->gid);
    case CHANGE_TIMES:
        return attributes_set_times(context, path, &change->access, &change->modify);
    case CHANGE_SIZE:
        return attributes_truncate(context, path, change->size_bytes);
    }
    return -EINVAL;
}

static long change_name(int directory, uint64_t name, unsigned int path_flags, const struct change *change)
{
    struct name_argument argument;
    struct path path;
    int error = name_argument_take(&argument, directory, name, (path_flags & PATH_EMPTY) != 0);
    if (error)
        return error;
    error = path_lookup(&argument.context, name_argument_at(&argument), argument.name, path_flags, &path);
    if (!error) {
        error = change_run(&argument.context, &path, change);
        path_release(&path);
    }
    name_argument_release(&argument);
    return error;
}

/* Files without a name (pipes, sockets, eventfds) keep the attributes they were made with. */
static long change_fd(int fd, const struct change *change)
{
    struct fs_context context;
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    if (!file->path.dentry) {
        file_release(file);
        return -EPERM;
    }
    task_fs_context(&context);
    error = change_run(&context, &file->path, change);
    task_fs_context_release(&context);
    file_release(file);
    return error;
}

static unsigned int at_flags_to_path(int flags)
{
    return (flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : PATH_FOLLOW) | (flags & LINUX_AT_EMPTY_PATH ? PATH_EMPTY : 0);
}

long sys_fchmodat2(int directory, uint64_t name, uint32_t mode, int flags)
{
    const struct change change = { .kind = CHANGE_MODE, .mode = mode };
    if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    return change_name(directory, name, at_flags_to_path(flags), &change);
}

long sys_fchmodat(int directory, uint64_t name, uint32_t mode)
{
    return sys_fchmodat2(directory, name, mode, 0);
}

long sys_chmod(uint64_t name, uint32_t mode)
{
    return sys_fchmodat2(LINUX_AT_FDCWD, name, mode, 0);
}

long sys_fchmod(int fd, uint32_t mode)
{
    const struct change change = { .kind = CHANGE_MODE, .mode = mode };
    return change_fd(fd, &change);
}

long sys_fchownat(int directory, uint64_t name, uint32_t uid, uint32_t gid, int flags)
{
    const struct change change = { .kind = CHANGE_OWNER, .uid = uid, .gid = gid };
    if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    return change_name(directory, name, at_flags_to_path(flags), &change);
}

long sys_chown(uint64_t name, uint32_t uid, uint32_t gid)
{
    return sys_fchownat(LINUX_AT_FDCWD, name, uid, gid, 0);
}

long sys_lchown(uint64_t name, uint32_t uid, uint32_t gid)
{
    return sys_fchownat(LINUX_AT_FDCWD, name, uid, gid, LINUX_AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, uint32_t uid, uint32_t gid)
{
    const struct change change = { .kind = CHANGE_OWNER, .uid = uid, .gid = gid };
    return change_fd(fd, &change);
}

#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe

static int time_decode(struct attributes_time *time, const struct linux_timespec *given)
{
    if (given->nanoseconds == UTIME_NOW) {
        *time = (struct attributes_time){ .kind = TIME_NOW };
    } else if (given->nanoseconds == UTIME_OMIT) {
        *time = (struct attributes_time){ .kind = TIME_OMIT };
    } else {
        if ((uint64_t)given->nanoseconds >= NS_PER_SECOND)
            return -EINVAL;
        *time = (struct attributes_time){ .kind = TIME_SET, .time = { given->seconds, (uint32_t)given->nanoseconds } };
    }
    return 0;
}

static const struct change touch = { .kind = CHANGE_TIMES, .access = { .kind = TIME_NOW }, .modify = { .kind = TIME_NOW } };

/* name 0: the descriptor itself (futimens). */
static long times_run(int directory, uint64_t name, int flags, const struct change *change)
{
    if (name == 0 && directory != LINUX_AT_FDCWD)
        return flags ? -EINVAL : change_fd(directory, change);
    return change_name(directory, name, at_flags_to_path(flags), change);
}

long sys_utimensat(int directory, uint64_t name, uint64_t times, int flags)
{
    struct linux_timespec given[2];
    struct change change = touch;
    if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    if (times) {
        if (user_copy_in(given, times, sizeof(given)))
            return -EFAULT;
        if (given[0].nanoseconds == UTIME_OMIT && given[1].nanoseconds == UTIME_OMIT)
            return 0;
        if (time_decode(&change.access, &given[0]) || time_decode(&change.modify, &given[1]))
            return -EINVAL;
    }
    return times_run(directory, name, flags, &change);
}

long sys_futimesat(int directory, uint64_t name, uint64_t times)
{
    struct linux_timeval given[2];
    struct change change = touch;
    if (times) {
        if (user_copy_in(given, times, sizeof(given)))
            return -EFAULT;
        for (unsigned int i = 0; i < 2; i++) {
            if ((uint64_t)given[i].microseconds >= 1000000)
                return -EINVAL;
            const struct attributes_time time = { .kind = TIME_SET, .time = { given[i].seconds, (uint32_t)(given[i].microseconds * 1000) } };
            *(i ? &change.modify : &change.access) = time;
        }
    }
    return times_run(directory, name, 0, &change);
}

long sys_utimes(uint64_t name, uint64_t times)
{
    return sys_futimesat(LINUX_AT_FDCWD, name, times);
}

long sys_utime(uint64_t name, uint64_t times)
{
    struct linux_utimbuf given;
    struct change change = touch;
    if (times) {
        if (user_load(&given, times))
            return -EFAULT;
        change.access = (struct attributes_time){ .kind = TIME_SET, .time = { given.access_seconds, 0 } };
        change.modify = (struct attributes_time){ .kind = TIME_SET, .time = { given.modify_seconds, 0 } };
    }
    return times_run(LINUX_AT_FDCWD, name, 0, &change);
}

long sys_truncate(uint64_t name, int64_t length_bytes)
{
    const struct change change = { .kind = CHANGE_SIZE, .size_bytes = (uint64_t)length_bytes };
    return length_bytes < 0 ? -EINVAL : change_name(LINUX_AT_FDCWD, name, PATH_FOLLOW, &change);
}

long sys_ftruncate(int fd, int64_t length_bytes)
{
    struct file *file;
    if (length_bytes < 0)
        return -EINVAL;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    error = attributes_truncate_file(file, (uint64_t)length_bytes);
    file_release(file);
    return error;
}

long sys_fallocate(int fd, int mode, int64_t offset, int64_t length_bytes)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    error = offset < 0 || length_bytes <= 0 ? -EINVAL : attributes_allocate(file, mode, (uint64_t)offset, (uint64_t)length_bytes);
    file_release(file);
    return error;
}
