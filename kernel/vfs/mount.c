/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of mounts. A mount is found by (parent mount, dentry); a dentry that carries any says so in dentry->mounts, so that the
 * walk asks the list only there. Mounts hold their file system, not each other: a bind mount goes on without the mount it was made
 * from, and the last of them ends the file system.
 * Locks: mount_change, a mutex, while mounts are hung up, taken down or visited; under it mount_lock, a spinlock, innermost, for
 * changes of the list and for who reads it without mount_change.
 */
#include "kernel/vfs/mount.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/mutex.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/vfs.h"

static struct mutex mount_change = MUTEX_INITIALIZER(mount_change, "mount change", 0);
static struct spinlock mount_lock = SPINLOCK_INITIALIZER("mounts", 0);
static struct list mounts = LIST_INITIALIZER(mounts); /* both to change, either to read */
static int next_id = 21;                              /* mount_change; any start does */

void mount_take(struct mount *mount)
{
    reference_take(&mount->reference);
}

void mount_release(struct mount *mount)
{
    if (!mount || !reference_release(&mount->reference))
        return;

    struct file_system *file_system = mount->file_system;

    dentry_release(mount->root);
    memory_free(mount);
    if (atomic_fetch_sub(&file_system->mounts, 1) == 1)
        file_system_end(file_system);
}

void file_system_end(struct file_system *file_system)
{
    const struct file_system_operations *operations = file_system->operations;

    file_system_end_watches(file_system);
    inode_release(file_system->root);
    /* Others may still be at the end of an inode: reclaim, the deferred work of inotify. They take no new references. */
    do {
        dentry_forget_all(file_system);
        if (operations->release_entries)
            operations->release_entries(file_system);
    } while (!file_system_wait_empty(file_system));
    if (operations->synchronize)
        operations->synchronize(file_system);
    operations->unmount(file_system);
}

struct mount *mount_on(const struct mount *parent, const struct dentry *point)
{
    struct mount *mount, *found = NULL;

    spinlock_lock(&mount_lock);
    list_for_each(mount, &mounts, link)
        if (mount->parent == parent && mount->point == point)
            found = mount;
    if (found)
        mount_take(found);
    spinlock_unlock(&mount_lock);
    return found;
}

bool mount_point(struct mount *mount, struct path *path)
{
    spinlock_lock(&mount_lock);
    bool hangs = mount->parent != NULL;
    if (hangs) {
        path->mount = mount->parent;
        path->dentry = mount->point;
        path_take(path);
    }
    spinlock_unlock(&mount_lock);
    return hangs;
}

int mount_writable(const struct path *path)
{
    bool read_only = path->mount->file_system->read_only || (atomic_load(&path->mount->flags) & MOUNT_READ_ONLY);

    return read_only ? -EROFS : 0;
}

struct file_system *mount_file_system(const struct mount *mount)
{
    return mount->file_system;
}

/* A mount of `root` (reference taken over, also on failure), not yet in the list; mount_release() undoes it. */
static struct mount *mount_new(struct file_system *file_system, struct dentry *root, const char *source,
                               unsigned long flags)
{
    struct mount *mount = memory_allocate_zeroed(sizeof(*mount));

    if (!mount) {
        if (root)
            dentry_release(root);
        return NULL;
    }
    reference_init(&mount->reference);
    atomic_fetch_add(&file_system->mounts, 1);
    mount->file_system = file_system;
    mount->root = root;
    atomic_init(&mount->flags, flags);
    list_init(&mount->link);
    format_string(mount->source, sizeof(mount->source), "%s", source);
    return mount;
}

struct mount *mount_create_internal(struct file_system *file_system)
{
    return mount_new(file_system, NULL, file_system->type, 0);
}

int mount_internal_path(struct mount *mount, struct inode *inode, struct path *path)
{
    struct dentry *dentry = dentry_create_root(inode);

    if (!dentry) {
        inode_release(inode);
        return -ENOMEM;
    }
    mount_take(mount);
    *path = (struct path){ mount, dentry };
    return 0;
}

/* A mount of all of the file system, not yet in the list. NULL: out of memory. */
static struct mount *mount_new_whole(struct file_system *file_system, const char *source, unsigned long flags)
{
    inode_take(file_system->root);

    struct dentry *root = dentry_create_root(file_system->root);

    if (!root) {
        inode_release(file_system->root);
        return NULL;
    }
    return mount_new(file_system, root, source, flags);
}

/* Hangs it there (NULL: it is the first). -EINVAL: the mount that the place is on has itself been taken down. */
static int mount_attach(struct mount *mount, const struct path *point)
{
    mutex_lock(&mount_change);
    spinlock_lock(&mount_lock);
    bool hangs = !point || point->mount->mounted;
    if (hangs) {
        mount->id = next_id++;
        if (point) {
            path_take(point);
            mount->parent = point->mount;
            mount->point = point->dentry;
            atomic_fetch_add(&point->dentry->mounts, 1);
        }
        mount->mounted = true;
        list_add_last(&mounts, &mount->link);
    }
    spinlock_unlock(&mount_lock);
    mutex_unlock(&mount_change);
    return hangs ? 0 : -EINVAL;
}

