/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments of system calls. Everything is copied from the program exactly once, before anything is changed; all of it
 * runs in thread context on the caller's own task, so its descriptor table and credentials need no lock.
 */
#include "kernel/linux/arguments.h"

#include "kernel/base/error.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/linux/times.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/machine/clock.h"
#include "xen/x86/user_access.h"

int file_argument_any(int fd, struct file **file)
{
    *file = fd_table_get(task_current()->files, fd);
    return *file ? 0 : -EBADF;
}

int file_argument(int fd, struct file **file)
{
    *file = fd_table_get(task_current()->files, fd);
    if (unlikely(!*file))
        return -EBADF;
    if (unlikely(atomic_load_explicit(&(*file)->flags, memory_order_relaxed) & FILE_PATH)) {
        file_release(*file);
        return -EBADF;
    }
    return 0;
}

long file_install(struct file *file, bool close_on_exec)
{
    struct task *task = task_current();
    int fd = fd_table_install(task->files, file, close_on_exec, 0, process_limit(task->process, LIMIT_NOFILE));
    if (fd < 0)
        file_release(file);
    return fd;
}

int name_take(uint64_t user, char **name)
{
    char *text = memory_allocate(PATH_LENGTH_LIMIT);
    if (!text)
        return -ENOMEM;
    long length = user_copy_string(text, user, PATH_LENGTH_LIMIT);
    if (length < 0) {
        memory_free(text);
        return (int)length;
    }
    *name = text;
    return 0;
}

void name_release(char *name)
{
    memory_free(name);
}

int name_argument_take(struct name_argument *argument, int directory, uint64_t user, bool allow_empty)
{
    argument->base = NULL;
    int error = name_take(user, &argument->name);
    if (error)
        return error;
    if (argument->name[0] == '\0' && !allow_empty) {
        error = -ENOENT;
        goto undo_name;
    }
    if (argument->name[0] != '/' && directory != LINUX_AT_FDCWD) {
        error = file_argument_any(directory, &argument->base);
        if (error)
            goto undo_name;
        if (!argument->base->path.dentry) {
            error = -ENOTDIR;
            goto undo_base;
        }
    }
    task_fs_context(&argument->context);
    return 0;
undo_base:
    file_release(argument->base);
undo_name:
    name_release(argument->name);
    return error;
}

void name_argument_release(struct name_argument *argument)
{
    task_fs_context_release(&argument->context);
    if (argument->base)
        file_release(argument->base);
    name_release(argument->name);
}

int path_argument(int directory, uint64_t user, unsigned int path_flags, struct path *path)
{
    struct name_argument argument;
    int error = name_argument_take(&argument, directory, user, (path_flags & PATH_EMPTY) != 0);
    if (error)
        return error;
    error = path_lookup(&argument.context, name_argument_at(&argument), argument.name, path_flags, path);
    name_argument_release(&argument);
    return error;
}

int buffer_argument(struct buffer_argument *argument, uint64_t address, uint64_t length_bytes)
{
    if (length_bytes > LINUX_TRANSFER_LIMIT)
        length_bytes = LINUX_TRANSFER_LIMIT;
    if (unlikely(!user_range_valid(address, length_bytes)))
        return -EFAULT;
    argument->segment = (struct io_segment){ address, length_bytes };
    io_vector_init_user(&argument->vector, &argument->segment, 1);
    return 0;
}

/* Checks in Linux's order: negative lengths, then ranges; the total is cut at what one call may move. */
static int segments_check(struct io_segment *segments, uint64_t count)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        if ((int64_t)segments[i].length_bytes < 0)
            return -EINVAL;
        if (!user_range_valid(segments[i].address, segments[i].length_bytes))
            return -EFAULT;
        segments[i].length_bytes = minimum(segments[i].length_bytes, LINUX_TRANSFER_LIMIT - total);
        total += segments[i].length_bytes;
    }
    return 0;
}

int vector_argument_take(struct vector_argument *argument, uint64_t user, uint64_t count)
{
    _Static_assert(sizeof(struct io_segment) == sizeof(struct linux_iovec), "copied as it is");
    if (count > LINUX_IOV_LIMIT)
        return -EINVAL;
    argument->segments = argument->few;
    if (count > array_count(argument->few)) {
        argument->segments = memory_allocate(count * sizeof(struct io_segment));
        if (!argument->segments)
            return -ENOMEM;
    }
    int error = user_copy_in(argument->segments, user, count * sizeof(struct io_segment));
    if (!error)
        error = segments_check(argument->segments, count);
    if (error) {
        vector_argument_release(argument);
        return error;
    }
    io_vector_init_user(&argument->vector, argument->segments, count);
    return 0;
}

void vector_argument_release(struct vector_argument *argument)
{
    if (argument->segments != argument->few)
        memory_free(argument->segments);
}

int time_argument(uint64_t user, uint64_t *ns)
{
    struct linux_timespec time;
    int error = user_load(&time, user);
    return error ? error : timespec_to_ns(&time, ns);
}

uint64_t deadline_from_timeout(uint64_t relative_ns)
{
    return relative_ns == 0 ? 0 : deadline_after(clock_monotonic_ns(), relative_ns);
}

int timeout_argument(uint64_t user, uint64_t *deadline_ns)
{
    uint64_t relative_ns;
    if (user == 0) {
        *deadline_ns = WAIT_FOREVER;
        return 0;
    }
    int error = time_argument(user, &relative_ns);
    if (!error)
        *deadline_ns = deadline_from_timeout(relative_ns);
    return error;
}

int time_answer(uint64_t user, uint64_t ns)
{
    struct linux_timespec time = timespec_from_ns(ns);
    return user_store(user, &time);
}

int signal_set_argument(uint64_t user, uint64_t length_bytes, uint64_t *set)
{
    if (length_bytes != LINUX_SIGSET_BYTES)
        return -EINVAL;
    return user_load(set, user);
}

bool task_capable(unsigned int capability)
{
    return credentials_capable(task_current()->credentials, capability);
}
