/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other processes by descriptor (pidfd_*), and their memory (process_vm_*, process_madvise).
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/vfs/dentry.h"
#include "xen/x86/user_access.h"

long sys_pidfd_open(int pid, uint32_t flags)
{
    struct file *file;
    if ((flags & ~(uint32_t)FILE_NONBLOCK) || pid <= 0)
        return -EINVAL;
    struct process *process = process_find(pid);
    if (!process) {
        struct task *task = task_find(pid);
        if (!task)
            return -ESRCH;
        task_release(task); /* a thread that leads no group */
        return -EINVAL;
    }
    int error = process_file_create(process, flags & FILE_NONBLOCK, &file);
    process_release(process);
    return error ? error : file_install(file, true);
}

/* Referenced process behind a pidfd, or -EBADF. */
static int pidfd_argument(int fd, struct process **process)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    *process = process_of_file(file);
    file_release(file);
    return *process ? 0 : -EBADF;
}

#define DENTRY_NAME_BYTES 256

/* The process whose directory of /proc this is, referenced, or NULL. Such a descriptor came before pidfds, and still counts as one. */
static struct process *process_of_directory(const struct file *file)
{
    char name[DENTRY_NAME_BYTES];
    struct dentry *parent;
    uint64_t pid = 0;
    if (!file->path.dentry || strcmp(file->inode->file_system->type, "proc") != 0)
        return NULL;
    dentry_name(file->path.dentry, name, &parent);
    bool below_root = parent && dentry_inode(parent) == file->inode->file_system->root;
    if (parent)
        dentry_release(parent);
    if (!below_root || parse_unsigned(name, strlen(name), 10, &pid) || pid > INT32_MAX)
        return NULL;
    return process_find((int)pid);
}

static int signal_target(int fd, struct process **process)
{
    struct file *file;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    *process = process_of_file(file);
    if (!*process)
        *process = process_of_directory(file);
    file_release(file);
    return *process ? 0 : -EBADF;
}

long sys_pidfd_send_signal(int fd, int number, uint64_t information, uint32_t flags)
{
    struct signal_information sent;
    struct process *process;
    if (flags)
        return -EINVAL;
    int error = signal_target(fd, &process);
    if (error)
        return error;
    long result = 0;
    bool self = process == process_current();
    if (information) {
        if (user_load(&sent, information))
            result = -EFAULT;
        else if (sent.number != number)
            result = -EINVAL;
        else if (!self && (sent.code >= 0 || sent.code == SIGNAL_CODE_TKILL))
            result = -EPERM;
    } else {
        sent = (struct signal_information){ .number = number, .code = SIGNAL_CODE_USER };
        sent.sender.pid = process_current()->pid;
        sent.sender.uid = task_current()->credentials->uid;
    }
    if (!result && (number < 0 || number > SIGNAL_COUNT))
        result = -EINVAL;
    if (!result)
        result = read_once(process->zombie) ? -ESRCH : signal_kill(process->pid, 0);
    if (!result && number != 0)
        result = signal_send_process(process, number, &sent);
    process_release(process);
    return result;
}

/* What Linux asks of a debugger: the same user for all of its ids, or the capability. */
static int access_check(struct task *task)
{
    const struct credentials *mine = task_current()->credentials;
    spinlock_lock(&task->process->lock);
    const struct credentials *theirs = task->credentials;
    bool same = mine->fsuid == theirs->uid && mine->fsuid == theirs->euid && mine->fsuid == theirs->suid &&
                mine->fsgid == theirs->gid && mine->fsgid == theirs->egid && mine->fsgid == theirs->sgid && task->process->dumpable;
    spinlock_unlock(&task->process->lock);
    return same || task->process == process_current() || task_capable(CAPABILITY_SYS_PTRACE) ? 0 : -EPERM;
}

long sys_pidfd_getfd(int pidfd, int fd, uint32_t flags)
{
    struct process *process;
    if (flags)
        return -EINVAL;
    int error = pidfd_argument(pidfd, &process);
    if (error)
        return error;
    struct task *task = task_find(process->pid);
    process_release(process);
    if (!task)
        return -ESRCH;
    error = access_check(task);
    struct file *file = NULL;
    if (!error) {
        spinlock_lock(&task->process->lock);
        struct fd_table *table = task->files;
        if (table)
            fd_table_take(table);
        spinlock_unlock(&task->process->lock);
        file = table ? fd_table_get(table, fd) : NULL;
        if (table)
            fd_table_release(table);
        error = !table ? -ESRCH : !file ? -EBADF : 0;
    }
    task_release(task);
    return error ? error : file_install(file, true);
}

