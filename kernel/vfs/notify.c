/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watches on inodes. One spinlock guards every inode's list; a watch's call-back runs under it and only queues.
 */
#include "kernel/vfs/notify.h"

#include "kernel/vfs/inode.h"
#include "kernel/vfs/notify_watch.h"

static struct spinlock notify_lock = SPINLOCK_INITIALIZER("notify", 0);

void notify_watch_add(struct inode *inode, struct notify_watch *watch)
{
    spinlock_lock(&notify_lock);
    list_add_last(&inode->watches, &watch->link);
    spinlock_unlock(&notify_lock);
}

void notify_watch_remove(struct notify_watch *watch)
{
    spinlock_lock(&notify_lock);
    list_remove(&watch->link);
    spinlock_unlock(&notify_lock);
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
