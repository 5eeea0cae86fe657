/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls that make, remove and rename names.
 *
 * Each walks to the parent directory, locks its inode for writing, looks the name up again under the lock, checks all
 * that Linux checks, asks the file system, and then sets the dentry's fate. Lock order for two directories: the
 * ancestor first, else by address; rename of a directory across directories also holds rename_lock, so that no loop can be made.
 */
#include "kernel/vfs/path_change.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/notify.h"
#include "kernel/vfs/path_walk.h"

static struct mutex rename_lock;

void path_change_init(void)
{
    mutex_init(&rename_lock, "rename", 0);
}

/* May this caller change entries of the directory? Locked for writing. */
static int directory_writable(const struct path *directory, const struct credentials *credentials)
{
    int error = mount_writable(directory);

    if (!error && atomic_load(&directory->dentry->deleted))
        error = -ENOENT;
    return error ? error : inode_permission(path_inode(directory), credentials, 3);
}

int path_create_locked(const struct fs_context *context, const struct path *directory, struct dentry *child,
                       uint32_t mode, uint64_t device)
{
    struct inode *parent = path_inode(directory), *inode;
    char name[256];
    struct dentry *unused;
    size_t length = dentry_name(child, name, &unused);

    dentry_release(unused);

    int error = directory_writable(directory, context->credentials);

    if (error)
        return error;
    if (!parent->operations->create)
        return -EPERM;
    error = parent->operations->create(parent, name, length, mode & ~(context->umask & 0777), device,
                                       context->credentials, &inode);
    if (error)
        return error;
    dentry_instantiate(child, inode);
    notify_entry(parent, NOTIFY_CREATE | ((mode & MODE_TYPE) == MODE_DIRECTORY ? NOTIFY_IS_DIRECTORY : 0), name, 0);
    return 0;
}

/* Walks to the parent of a name that is to be made. The walk is ended by the caller also on error. */
static int walk_to_new(struct path_walk *walk, const struct fs_context *context, const struct path *at,
                       const char *name, bool directory)
{
    int error = path_walk_start(walk, context, at, name, PATH_PARENT);

    if (!error)
        error = path_walk_run(walk);
    if (!error && walk->last_kind != PATH_LAST_NAME)
        error = -EEXIST;
    if (!error && walk->trailing_slash && !directory) {
        struct dentry *child;

        error = path_walk_child(walk, walk->last, walk->last_length, &child);
        if (!error) {
            error = dentry_inode(child) ? -EEXIST : -ENOENT;
            dentry_release(child);
        }
    }
    return error;
}

/* The negative dentry of the walk's last name, with the directory locked for writing. Nothing locked on error. */
static int lock_new(struct path_walk *walk, struct dentry **child)
{
    struct inode *directory = path_inode(&walk->path);

    rw_lock_write(&directory->lock);

    int error = path_child_locked(walk->path.dentry, walk->last, walk->last_length, child);

    if (error == -ENOENT) /* volatile names: nothing can be made there */
        error = -EPERM;
    if (!error && dentry_inode(*child)) {
        dentry_release(*child);
        error = -EEXIST;
    }
    if (error)
        rw_unlock_write(&directory->lock);
    return error;
}

static void unlock_new(struct path_walk *walk, struct dentry *child)
{
    rw_unlock_write(&path_inode(&walk->path)->lock);
    dentry_release(child);
}

int path_make(const struct fs_context *context, const struct path *at, const char *name, uint32_t mode, uint64_t device,
              struct path *made)
{
    struct path_walk walk;
    struct dentry *child;
    int error = walk_to_new(&walk, context, at, name, (mode & MODE_TYPE) == MODE_DIRECTORY);

    if (!error)
        error = lock_new(&walk, &child);
    if (!error) {
        error = path_create_locked(context, &walk.path, child, mode, device);
        if (!error && made) {
            *made = (struct path){ walk.path.mount, child };
            path_take(made);
        }
        unlock_new(&walk, child);
    }
    path_walk_end(&walk);
    return error;
}

int path_make_node(const struct fs_context *context, const struct path *at, const char *name, uint32_t mode,
                   uint64_t device)
{
    uint32_t type = mode & MODE_TYPE ? mode & MODE_TYPE : MODE_REGULAR;

    if (type == MODE_DIRECTORY || type == MODE_SYMLINK)
        return type == MODE_DIRECTORY ? -EPERM : -EINVAL;
    if ((type == MODE_CHARACTER || type == MODE_BLOCK) && !credentials_capable(context->credentials, CAPABILITY_MKNOD))
        return -EPERM;
    return path_make(context, at, name, type | (mode & 07777), device, NULL);
}

