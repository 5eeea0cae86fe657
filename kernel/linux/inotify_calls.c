/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inotify: the calls; kernel/vfs/inotify.h has the watches.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "kernel/vfs/inotify.h"

long sys_inotify_init1(int flags)
{
    struct file *file;
    unsigned int wanted = (unsigned int)flags;
    if (wanted & ~(unsigned int)(FILE_CLOSE_ON_EXEC | FILE_NONBLOCK))
        return -EINVAL;
    int error = inotify_create(wanted & FILE_NONBLOCK, task_current()->credentials, &file);
    return error ? error : file_install(file, (wanted & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_inotify_init(void)
{
    return sys_inotify_init1(0);
}

long sys_inotify_add_watch(int fd, uint64_t name, uint32_t mask)
{
    struct file *file;
    struct path path;
    unsigned int path_flags = (mask & INOTIFY_NO_FOLLOW ? 0 : PATH_FOLLOW) | (mask & INOTIFY_ONLY_DIRECTORY ? PATH_DIRECTORY : 0);
    int result = file_argument(fd, &file);
    if (result)
        return result;
    result = path_argument(LINUX_AT_FDCWD, name, path_flags, &path);
    if (!result) {
        result = inotify_add_watch(file, &path, mask);
        path_release(&path);
    }
    file_release(file);
    return result;
}

long sys_inotify_rm_watch(int fd, int watch)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    error = inotify_remove_watch(file, watch);
    file_release(file);
    return error;
}