int mount_root(struct file_system *file_system, unsigned long flags, struct path *root)
{
    struct mount *mount = mount_new_whole(file_system, "/dev/root", flags);

    if (!mount)
        return -ENOMEM;
    mount_attach(mount, NULL);
    root->mount = mount;
    root->dentry = mount->root;
    path_take(root);
    return 0;
}

/* A second view of a part of the tree. */
static int mount_bind(const struct fs_context *context, const char *source, const struct path *point,
                      unsigned long flags)
{
    struct path from;
    int error = path_lookup(context, NULL, source, PATH_FOLLOW, &from);

    if (error)
        return error;
    if (((path_inode(&from)->mode ^ path_inode(point)->mode) & MODE_TYPE) != 0) {
        path_release(&from);
        return -ENOTDIR;
    }
    dentry_take(from.dentry);

    struct mount *mount = mount_new(from.mount->file_system, from.dentry, from.mount->source,
                                    (flags & ~MOUNT_BIND) | atomic_load(&from.mount->flags));

    error = mount ? mount_attach(mount, point) : -ENOMEM;
    if (error)
        mount_release(mount);
    path_release(&from);
    return error;
}

static int mount_new_file_system(const char *source, const struct path *point, const char *type, unsigned long flags,
                                 const char *options)
{
    const struct file_system_type *known = file_system_find_type(type);
    struct file_system *file_system;

    if (!known)
        return -ENODEV;

    int error = known->mount(source, flags, options ? options : "", &file_system);

    if (error)
        return error;

    struct mount *mount = mount_new_whole(file_system, source, flags);

    if (!mount) {
        file_system_end(file_system);
        return -ENOMEM;
    }
    error = mount_attach(mount, point);
    if (error)
        mount_release(mount);
    return error;
}

int mount_create(const struct fs_context *context, const char *source, const char *target, const char *type,
                 unsigned long flags, const char *options)
{
    const unsigned long kept =
        MOUNT_READ_ONLY | MOUNT_NO_SUID | MOUNT_NO_DEVICES | MOUNT_NO_EXECUTE | MOUNT_NO_ACCESS_TIME;
    struct path point;

    if (!credentials_capable(context->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;

    int error = path_lookup(context, NULL, target, PATH_FOLLOW, &point);

    if (error)
        return error;
    if (flags & MOUNT_REMOUNT) {
        if (point.dentry == point.mount->root)
            atomic_store(&point.mount->flags, flags & kept);
        else
            error = -EINVAL;
    } else if (flags & MOUNT_BIND) {
        error = mount_bind(context, source, &point, flags & (kept | MOUNT_BIND));
    } else if ((path_inode(&point)->mode & MODE_TYPE) != MODE_DIRECTORY) {
        error = -ENOTDIR;
    } else {
        error = mount_new_file_system(source, &point, type, flags & kept, options);
    }
    path_release(&point);
    return error;
}

/* Linux's MNT_DETACH: take it out of the tree even where it is in use. */
#define UMOUNT_DETACH 2

/* Takes the mount whose root `path` is out of the tree; *point is where it hung. mount_change held; `path` is the caller's own. */
static int mount_detach(const struct path *path, int flags, struct path *point)
{
    struct mount *mount = path->mount, *other;
    int error = 0;

    spinlock_lock(&mount_lock);
    list_for_each(other, &mounts, link)
        if (other->parent == mount)
            error = -EBUSY;
    /* It has one reference for being mounted and the caller's; no more can come from elsewhere while mount_lock is held. */
    if (!mount->parent || (!(flags & UMOUNT_DETACH) && atomic_load(&mount->reference.count) != 2))
        error = -EBUSY;
    if (path->dentry != mount->root || !mount->mounted)
        error = -EINVAL;
    if (!error) {
        list_remove(&mount->link);
        mount->mounted = false;
        *point = (struct path){ mount->parent, mount->point };
        atomic_fetch_sub(&mount->point->mounts, 1);
        mount->parent = NULL;
        mount->point = NULL;
    }
    spinlock_unlock(&mount_lock);
    return error;
}

int mount_remove(const struct fs_context *context, const char *target, int flags)
{
    struct path path, point;

    if (!credentials_capable(context->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;

    int error = path_lookup(context, NULL, target, PATH_FOLLOW, &path);

    if (error)
        return error;

    struct mount *mount = path.mount;

    mutex_lock(&mount_change);
    error = mount_detach(&path, flags, &point);
    mutex_unlock(&mount_change);
    path_release(&path);
    if (error)
        return error;
    path_release(&point);
    mount_release(mount);
    return 0;
}

void mount_for_each(void (*visit)(void *context, struct mount *mount), void *context)
{
    struct mount *mount;

    /* The mutex, not a reference: umount must not find a mount busy because it is visited. */
    mutex_lock(&mount_change);
    list_for_each(mount, &mounts, link)
        visit(context, mount);
    mutex_unlock(&mount_change);
}

static void synchronize_one(void *context, struct mount *mount)
{
    int *first_error = context;
    struct file_system *file_system = mount->file_system;
    int error = file_system->operations->synchronize ? file_system->operations->synchronize(file_system) : 0;

    if (error && !*first_error)
        *first_error = error;
}

int mount_synchronize_all(void)
{
    int first_error = 0;

    mount_for_each(synchronize_one, &first_error);
    return first_error;
}
