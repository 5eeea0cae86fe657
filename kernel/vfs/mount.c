/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of mounts. A mount is found by (parent mount, dentry); a dentry that carries any says so in dentry->mounts, so that the
 * walk asks the list only there. Lock: mount_lock, a spinlock, innermost; makers and removers hold mount_change as well.
 */
#include "kernel/vfs/mount.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/vfs.h"

static struct spinlock mount_lock = SPINLOCK_INITIALIZER("mounts", 0);
static struct list mounts = LIST_INITIALIZER(mounts); /* mount_lock */
static int next_id = 21;                              /* mount_lock; any start does */

void mount_take(struct mount *mount)
{
    reference_take(&mount->reference);
}

void mount_release(struct mount *mount)
{
    if (!mount || !reference_release(&mount->reference))
        return;

    struct file_system *file_system = mount->file_system;
    bool whole = dentry_inode(mount->root) == file_system->root;

    dentry_forget_tree(mount->root);
    dentry_release(mount->root);
    if (whole && file_system->operations->unmount) {
        /* The last mount of it: bind mounts hold the file system by a take on the first mount's root inode. */
        inode_release(file_system->root);
        if (file_system->operations->synchronize)
            file_system->operations->synchronize(file_system);
        file_system->operations->unmount(file_system);
    }
    memory_free(mount);
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

/* A mount of `root` (reference taken over), not yet in the list. */
static struct mount *mount_new(struct file_system *file_system, struct dentry *root, const char *source,
                               unsigned long flags)
{
    struct mount *mount = memory_allocate_zeroed(sizeof(*mount));

    if (!mount)
        return NULL;
    reference_init(&mount->reference);
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

static void mount_attach(struct mount *mount, const struct path *point)
{
    spinlock_lock(&mount_lock);
    mount->id = next_id++;
    if (point) {
        path_take(point);
        mount->parent = point->mount;
        mount->point = point->dentry;
        atomic_fetch_add(&point->dentry->mounts, 1);
    }
    mount->mounted = true;
    list_add_last(&mounts, &mount->link);
    spinlock_unlock(&mount_lock);
}

int mount_root(struct file_system *file_system, unsigned long flags, struct path *root)
{
    inode_take(file_system->root);

    struct dentry *dentry = dentry_create_root(file_system->root);
    struct mount *mount = dentry ? mount_new(file_system, dentry, "/dev/root", flags) : NULL;

    if (!mount) {
        if (dentry)
            dentry_release(dentry);
        else
            inode_release(file_system->root);
        return -ENOMEM;
    }
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

    if (!mount)
        dentry_release(from.dentry);
    else
        mount_attach(mount, point);
    if (mount && dentry_inode(from.dentry) == mount->file_system->root)
        mount_take(from.mount); /* its file system ends with the first mount, which now stays */
    path_release(&from);
    return mount ? 0 : -ENOMEM;
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
    inode_take(file_system->root);

    struct dentry *root = dentry_create_root(file_system->root);
    struct mount *mount = root ? mount_new(file_system, root, source, flags) : NULL;

    if (!mount) {
        if (root)
            dentry_release(root);
        else
            inode_release(file_system->root);
        inode_release(file_system->root);
        file_system->operations->unmount(file_system);
        return -ENOMEM;
    }
    mount_attach(mount, point);
    return 0;
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

int mount_remove(const struct fs_context *context, const char *target, int flags)
{
    struct path path, point;
    struct mount *other;
    int error;

    if (!credentials_capable(context->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    error = path_lookup(context, NULL, target, PATH_FOLLOW, &path);
    if (error)
        return error;

    struct mount *mount = path.mount;
    bool is_root = path.dentry == mount->root;

    dentry_forget_tree(mount->root);
    path_release(&path); /* the mounted reference keeps it */
    if (!is_root)
        return -EINVAL;
    spinlock_lock(&mount_lock);
    list_for_each(other, &mounts, link)
        if (other->parent == mount)
            error = -EBUSY;
    if (!mount->parent || (!(flags & UMOUNT_DETACH) && atomic_load(&mount->reference.count) != 1))
        error = -EBUSY;
    if (!error) {
        list_remove(&mount->link);
        mount->mounted = false;
        point = (struct path){ mount->parent, mount->point };
        atomic_fetch_sub(&mount->point->mounts, 1);
        mount->parent = NULL;
    }
    spinlock_unlock(&mount_lock);
    if (error)
        return error;
    path_release(&point);
    mount_release(mount);
    return 0;
}

void mount_for_each(void (*visit)(void *context, struct mount *mount), void *context)
{
    struct mount *mount;
    struct list *link;

    /* One by one, each referenced, so that `visit` may sleep. */
    spinlock_lock(&mount_lock);
    for (link = mounts.next; link != &mounts;) {
        mount = list_entry(link, struct mount, link);
        mount_take(mount);
        spinlock_unlock(&mount_lock);
        visit(context, mount);
        spinlock_lock(&mount_lock);
        link = mount->mounted ? mount->link.next : &mounts;
        spinlock_unlock(&mount_lock);
        mount_release(mount);
        spinlock_lock(&mount_lock);
    }
    spinlock_unlock(&mount_lock);
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
