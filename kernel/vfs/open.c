/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening by path: the walk to the parent, the last name looked up (or made) under the directory's lock, links
 * followed, permissions checked, and the file handed to the inode's own open.
 */
#include "kernel/base/error.h"
#include "kernel/vfs/attributes.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/notify.h"
#include "kernel/vfs/path_change.h"
#include "kernel/vfs/path_walk.h"
#include "kernel/vfs/pipe.h"
#include "kernel/vfs/regular_file.h"

/* What open's flags ask of the permission bits. */
static unsigned int wanted_access(unsigned int flags)
{
    unsigned int mode = flags & FILE_ACCESS_MODE;
    unsigned int access = mode == FILE_READ_ONLY ? 4 : mode == FILE_WRITE_ONLY ? 2 : 6;

    return flags & FILE_TRUNCATE ? access | 2 : access;
}

static int check_access(const struct fs_context *context, const struct path *path, unsigned int flags)
{
    struct inode *inode = path_inode(path);
    uint32_t type = inode->mode & MODE_TYPE;
    unsigned int access = wanted_access(flags);

    if (type == MODE_SYMLINK)
        return -ELOOP;
    if (type == MODE_DIRECTORY && ((access & 2) || (flags & FILE_CREATE)))
        return -EISDIR;
    if ((flags & FILE_DIRECTORY) && type != MODE_DIRECTORY)
        return -ENOTDIR;
    if (type == MODE_SOCKET)
        return -ENXIO;
    if ((type == MODE_CHARACTER || type == MODE_BLOCK) && (atomic_load(&path->mount->flags) & MOUNT_NO_DEVICES))
        return -EACCES;
    if ((access & 2) && (type == MODE_REGULAR || type == MODE_DIRECTORY)) {
        int error = mount_writable(path);

        if (error)
            return error;
    }
    if ((flags & FILE_NO_ACCESS_TIME) && context->credentials->fsuid != inode->uid &&
        !credentials_capable(context->credentials, CAPABILITY_FOWNER))
        return -EPERM;
    return inode_permission(inode, context->credentials, access);
}

/* Gives the file its operations by what it is. */
static int open_inode(struct file *file)
{
    struct inode *inode = file->inode;

    file->operations = inode->file_operations;
    switch (inode->mode & MODE_TYPE) {
    case MODE_REGULAR:
        file->seekable = true;
        if (!file->operations)
            file->operations = &regular_file_operations;
        break;
    case MODE_DIRECTORY:
        file->seekable = true;
        if (!file->operations)
            file->operations = &directory_file_operations;
        break;
    case MODE_FIFO:
        return fifo_open(inode, file);
    default:
        break;
    }
    if (inode->operations->open)
        return inode->operations->open(inode, file);
    if ((inode->mode & MODE_TYPE) == MODE_CHARACTER || (inode->mode & MODE_TYPE) == MODE_BLOCK)
        return device_file_open(inode, file);
    return 0;
}

/* The file over a path that was found and allowed; takes its own reference on the path. */
static int open_path(const struct fs_context *context, const struct path *path, unsigned int flags, struct file **out)
{
    const unsigned int not_kept = FILE_CREATE | FILE_EXCLUSIVE | FILE_TRUNCATE | FILE_CLOSE_ON_EXEC;
    struct file *file = file_create(flags & ~not_kept, context->credentials);

    if (!file)
        return -ENFILE;
    path_take(path);
    file->path = *path;
    file->inode = path_inode(path);
    if (flags & FILE_PATH) {
        file->readable = file->writable = false;
        file->operations = &directory_file_operations;
        *out = file;
        return 0;
    }

    int error = open_inode(file);

    if (error) {
        file_discard(file);
        return error;
    }
    atomic_fetch_and(&file->flags, ~(unsigned int)FILE_NO_CONTROLLING_TERMINAL); /* terminals have seen it */
    notify_file(file, NOTIFY_OPEN);
    *out = file;
    return 0;
}

/* The file exists: checks, truncation, open. */
static int open_existing(const struct fs_context *context, const struct path *path, unsigned int flags, bool fresh,
                         struct file **file)
{
    int error = 0;

