/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fcntl, flock and ioctl: what is the descriptor's is done here, what is the open file's by kernel/vfs, what is the file's by
 * its operations.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "kernel/vfs/file_lock.h"
#include "kernel/vfs/pipe.h"
#include "xen/x86/user_access.h"

static long descriptor_duplicate(struct file *file, uint64_t least, bool close_on_exec)
{
    struct task *task = task_current();
    uint64_t limit = process_limit(task->process, LIMIT_NOFILE);
    if (least >= limit || least > INT32_MAX)
        return -EINVAL;
    file_take(file);
    int fd = fd_table_install(task->files, file, close_on_exec, (int)least, limit);
    if (fd < 0)
        file_release(file);
    return fd;
}

/* A program's struct flock as a range of bytes: 0, -EINVAL, -EOVERFLOW. */
static int range_decode(struct file *file, const struct linux_flock *lock, struct file_lock_range *range)
{
    int64_t base = 0, start, end;
    if (lock->type != LINUX_F_RDLCK && lock->type != LINUX_F_WRLCK && lock->type != LINUX_F_UNLCK)
        return -EINVAL;
    if (lock->whence == 1)
        base = (int64_t)file->position;
    else if (lock->whence == 2)
        base = file->inode ? (int64_t)file->inode->size_bytes : 0;
    else if (lock->whence != 0)
        return -EINVAL;
    if (__builtin_add_overflow(base, lock->start, &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    if (lock->length_bytes < 0) {
        end = start;
        if (__builtin_add_overflow(start, lock->length_bytes, &start) || start < 0)
            return -EINVAL;
    } else if (__builtin_add_overflow(start, lock->length_bytes, &end)) {
        return -EOVERFLOW;
    }
    *range = (struct file_lock_range){ .type = (enum file_lock_type)lock->type, .start = (uint64_t)start,
                                       .end = lock->length_bytes == 0 ? UINT64_MAX : (uint64_t)end };
    return 0;
}

static long lock_set(struct file *file, uint64_t address, bool by_file, bool wait)
{
    struct linux_flock lock;
    struct file_lock_range range;
    if (user_load(&lock, address))
        return -EFAULT;
    if (by_file && lock.pid != 0)
        return -EINVAL;
    int error = range_decode(file, &lock, &range);
    if (error)
        return error;
    if ((range.type == FILE_LOCK_READ && !file->readable) || (range.type == FILE_LOCK_WRITE && !file->writable))
        return -EBADF;
    return file_lock_range_set(file, &range, by_file, wait);
}

static long lock_get(struct file *file, uint64_t address, bool by_file)
{
    struct linux_flock lock;
    struct file_lock_range range;
    if (user_load(&lock, address))
        return -EFAULT;
    if ((by_file && lock.pid != 0) || lock.type == LINUX_F_UNLCK)
        return -EINVAL;
    int error = range_decode(file, &lock, &range);
    if (error)
        return error;
    file_lock_range_get(file, &range, by_file);
    lock.type = (int16_t)range.type;
    if (range.type != FILE_LOCK_UNLOCK) {
        lock.whence = 0;
        lock.start = (int64_t)range.start;
        lock.length_bytes = range.end == UINT64_MAX ? 0 : (int64_t)(range.end - range.start);
        lock.pid = range.pid;
    }
    return user_store(address, &lock);
}

enum { OWNER_THREAD, OWNER_PROCESS, OWNER_GROUP };

/* Owners are kept as fcntl has them: pid, or minus the process group. */
static long owner_set_extended(struct file *file, uint64_t address)
{
    struct linux_owner_ex owner;
    if (user_load(&owner, address))
        return -EFAULT;
    if (owner.type < OWNER_THREAD || owner.type > OWNER_GROUP)
        return -EINVAL;
    write_once(file->async_owner, owner.type == OWNER_GROUP ? -owner.pid : owner.pid);
    return 0;
}

static long owner_get_extended(struct file *file, uint64_t address)
{
    int owner = read_once(file->async_owner);
    struct linux_owner_ex answer = { .type = owner < 0 ? OWNER_GROUP : OWNER_PROCESS, .pid = owner < 0 ? -owner : owner };
    return user_store(address, &answer);
}

static long owner_command(struct file *file, int command, uint64_t argument)
{
    switch (command) {
    case LINUX_F_SETOWN:
        if ((int)argument == INT32_MIN)
            return -EINVAL;
        write_once(file->async_owner, (int)argument);
        return 0;
    case LINUX_F_GETOWN:
        return read_once(file->async_owner);
    case LINUX_F_SETSIG:
        if ((int)argument < 0 || (int)argument > SIGNAL_COUNT)
            return -EINVAL;
        write_once(file->async_signal, (int)argument);
        return 0;
    case LINUX_F_GETSIG:
        return read_once(file->async_signal);
    case LINUX_F_SETOWN_EX:
        return owner_set_extended(file, argument);
    default:
        return owner_get_extended(file, argument);
    }
}

#define NOTICE_MANY 0x80000000u

/* Commands that also descriptors opened with O_PATH know. */
static long fcntl_descriptor(struct file *file, int fd, int command, uint64_t argument)
{
    struct fd_table *files = task_current()->files;
    switch (command) {
    case LINUX_F_DUPFD:
    case LINUX_F_DUPFD_CLOEXEC:
        return descriptor_duplicate(file, argument & UINT32_MAX, command == LINUX_F_DUPFD_CLOEXEC);
    case LINUX_F_GETFD:
        return fd_table_get_close_on_exec(files, fd) > 0 ? LINUX_FD_CLOEXEC : 0;
    case LINUX_F_SETFD:
        return fd_table_set_close_on_exec(files, fd, (argument & LINUX_FD_CLOEXEC) != 0);
    case LINUX_F_GETFL:
        return (long)atomic_load_explicit(&file->flags, memory_order_relaxed);
    default:
        return -EBADF;
    }
}

static long fcntl_run(struct file *file, int fd, int command, uint64_t argument)
{
    switch (command) {
    case LINUX_F_SETFL:
        return file_set_flags(file, (unsigned int)argument);
    case LINUX_F_GETLK:
    case LINUX_F_OFD_GETLK:
        return lock_get(file, argument, command == LINUX_F_OFD_GETLK);
    case LINUX_F_SETLK:
    case LINUX_F_SETLKW:
        return lock_set(file, argument, false, command == LINUX_F_SETLKW);
    case LINUX_F_OFD_SETLK:
    case LINUX_F_OFD_SETLKW:
        return lock_set(file, argument, true, command == LINUX_F_OFD_SETLKW);
    case LINUX_F_SETOWN:
    case LINUX_F_GETOWN:
    case LINUX_F_SETSIG:
    case LINUX_F_GETSIG:
    case LINUX_F_SETOWN_EX:
    case LINUX_F_GETOWN_EX:
        return owner_command(file, command, argument);
    case LINUX_F_NOTIFY: /* without events it ends notices, of which there are none */
        return argument & ~(uint64_t)NOTICE_MANY & UINT32_MAX ? -EINVAL : 0;
    case LINUX_F_GETLEASE:
        return LINUX_F_UNLCK;
    case LINUX_F_GETPIPE_SZ:
        return pipe_get_size(file);
    case LINUX_F_SETPIPE_SZ:
        return pipe_set_size(file, argument & UINT32_MAX);
    case LINUX_F_ADD_SEALS:
        return memory_file_add_seals(file, (unsigned int)argument);
    case LINUX_F_GET_SEALS:
        return memory_file_get_seals(file);
    case LINUX_F_DUPFD:
    case LINUX_F_DUPFD_CLOEXEC:
    case LINUX_F_GETFD:
    case LINUX_F_SETFD:
    case LINUX_F_GETFL:
        return fcntl_descriptor(file, fd, command, argument);
    default:
        return -EINVAL;
    }
}

long sys_fcntl(int fd, int command, uint64_t argument)
{
    struct file *file;
    long result = file_argument_any(fd, &file);
    if (result)
        return result;
    if (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PATH)
        result = fcntl_descriptor(file, fd, command, argument);
    else
        result = fcntl_run(file, fd, command, argument);
    file_release(file);
    return result;
}

#define FLOCK_SHARED 1
#define FLOCK_EXCLUSIVE 2
#define FLOCK_NO_WAIT 4
#define FLOCK_RELEASE 8
#define FLOCK_MANDATORY 32

long sys_flock(int fd, int operation)
{
    struct file *file;
    int plain = operation & ~FLOCK_NO_WAIT;
    if (operation & FLOCK_MANDATORY)
        return 0; /* share modes once; Linux ignores them since 5.18 */
    if (plain != FLOCK_SHARED && plain != FLOCK_EXCLUSIVE && plain != FLOCK_RELEASE)
        return -EINVAL;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    enum file_lock_type type = plain == FLOCK_SHARED ? FILE_LOCK_READ : plain == FLOCK_EXCLUSIVE ? FILE_LOCK_WRITE : FILE_LOCK_UNLOCK;
    error = file_lock_whole(file, type, !(operation & FLOCK_NO_WAIT));
    file_release(file);
    return error;
}

/* Sets or clears one of the open file's flags by an int in the program's memory. */
static long flag_by_ioctl(struct file *file, uint64_t argument, unsigned int flag)
{
    int32_t on;
    if (user_load(&on, argument))
        return -EFAULT;
    unsigned int flags = atomic_load_explicit(&file->flags, memory_order_relaxed);
    return file_set_flags(file, on ? flags | flag : flags & ~flag);
}

static bool is_regular(const struct file *file)
{
    return file->inode && (file->inode->mode & MODE_TYPE) == MODE_REGULAR;
}

/* Commands that Linux answers for every kind of file; -ENOTTY: none of them. */
static long ioctl_common(struct file *file, int fd, uint32_t command, uint64_t argument)
{
    int32_t left;
    int64_t size;
    switch (command) {
    case LINUX_FIOCLEX:
    case LINUX_FIONCLEX:
        return fd_table_set_close_on_exec(task_current()->files, fd, command == LINUX_FIOCLEX);
    case LINUX_FIONBIO:
        return flag_by_ioctl(file, argument, FILE_NONBLOCK);
    case LINUX_FIOASYNC:
        return flag_by_ioctl(file, argument, FILE_ASYNC);
    case LINUX_FIOQSIZE:
        if (!is_regular(file))
            return -ENOTTY;
        size = (int64_t)file->inode->size_bytes;
        return user_store(argument, &size);
    case LINUX_FIONREAD:
        if (!is_regular(file))
            return -ENOTTY;
        left = (int32_t)(file->inode->size_bytes - file->position);
        return user_store(argument, &left);
    default:
        return -ENOTTY;
    }
}

long sys_ioctl(int fd, uint32_t command, uint64_t argument)
{
    struct file *file;
    long result = file_argument(fd, &file);
    if (result)
        return result;
    result = ioctl_common(file, fd, command, argument);
    if (result == -ENOTTY && file->operations->ioctl)
        result = file->operations->ioctl(file, command, argument);
    file_release(file);
    return result;
}