int path_make_directory(const struct fs_context *context, const struct path *at, const char *name, uint32_t mode)
{
    return path_make(context, at, name, MODE_DIRECTORY | (mode & 01777), 0, NULL);
}

int path_make_symlink(const struct fs_context *context, const char *target, const struct path *at, const char *name)
{
    struct path_walk walk;
    struct dentry *child;

    if (target[0] == 0)
        return -ENOENT;

    int error = walk_to_new(&walk, context, at, name, false);

    if (!error)
        error = lock_new(&walk, &child);
    if (!error) {
        struct inode *directory = path_inode(&walk.path), *inode;
        char copy[256];

        memcpy(copy, walk.last, walk.last_length);
        copy[walk.last_length] = 0;
        error = directory_writable(&walk.path, context->credentials);
        if (!error)
            error = directory->operations->symlink
                        ? directory->operations->symlink(directory, copy, walk.last_length, target,
                                                         context->credentials, &inode)
                        : -EPERM;
        if (!error) {
            dentry_instantiate(child, inode);
            notify_entry(directory, NOTIFY_CREATE, copy, 0);
        }
        unlock_new(&walk, child);
    }
    path_walk_end(&walk);
    return error;
}

/* linkat: PATH_FOLLOW and PATH_EMPTY in flags speak of the old name. */
int path_link(const struct fs_context *context, const struct path *old_at, const char *old_name,
              const struct path *new_at, const char *new_name, unsigned int flags)
{
    struct path old;
    struct path_walk walk;
    struct dentry *child;
    int error = path_lookup(context, old_at, old_name, flags, &old);

    if (error)
        return error;

    struct inode *target = path_inode(&old);

    error = walk_to_new(&walk, context, new_at, new_name, false);
    if (!error && walk.path.mount != old.mount)
        error = -EXDEV;
    if (!error && (target->mode & MODE_TYPE) == MODE_DIRECTORY)
        error = -EPERM;
    if (!error)
        error = lock_new(&walk, &child);
    if (!error) {
        struct inode *directory = path_inode(&walk.path);
        char copy[256];

        memcpy(copy, walk.last, walk.last_length);
        copy[walk.last_length] = 0;
        error = directory_writable(&walk.path, context->credentials);
        if (!error && target->links == 0)
            error = -ENOENT;
        if (!error)
            error = directory->operations->link ? directory->operations->link(directory, copy, walk.last_length, target)
                                                : -EPERM;
        if (!error) {
            inode_take(target);
            dentry_instantiate(child, target);
            notify_entry(directory, NOTIFY_CREATE, copy, 0);
            notify_inode(target, NOTIFY_ATTRIBUTES);
        }
        unlock_new(&walk, child);
    }
    path_walk_end(&walk);
    path_release(&old);
    return error;
}

/* In a sticky directory only the owner of the entry or of the directory may take it away. */
static int entry_removable(const struct inode *directory, const struct inode *child,
                           const struct credentials *credentials)
{
    if (!(directory->mode & MODE_STICKY) || credentials->fsuid == child->uid || credentials->fsuid == directory->uid ||
        credentials_capable(credentials, CAPABILITY_FOWNER))
        return 0;
    return -EPERM;
}

static int remove_locked(const struct fs_context *context, struct path_walk *walk, struct dentry *child, bool directory)
{
    struct inode *parent = path_inode(&walk->path), *inode = dentry_inode(child);
    bool is_directory = (inode->mode & MODE_TYPE) == MODE_DIRECTORY;
    int error = directory_writable(&walk->path, context->credentials);

    if (!error)
        error = entry_removable(parent, inode, context->credentials);
    if (!error && directory && !is_directory)
        error = -ENOTDIR;
    if (!error && !directory && is_directory)
        error = -EISDIR;
    if (!error && !directory && walk->trailing_slash)
        error = -ENOTDIR;
    if (!error && atomic_load(&child->mounts) != 0)
        error = -EBUSY;
    if (error)
        return error;

    char name[256];

    memcpy(name, walk->last, walk->last_length);
    name[walk->last_length] = 0;
    rw_lock_write(&inode->lock);
    error = parent->operations->remove ? parent->operations->remove(parent, name, walk->last_length, inode) : -EPERM;
    if (!error)
        dentry_delete(child); /* inside the lock: a lookup in a removed directory must not find it alive */
    rw_unlock_write(&inode->lock);
    if (!error) {
        notify_inode(inode, inode->links == 0 || is_directory ? NOTIFY_DELETE_SELF : NOTIFY_ATTRIBUTES);
        notify_entry(parent, NOTIFY_DELETE | (is_directory ? NOTIFY_IS_DIRECTORY : 0), name, 0);
    }
    return error;
}