#define BOUNCE_BYTES 4096u

/* The other side of a transfer: a list of ranges in another space, with a cursor. */
struct remote {
    struct address_space *space;
    const struct io_segment *segments;
    size_t count, index;
    uint64_t offset;
};

/* Moves up to one bounce buffer between the current range of the remote and the caller's vector; 0 at the end. */
static long remote_step(struct remote *remote, struct io_vector *local, uint8_t *bounce, bool write)
{
    while (remote->index < remote->count && remote->offset == remote->segments[remote->index].length_bytes) {
        remote->index++;
        remote->offset = 0;
    }
    if (remote->index == remote->count || local->remaining_bytes == 0)
        return 0;
    const struct io_segment *segment = &remote->segments[remote->index];
    size_t bytes = (size_t)minimum(minimum(segment->length_bytes - remote->offset, (uint64_t)BOUNCE_BYTES), (uint64_t)local->remaining_bytes);
    uint64_t address = segment->address + remote->offset;
    long moved;
    if (write) {
        size_t got = io_vector_get(local, bounce, bytes);
        moved = got ? address_space_write(remote->space, address, bounce, got) : -EFAULT;
    } else {
        moved = address_space_read(remote->space, address, bounce, bytes);
        if (moved > 0) {
            size_t put = io_vector_put(local, bounce, (size_t)moved);
            moved = put ? (long)put : -EFAULT;
        }
    }
    if (moved > 0)
        remote->offset += (uint64_t)moved;
    return moved;
}

static long transfer(struct address_space *space, struct io_vector *local, const struct io_segment *segments, size_t count, bool write)
{
    struct remote remote = { .space = space, .segments = segments, .count = count };
    uint8_t *bounce = memory_allocate(BOUNCE_BYTES);
    long done = 0, moved;
    if (!bounce)
        return -ENOMEM;
    while ((moved = remote_step(&remote, local, bounce, write)) > 0) {
        done += moved;
        if (local->faulted)
            break;
        thread_yield_if_due();
    }
    memory_free(bounce);
    return done > 0 ? done : moved;
}

static long process_vm(int pid, uint64_t local, uint64_t local_count, uint64_t remote, uint64_t remote_count, uint64_t flags, bool write)
{
    struct vector_argument mine, theirs;
    if (flags)
        return -EINVAL;
    long result = vector_argument_take(&mine, local, local_count);
    if (result)
        return result;
    result = vector_argument_take(&theirs, remote, remote_count);
    if (result)
        goto undo_mine;
    struct task *task = pid > 0 ? task_find(pid) : NULL;
    if (!task) {
        result = -ESRCH;
        goto undo_theirs;
    }
    result = access_check(task);
    struct address_space *space = NULL;
    if (!result) {
        spinlock_lock(&task->process->lock);
        space = task->process->space;
        if (space)
            address_space_take(space);
        spinlock_unlock(&task->process->lock);
        result = space ? transfer(space, &mine.vector, theirs.segments, remote_count, write) : -ESRCH;
    }
    if (space)
        address_space_release(space);
    task_release(task);
undo_theirs:
    vector_argument_release(&theirs);
undo_mine:
    vector_argument_release(&mine);
    return result;
}

long sys_process_vm_readv(int pid, uint64_t local, uint64_t local_count, uint64_t remote, uint64_t remote_count, uint64_t flags)
{
    return process_vm(pid, local, local_count, remote, remote_count, flags, false);
}

long sys_process_vm_writev(int pid, uint64_t local, uint64_t local_count, uint64_t remote, uint64_t remote_count, uint64_t flags)
{
    return process_vm(pid, local, local_count, remote, remote_count, flags, true);
}

long sys_process_madvise(int pidfd, uint64_t vector, uint64_t count, int advice, uint32_t flags)
{
    struct vector_argument ranges;
    struct process *process;
    long done = 0;
    if (flags)
        return -EINVAL;
    long error = vector_argument_take(&ranges, vector, count);
    if (error)
        return error;
    error = pidfd_argument(pidfd, &process);
    if (!error) {
        if (process != process_current())
            error = -EPERM;
        process_release(process);
    }
    for (uint64_t i = 0; !error && i < count; i++) {
        error = sys_madvise(ranges.segments[i].address, ranges.segments[i].length_bytes, advice);
        if (!error)
            done += (long)ranges.segments[i].length_bytes;
    }
    vector_argument_release(&ranges);
    return done > 0 ? done : error;
}
