/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors come and go: open and its kin, close, dup, pipe, eventfd and memfd (timerfd, signalfd and epoll have their own
 * files). Flags are checked as Linux does: open and openat ignore unknown bits, openat2 and all newer calls refuse them.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/descriptors.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

/* All bits that open knows (O_SYNC, O_TMPFILE and O_DIRECTORY share some). */
#define OPEN_FLAGS                                                                                                          \
    (FILE_ACCESS_MODE | FILE_CREATE | FILE_EXCLUSIVE | FILE_NO_CONTROLLING_TERMINAL | FILE_TRUNCATE | FILE_APPEND |       \
     FILE_NONBLOCK | FILE_DSYNC | FILE_SYNC | FILE_ASYNC | FILE_DIRECT | FILE_LARGE | FILE_DIRECTORY | FILE_NO_FOLLOW |   \
     FILE_NO_ACCESS_TIME | FILE_CLOSE_ON_EXEC | FILE_PATH | FILE_TEMPORARY)
#define PATH_OPEN_FLAGS (FILE_PATH | FILE_DIRECTORY | FILE_NO_FOLLOW | FILE_CLOSE_ON_EXEC)
#define TEMPORARY_BIT (FILE_TEMPORARY & ~FILE_DIRECTORY)

static int open_flags_check(unsigned int flags)
{
    if (flags & TEMPORARY_BIT) {
        if ((flags & FILE_TEMPORARY) != FILE_TEMPORARY || (flags & FILE_CREATE))
            return -EINVAL;
        if ((flags & FILE_ACCESS_MODE) == FILE_READ_ONLY)
            return -EINVAL;
    } else if ((flags & (FILE_CREATE | FILE_DIRECTORY)) == (FILE_CREATE | FILE_DIRECTORY)) {
        return -EINVAL;
    }
    return 0;
}