int path_remove(const struct fs_context *context, const struct path *at, const char *name, bool directory)
{
    struct path_walk walk;
    int error = path_walk_start(&walk, context, at, name, PATH_PARENT);

    if (!error)
        error = path_walk_run(&walk);
    if (!error && walk.last_kind != PATH_LAST_NAME)
        error = !directory ? -EISDIR : walk.last_kind == PATH_LAST_DOT ? -EINVAL
                                   : walk.last_kind == PATH_LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
    if (!error) {
        struct inode *parent = path_inode(&walk.path);
        struct dentry *child;

        rw_lock_write(&parent->lock);
        error = path_child_locked(walk.path.dentry, walk.last, walk.last_length, &child);
        if (!error) {
            error = dentry_inode(child) ? remove_locked(context, &walk, child, directory) : -ENOENT;
            rw_unlock_write(&parent->lock);
            dentry_release(child); /* may end the inode: not under the directory's lock */
        } else {
            rw_unlock_write(&parent->lock);
        }
    }
    path_walk_end(&walk);
    return error;
}

#define RENAME_NO_REPLACE 1u
#define RENAME_EXCHANGE 2u

/* Locks both directories. */
static void rename_lock_directories(struct path_walk *from, struct path_walk *to)
{
    struct inode *first = path_inode(&from->path), *second = path_inode(&to->path);

    if (first == second) {
        rw_lock_write(&first->lock);
        return;
    }
    mutex_lock(&rename_lock);
    bool second_above = dentry_is_below(from->path.dentry, to->path.dentry);
    bool first_above = dentry_is_below(to->path.dentry, from->path.dentry);

    if (second_above || (!first_above && first > second)) {
        struct inode *swap = first;

        first = second;
        second = swap;
    }
    rw_lock_write(&first->lock);
    rw_lock_write(&second->lock);
}

static void rename_unlock_directories(struct path_walk *from, struct path_walk *to)
{
    struct inode *first = path_inode(&from->path), *second = path_inode(&to->path);

    rw_unlock_write(&first->lock);
    if (first == second)
        return;
    rw_unlock_write(&second->lock);
    mutex_unlock(&rename_lock);
}

/* What must hold between the two entries. */
static int rename_check(const struct fs_context *context, struct path_walk *from, struct dentry *old,
                        struct path_walk *to, struct dentry *new, unsigned int flags)
{
    struct inode *child = dentry_inode(old), *target = dentry_inode(new);
    bool child_directory = child && (child->mode & MODE_TYPE) == MODE_DIRECTORY;
    bool target_directory = target && (target->mode & MODE_TYPE) == MODE_DIRECTORY;
    int error;

    if (!child)
        return -ENOENT;
    if (target && (flags & RENAME_NO_REPLACE))
        return -EEXIST;
    if (!target && (flags & RENAME_EXCHANGE))
        return -ENOENT;
    if (!child_directory && (from->trailing_slash || (!target_directory && to->trailing_slash)))
        return -ENOTDIR;
    if (dentry_is_below(to->path.dentry, old))
        return -EINVAL;
    if (dentry_is_below(from->path.dentry, new))
        return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    error = directory_writable(&from->path, context->credentials);
    if (!error)
        error = directory_writable(&to->path, context->credentials);
    if (!error)
        error = entry_removable(path_inode(&from->path), child, context->credentials);
    if (!error && target)
        error = entry_removable(path_inode(&to->path), target, context->credentials);
    if (error)
        return error;
    if (target && !(flags & RENAME_EXCHANGE)) {
        if (child_directory && !target_directory)
            return -ENOTDIR;
        if (!child_directory && target_directory)
            return -EISDIR;
    }
    if (atomic_load(&old->mounts) != 0 || (target && atomic_load(&new->mounts) != 0))
        return -EBUSY;
    /* A directory that moves to another parent changes its "..". */
    if (child_directory && path_inode(&from->path) != path_inode(&to->path))
        error = inode_permission(child, context->credentials, 2);
    return error;
}