    if (!fresh && !(flags & FILE_PATH))
        error = check_access(context, path, flags);
    if ((flags & FILE_PATH) && (flags & FILE_DIRECTORY) && (path_inode(path)->mode & MODE_TYPE) != MODE_DIRECTORY)
        error = -ENOTDIR;
    if (!error && !fresh && (flags & FILE_TRUNCATE) && (path_inode(path)->mode & MODE_TYPE) == MODE_REGULAR)
        error = attributes_truncate_inode(path_inode(path), 0);
    return error ? error : open_path(context, path, flags, file);
}

/* The walk's last name, made if it is missing. *fresh: it was made. Reference on *child. */
static int find_or_create(struct path_walk *walk, unsigned int flags, uint32_t mode, struct dentry **child, bool *fresh)
{
    struct inode *directory = path_inode(&walk->path);
    int error;

    *fresh = false;
    if (!(flags & FILE_EXCLUSIVE)) { /* most O_CREAT opens find the file there */
        error = path_walk_child(walk, walk->last, walk->last_length, child);
        if (error || dentry_inode(*child))
            return error;
        dentry_release(*child);
    }
    rw_lock_write(&directory->lock);
    error = path_child_locked(walk->path.dentry, walk->last, walk->last_length, child);
    if (!error && !dentry_inode(*child)) {
        error = path_create_locked(walk->context, &walk->path, *child, MODE_REGULAR | (mode & 07777), 0);
        *fresh = !error;
        if (error)
            dentry_release(*child);
    } else if (!error && (flags & FILE_EXCLUSIVE)) {
        dentry_release(*child);
        error = -EEXIST;
    }
    rw_unlock_write(&directory->lock);
    return error;
}

/* open with FILE_CREATE: the parent walk, again for each link that the last name turns out to be. */
static int open_create(struct path_walk *walk, unsigned int flags, uint32_t mode, struct file **file)
{
    for (;;) {
        struct dentry *child;
        bool fresh;
        int error = path_walk_run(walk);

        if (error)
            return error;
        if (walk->last_kind != PATH_LAST_NAME || walk->trailing_slash)
            return -EISDIR;
        error = find_or_create(walk, flags, mode, &child, &fresh);
        if (error)
            return error;
        if ((dentry_inode(child)->mode & MODE_TYPE) == MODE_SYMLINK) {
            bool magic = dentry_inode(child)->operations->follow;

            if (flags & FILE_NO_FOLLOW) {
                dentry_release(child);
                return -ELOOP;
            }
            error = path_walk_follow(walk, child);
            if (error)
                return error;
            if (magic)
                return open_existing(walk->context, &walk->path, flags & ~FILE_CREATE, false, file);
            continue;
        }
        path_walk_enter(walk, child);
        return open_existing(walk->context, &walk->path, flags, fresh, file);
    }
}

int file_open_resolve(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags,
                      uint32_t mode, unsigned int path_flags, struct file **file)
{
    struct path_walk walk;
    bool create = (flags & FILE_CREATE) && !(flags & FILE_PATH);

    if ((flags & FILE_TEMPORARY) == FILE_TEMPORARY)
        return -EOPNOTSUPP; /* as Linux answers where the file system cannot: callers make a named file */
    if (create && (flags & FILE_DIRECTORY))
        return -EINVAL;
    if (create)
        path_flags |= PATH_PARENT;
    else if (!(flags & FILE_NO_FOLLOW))
        path_flags |= PATH_FOLLOW;

    int error = path_walk_start(&walk, context, at, name, path_flags);

    if (!error && create)
        error = open_create(&walk, flags, mode, file);
    else if (!error)
        error = path_walk_run(&walk);
    if (!error && !create)
        error = open_existing(context, &walk.path, flags, false, file);
    path_walk_end(&walk);
    return error;
}

int file_open(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags,
              uint32_t mode, struct file **file)
{
    return file_open_resolve(context, at, name, flags, mode, 0, file);
}