static long open_name(int directory, uint64_t name, unsigned int flags, uint32_t mode)
{
    struct name_argument argument;
    struct file *file;
    int error = open_flags_check(flags);
    if (!error)
        error = name_argument_take(&argument, directory, name, false);
    if (error)
        return error;
    error = file_open(&argument.context, name_argument_at(&argument), argument.name, flags, mode, &file);
    name_argument_release(&argument);
    return error ? error : file_install(file, (flags & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_openat(int directory, uint64_t name, int flags, uint32_t mode)
{
    unsigned int known = ((unsigned int)flags & OPEN_FLAGS) | FILE_LARGE;
    if (known & FILE_PATH)
        known &= PATH_OPEN_FLAGS;
    if (!(known & (FILE_CREATE | TEMPORARY_BIT)))
        mode = 0;
    return open_name(directory, name, known, mode & 07777);
}

long sys_open(uint64_t name, int flags, uint32_t mode)
{
    return sys_openat(LINUX_AT_FDCWD, name, flags, mode);
}

long sys_creat(uint64_t name, uint32_t mode)
{
    return sys_openat(LINUX_AT_FDCWD, name, FILE_CREATE | FILE_WRITE_ONLY | FILE_TRUNCATE, mode);
}

/* Copies an extensible struct: zeroes for what an older program does not give, -E2BIG for what a newer one asks for. */
static int open_how_copy(struct linux_open_how *how, uint64_t user, uint64_t size_bytes)
{
    if (size_bytes < sizeof(*how))
        return -EINVAL;
    if (size_bytes > 4096)
        return -E2BIG;
    for (uint64_t offset = sizeof(*how); offset < size_bytes; offset++) {
        uint8_t byte;
        if (user_load(&byte, user + offset) != 0)
            return -EFAULT;
        if (byte != 0)
            return -E2BIG;
    }
    return user_load(how, user);
}

static int open_how_check(const struct linux_open_how *how)
{
    if (how->flags & ~(uint64_t)OPEN_FLAGS)
        return -EINVAL;
    if (how->resolve & ~(uint64_t)(LINUX_RESOLVE_NO_XDEV | LINUX_RESOLVE_NO_MAGICLINKS | LINUX_RESOLVE_NO_SYMLINKS | LINUX_RESOLVE_BENEATH | LINUX_RESOLVE_IN_ROOT | LINUX_RESOLVE_CACHED))
        return -EINVAL;
    if ((how->resolve & LINUX_RESOLVE_BENEATH) && (how->resolve & LINUX_RESOLVE_IN_ROOT))
        return -EINVAL;
    if (how->flags & (FILE_CREATE | TEMPORARY_BIT)) {
        if (how->mode & ~07777ull)
            return -EINVAL;
    } else if (how->mode != 0) {
        return -EINVAL;
    }
    if ((how->flags & FILE_PATH) && (how->flags & ~(uint64_t)PATH_OPEN_FLAGS))
        return -EINVAL;
    /* "Only what is cached": a lookup that may read the disk cannot promise it, and programs then open without it. */
    if (how->resolve & LINUX_RESOLVE_CACHED)
        return (how->flags & (FILE_CREATE | FILE_TRUNCATE | TEMPORARY_BIT)) ? -EINVAL : -EAGAIN;
    return 0;
}

static unsigned int resolve_path_flags(uint64_t resolve)
{
    unsigned int flags = 0;
    flags |= resolve & LINUX_RESOLVE_NO_XDEV ? PATH_NO_XDEV : 0;
    flags |= resolve & LINUX_RESOLVE_NO_MAGICLINKS ? PATH_NO_MAGICLINKS : 0;
    flags |= resolve & LINUX_RESOLVE_NO_SYMLINKS ? PATH_NO_SYMLINKS : 0;
    flags |= resolve & LINUX_RESOLVE_BENEATH ? PATH_BENEATH : 0;
    flags |= resolve & LINUX_RESOLVE_IN_ROOT ? PATH_IN_ROOT : 0;
    return flags;
}

/* The directory of openat2 as a path, also for absolute names when they are to be taken as relative to it. */
static int resolve_base(struct name_argument *argument, int directory, uint64_t resolve)
{
    if (argument->base || directory == LINUX_AT_FDCWD || !(resolve & (LINUX_RESOLVE_IN_ROOT | LINUX_RESOLVE_BENEATH)))
        return 0;
    int error = file_argument_any(directory, &argument->base);
    if (!error && !argument->base->path.dentry) {
        file_release(argument->base);
        argument->base = NULL;
        error = -ENOTDIR;
    }
    return error;
}

long sys_openat2(int directory, uint64_t name, uint64_t how_address, uint64_t size_bytes)
{
    struct linux_open_how how;
    struct name_argument argument;
    struct file *file;
    int error = open_how_copy(&how, how_address, size_bytes);
    if (!error)
        error = open_how_check(&how);
    if (!error)
        error = open_flags_check((unsigned int)how.flags);
    if (!error)
        error = name_argument_take(&argument, directory, name, false);
    if (error)
        return error;
    unsigned int flags = (unsigned int)how.flags | (how.flags & FILE_PATH ? 0 : FILE_LARGE);
    error = resolve_base(&argument, directory, how.resolve);
    if (!error)
        error = file_open_resolve(&argument.context, name_argument_at(&argument), argument.name, flags, (uint32_t)how.mode,
                                  resolve_path_flags(how.resolve), &file);
    name_argument_release(&argument);
    return error ? error : file_install(file, (flags & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_close(int fd)
{
    return fd_table_close(task_current()->files, fd);
}

long sys_close_range(uint32_t first, uint32_t last, uint32_t flags)
{
    struct task *task = task_current();
    if ((flags & ~(LINUX_CLOSE_RANGE_UNSHARE | LINUX_CLOSE_RANGE_CLOEXEC)) || first > last)
        return -EINVAL;
    if (flags & LINUX_CLOSE_RANGE_UNSHARE) {
        int error = task_unshare(true, false);
        if (error)
            return error;
    }
    fd_table_close_range(task->files, first, last, (flags & LINUX_CLOSE_RANGE_CLOEXEC) != 0);
    return 0;
}

long sys_dup(int fd)
{
    struct file *file;
    int error = file_argument_any(fd, &file);
    return error ? error : file_install(file, false);
}

static long duplicate_at(int old_fd, int new_fd, bool close_on_exec)
{
    struct task *task = task_current();
    struct file *file;
    uint64_t limit = process_limit(task->process, LIMIT_NOFILE);
    if (new_fd < 0 || (uint64_t)new_fd >= limit)
        return -EBADF;
    int error = file_argument_any(old_fd, &file);
    if (error)
        return error;
    int fd = fd_table_install_at(task->files, file, close_on_exec, new_fd, limit);
    if (fd < 0)
        file_release(file);
    return fd < 0 ? fd : new_fd;
}

long sys_dup2(int old_fd, int new_fd)
{
    if (old_fd == new_fd) {
        struct file *file;
        int error = file_argument_any(old_fd, &file);
        if (error)
            return error;
        file_release(file);
        return new_fd;
    }
    return duplicate_at(old_fd, new_fd, false);
}

long sys_dup3(int old_fd, int new_fd, int flags)
{
    if ((unsigned int)flags & ~(unsigned int)FILE_CLOSE_ON_EXEC || old_fd == new_fd)
        return -EINVAL;
    return duplicate_at(old_fd, new_fd, (flags & FILE_CLOSE_ON_EXEC) != 0);
}

/* Two new descriptors, told to the program; a store that fails closes both again. */
long file_install_pair(struct file *first, struct file *second, bool close_on_exec, uint64_t fds_address)
{
    struct task *task = task_current();
    int32_t fds[2];
    fds[0] = (int32_t)file_install(first, close_on_exec);
    if (fds[0] < 0) {
        file_release(second);
        return fds[0];
    }
    fds[1] = (int32_t)file_install(second, close_on_exec);
    int error = fds[1] < 0 ? fds[1] : user_copy_out(fds_address, fds, sizeof(fds));
    if (error) {
        fd_table_close(task->files, fds[0]);
        if (fds[1] >= 0)
            fd_table_close(task->files, fds[1]);
    }
    return error;
}

long sys_pipe2(uint64_t fds, int flags)
{
    struct file *read_end, *write_end;
    unsigned int wanted = (unsigned int)flags;
    if (wanted & ~(unsigned int)(FILE_CLOSE_ON_EXEC | FILE_NONBLOCK | FILE_DIRECT))
        return -EINVAL;
    int error = pipe_create(wanted & ~(unsigned int)FILE_CLOSE_ON_EXEC, task_current()->credentials, &read_end, &write_end);
    return error ? error : file_install_pair(read_end, write_end, (wanted & FILE_CLOSE_ON_EXEC) != 0, fds);
}

long sys_pipe(uint64_t fds)
{
    return sys_pipe2(fds, 0);
}

long sys_eventfd2(uint32_t value, int flags)
{
    struct file *file;
    unsigned int wanted = (unsigned int)flags;
    if (wanted & ~(unsigned int)(FILE_CLOSE_ON_EXEC | FILE_NONBLOCK | 1))
        return -EINVAL;
    int error = event_file_create(value, (wanted & 1) != 0, wanted & FILE_NONBLOCK, task_current()->credentials, &file);
    return error ? error : file_install(file, (wanted & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_eventfd(uint32_t value)
{
    return sys_eventfd2(value, 0);
}
