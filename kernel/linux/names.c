/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that make, move and remove names, and those on the directories a process works in. All checks of the tree are
 * kernel/vfs/path.h's.
 *
 * Locks: the fs_state's lock for root, working directory and umask.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/vfs/inode.h"
#include "xen/x86/user_access.h"

#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE 2u
#define RENAME_WHITEOUT 4u

long sys_mkdirat(int directory, uint64_t name, uint32_t mode)
{
    struct name_argument argument;
    int error = name_argument_take(&argument, directory, name, false);
    if (error)
        return error;
    error = path_make_directory(&argument.context, name_argument_at(&argument), argument.name, mode & 01777);
    name_argument_release(&argument);
    return error;
}

long sys_mkdir(uint64_t name, uint32_t mode)
{
    return sys_mkdirat(LINUX_AT_FDCWD, name, mode);
}

static int node_check(uint32_t mode)
{
    switch (mode & MODE_TYPE) {
    case 0:
    case MODE_REGULAR:
    case MODE_FIFO:
    case MODE_SOCKET:
        return 0;
    case MODE_CHARACTER:
    case MODE_BLOCK:
        return task_capable(CAPABILITY_MKNOD) ? 0 : -EPERM;
    case MODE_DIRECTORY:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

long sys_mknodat(int directory, uint64_t name, uint32_t mode, uint32_t device)
{
    struct name_argument argument;
    int error = name_argument_take(&argument, directory, name, false);
    if (error)
        return error;
    uint32_t type = mode & MODE_TYPE;
    bool special = type == MODE_CHARACTER || type == MODE_BLOCK;
    error = node_check(mode);
    if (!error)
        error = path_make_node(&argument.context, name_argument_at(&argument), argument.name, (type ? type : MODE_REGULAR) | (mode & 07777), special ? device : 0);
    name_argument_release(&argument);
    return error;
}

long sys_mknod(uint64_t name, uint32_t mode, uint32_t device)
{
    return sys_mknodat(LINUX_AT_FDCWD, name, mode, device);
}

static long name_remove(int directory, uint64_t name, bool remove_directory)
{
    struct name_argument argument;
    int error = name_argument_take(&argument, directory, name, false);
    if (error)
        return error;
    error = path_remove(&argument.context, name_argument_at(&argument), argument.name, remove_directory);
    name_argument_release(&argument);
    return error;
}

long sys_unlinkat(int directory, uint64_t name, int flags)
{
    return flags & ~LINUX_AT_REMOVEDIR ? -EINVAL : name_remove(directory, name, (flags & LINUX_AT_REMOVEDIR) != 0);
}

long sys_unlink(uint64_t name)
{
    return name_remove(LINUX_AT_FDCWD, name, false);
}

long sys_rmdir(uint64_t name)
{
    return name_remove(LINUX_AT_FDCWD, name, true);
}

/* Two names of one call. */
typedef int (*two_names_t)(const struct fs_context *context, const struct path *old_at, const char *old_name, const struct path *new_at, const char *new_name, unsigned int flags);

static long two_names(int old_directory, uint64_t old_name, bool old_empty, int new_directory, uint64_t new_name, unsigned int flags, two_names_t call)
{
    struct name_argument old, fresh;
    int error = name_argument_take(&old, old_directory, old_name, old_empty);
    if (error)
        return error;
    error = name_argument_take(&fresh, new_directory, new_name, false);
    if (!error) {
        error = call(&fresh.context, name_argument_at(&old), old.name, name_argument_at(&fresh), fresh.name, flags);
        name_argument_release(&fresh);
    }
    name_argument_release(&old);
    return error;
}

long sys_renameat2(int old_directory, uint64_t old_name, int new_directory, uint64_t new_name, uint32_t flags)
{
    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
        return -EINVAL;
    if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
        return -EINVAL;
    if (flags & RENAME_WHITEOUT)
        return task_capable(CAPABILITY_MKNOD) ? -EINVAL : -EPERM;
    return two_names(old_directory, old_name, false, new_directory, new_name, flags, path_rename);
}

long sys_renameat(int old_directory, uint64_t old_name, int new_directory, uint64_t new_name)
{
    return sys_renameat2(old_directory, old_name, new_directory, new_name, 0);
}

long sys_rename(uint64_t old_name, uint64_t new_name)
{
    return sys_renameat2(LINUX_AT_FDCWD, old_name, LINUX_AT_FDCWD, new_name, 0);
}

long sys_linkat(int old_directory, uint64_t old_name, int new_directory, uint64_t new_name, int flags)
{
    bool empty = (flags & LINUX_AT_EMPTY_PATH) != 0;
    unsigned int path_flags = (flags & LINUX_AT_SYMLINK_FOLLOW ? PATH_FOLLOW : 0) | (empty ? PATH_EMPTY : 0);
    if (flags & ~(LINUX_AT_SYMLINK_FOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    if (empty && !task_capable(CAPABILITY_DAC_READ_SEARCH))
        return -ENOENT;
    return two_names(old_directory, old_name, empty, new_directory, new_name, path_flags, path_link);
}

long sys_link(uint64_t old_name, uint64_t new_name)
{
    return sys_linkat(LINUX_AT_FDCWD, old_name, LINUX_AT_FDCWD, new_name, 0);
}

long sys_symlinkat(uint64_t target, int directory, uint64_t name)
{
    struct name_argument argument;
    char *text;
    int error = name_take(target, &text);
    if (error)
        return error;
    error = text[0] == '\0' ? -ENOENT : name_argument_take(&argument, directory, name, false);
    if (!error) {
        error = path_make_symlink(&argument.context, text, name_argument_at(&argument), argument.name);
        name_argument_release(&argument);
    }
    name_release(text);
    return error;
}

long sys_symlink(uint64_t target, uint64_t name)
{
    return sys_symlinkat(target, LINUX_AT_FDCWD, name);
}

long sys_getcwd(uint64_t buffer, uint64_t length_bytes)
{
    struct fs_context context;
    char *text = memory_allocate(PATH_LENGTH_LIMIT);
    if (!text)
        return -ENOMEM;
    task_fs_context(&context);
    long length = path_name(&context, &context.working_directory, text, PATH_LENGTH_LIMIT, false);
    task_fs_context_release(&context);
    if (length == -ERANGE)
        length = -ENAMETOOLONG;
    if (length > 0 && (uint64_t)length > length_bytes)
        length = -ERANGE;
    if (length > 0 && user_copy_out(buffer, text, (size_t)length))
        length = -EFAULT;
    memory_free(text);
    return length;
}

/* Puts the path (whose reference is taken over) in the place of the working directory, or the root. */
static void fs_state_replace(struct path path, bool root)
{
    struct fs_state *fs = task_current()->fs;
    spinlock_lock(&fs->lock);
    struct path *place = root ? &fs->root : &fs->working_directory;
    struct path old = *place;
    *place = path;
    spinlock_unlock(&fs->lock);
    path_release(&old);
}

static long directory_enter(uint64_t name, bool root)
{
    struct path path;
    int error = path_argument(LINUX_AT_FDCWD, name, PATH_FOLLOW | PATH_DIRECTORY, &path);
    if (error)
        return error;
    error = inode_permission(path_inode(&path), task_current()->credentials, 1);
    if (!error && root && !task_capable(CAPABILITY_SYS_CHROOT))
        error = -EPERM;
    if (error)
        path_release(&path);
    else
        fs_state_replace(path, root);
    return error;
}

long sys_chdir(uint64_t name)
{
    return directory_enter(name, false);
}

long sys_chroot(uint64_t name)
{
    return directory_enter(name, true);
}

long sys_fchdir(int fd)
{
    struct file *file;
    int error = file_argument_any(fd, &file);
    if (error)
        return error;
    if (!file->path.dentry || (path_inode(&file->path)->mode & MODE_TYPE) != MODE_DIRECTORY)
        error = -ENOTDIR;
    else
        error = inode_permission(path_inode(&file->path), task_current()->credentials, 1);
    if (!error) {
        path_take(&file->path);
        fs_state_replace(file->path, false);
    }
    file_release(file);
    return error;
}

long sys_umask(uint32_t mask)
{
    struct fs_state *fs = task_current()->fs;
    spinlock_lock(&fs->lock);
    uint32_t old = fs->umask;
    fs->umask = mask & 0777;
    spinlock_unlock(&fs->lock);
    return old;
}