/* The dentries follow what the file system has done. */
static int rename_dentries(struct path_walk *from, struct dentry *old, struct path_walk *to, struct dentry *new,
                           unsigned int flags)
{
    char old_name[256], new_name[256];

    memcpy(old_name, from->last, from->last_length);
    memcpy(new_name, to->last, to->last_length);
    if (flags & RENAME_EXCHANGE) {
        dentry_forget(new);
        dentry_forget(old); /* both are looked up anew: rare enough */
        return 0;
    }
    dentry_delete(new);

    int error = dentry_move(old, to->path.dentry, new_name, to->last_length);

    if (error)
        dentry_forget(old); /* out of memory: the new name is looked up when wanted */
    return 0;
}

static void rename_notify(struct path_walk *from, struct path_walk *to, struct inode *child, struct inode *target)
{
    static atomic_uint cookies = 1;
    uint32_t cookie = atomic_fetch_add(&cookies, 1);
    uint32_t kind = (child->mode & MODE_TYPE) == MODE_DIRECTORY ? NOTIFY_IS_DIRECTORY : 0;
    char name[256];

    memcpy(name, from->last, from->last_length);
    name[from->last_length] = 0;
    notify_entry(path_inode(&from->path), NOTIFY_MOVED_FROM | kind, name, cookie);
    memcpy(name, to->last, to->last_length);
    name[to->last_length] = 0;
    notify_entry(path_inode(&to->path), NOTIFY_MOVED_TO | kind, name, cookie);
    notify_inode(child, NOTIFY_MOVE_SELF);
    if (target)
        notify_inode(target, NOTIFY_DELETE_SELF);
}

static int rename_locked(const struct fs_context *context, struct path_walk *from, struct dentry *old,
                         struct path_walk *to, struct dentry *new, unsigned int flags)
{
    int error = rename_check(context, from, old, to, new, flags);

    if (error)
        return error;

    struct inode *child = dentry_inode(old), *target = dentry_inode(new);
    struct inode *old_directory = path_inode(&from->path), *new_directory = path_inode(&to->path);

    if (child == target) /* two names of one file: nothing to do */
        return 0;
    if (!old_directory->operations->rename)
        return -EPERM;

    if (target)
        rw_lock_write(&target->lock);
    error = old_directory->operations->rename(old_directory, from->last, from->last_length, child, new_directory,
                                              to->last, to->last_length, target, flags & RENAME_EXCHANGE);
    if (target)
        rw_unlock_write(&target->lock);
    if (!error)
        error = rename_dentries(from, old, to, new, flags);
    if (!error)
        rename_notify(from, to, child, flags & RENAME_EXCHANGE ? NULL : target);
    return error;
}

/* Both names looked up and renamed, with the directories locked. */
static int rename_walked(const struct fs_context *context, struct path_walk *from, struct path_walk *to,
                         unsigned int flags)
{
    struct dentry *old = NULL, *new = NULL;

    if (from->path.mount != to->path.mount)
        return -EXDEV;
    if (from->last_kind != PATH_LAST_NAME || to->last_kind != PATH_LAST_NAME)
        return (flags & RENAME_NO_REPLACE) && from->last_kind == PATH_LAST_NAME ? -EEXIST : -EBUSY;
    rename_lock_directories(from, to);

    int error = path_child_locked(from->path.dentry, from->last, from->last_length, &old);

    if (!error)
        error = path_child_locked(to->path.dentry, to->last, to->last_length, &new);
    if (!error)
        error = rename_locked(context, from, old, to, new, flags);
    rename_unlock_directories(from, to);
    if (old)
        dentry_release(old);
    if (new)
        dentry_release(new);
    return error;
}

int path_rename(const struct fs_context *context, const struct path *old_at, const char *old_name,
                const struct path *new_at, const char *new_name, unsigned int flags)
{
    struct path_walk from, to = { 0 };

    if ((flags & ~(RENAME_NO_REPLACE | RENAME_EXCHANGE)) || flags == (RENAME_NO_REPLACE | RENAME_EXCHANGE))
        return -EINVAL;

    int error = path_walk_start(&from, context, old_at, old_name, PATH_PARENT);

    if (!error)
        error = path_walk_run(&from);
    if (!error)
        error = path_walk_start(&to, context, new_at, new_name, PATH_PARENT);
    if (!error)
        error = path_walk_run(&to);
    if (!error)
        error = rename_walked(context, &from, &to, flags);
    path_walk_end(&from);
    path_walk_end(&to);
    return error;
}
