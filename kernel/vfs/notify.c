/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watches on inodes. One spinlock guards every inode's list; a watch's call-back runs under it and only queues.
 */
#include "kernel/vfs/notify.h"

#include "kernel/vfs/dentry.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/notify_watch.h"
#include "kernel/vfs/path.h"

static struct spinlock notify_lock = SPINLOCK_INITIALIZER("notify", 0);

static atomic_uint watch_count; /* nobody looks for a directory's watches while there are none at all */

void notify_watch_add(struct inode *inode, struct notify_watch *watch)
{
    spinlock_lock(&notify_lock);
    list_add_last(&inode->watches, &watch->link);
    spinlock_unlock(&notify_lock);
    atomic_fetch_add(&watch_count, 1);
}

void notify_watch_remove(struct notify_watch *watch)
{
    spinlock_lock(&notify_lock);
    list_remove(&watch->link);
    spinlock_unlock(&notify_lock);
    atomic_fetch_sub(&watch_count, 1);
}

static void tell(struct inode *inode, uint32_t events, const char *name, uint32_t cookie)
{
    struct notify_watch *watch, *following;

    spinlock_lock(&notify_lock);
    list_for_each_safe(watch, following, &inode->watches, link)
        watch->event(watch, events, name, cookie);
    spinlock_unlock(&notify_lock);
}

void notify_entry(struct inode *directory, uint32_t events, const char *name, uint32_t cookie)
{
    if (unlikely(!list_empty(&directory->watches)))
        tell(directory, events, name, cookie);
}

void notify_inode(struct inode *inode, uint32_t events)
{
    if (unlikely(!list_empty(&inode->watches)))
        tell(inode, events | ((inode->mode & MODE_TYPE) == MODE_DIRECTORY ? NOTIFY_IS_DIRECTORY : 0), NULL, 0);
}

static void tell_directory(struct dentry *dentry, uint32_t events)
{
    struct dentry *parent;
    char name[256];

    dentry_name(dentry, name, &parent);
    if (!parent)
        return;
    notify_entry(dentry_inode(parent), events, name, 0);
    dentry_release(parent);
}

void notify_path(const struct path *path, uint32_t events)
{
    struct inode *inode = path_inode(path);

    if (likely(atomic_load_explicit(&watch_count, memory_order_relaxed) == 0))
        return;
    notify_inode(inode, events);
    tell_directory(path->dentry, events | ((inode->mode & MODE_TYPE) == MODE_DIRECTORY ? NOTIFY_IS_DIRECTORY : 0));
}

void notify_file(struct file *file, uint32_t events)
{
    if (likely(atomic_load_explicit(&watch_count, memory_order_relaxed) == 0))
        return;
    if (file->path.dentry)
        notify_path(&file->path, events);
    else if (file->inode)
        notify_inode(file->inode, events);
}
