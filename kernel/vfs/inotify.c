/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inotify: watches on inodes, and a queue of events that a file gives to its reader.
 *
 *   notify_*() --watch_event, under the notify lock--> event on the queue --> reader
 *
 * A watch holds its inode, but no mount: an unmount ends it. It ends by inotify_remove_watch(), with its file, or by itself (the
 * inode was deleted, its file system unmounted, or IN_ONESHOT): then watch_event only unhooks it, and deferred work drops the inode.
 * Lock order: inotify->lock (watches) > notify lock > queue.lock (events).
 */
#include "kernel/vfs/inotify.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/tree.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/timer.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/notify.h"
#include "kernel/vfs/notify_watch.h"
#include "xen/x86/user_access.h"

#define EVENTS_ALL 0xfffu
#define EVENT_OVERFLOW 0x4000u
#define EVENT_IGNORED 0x8000u
#define MASK_CREATE 0x10000000u
#define MASK_ADD 0x20000000u
#define MASK_ONE_SHOT 0x80000000u
#define COMMAND_BYTES_READABLE 0x541bu /* FIONREAD */
#define NAME_UNIT 16u

uint32_t inotify_queue_limit = 16384, inotify_watch_limit = 65536, inotify_instance_limit = 128;

/* As programs read it. */
struct event_header {
    int32_t watch;
    uint32_t mask, cookie, name_bytes;
};

struct inotify_event {
    struct list link;
    struct event_header header;
    char name[]; /* padded with zeroes to header.name_bytes */
};

/* Locks: l lock; q queue.lock. */
struct inotify {
    struct mutex lock;
    struct tree watches;          /* l by descriptor */
    int next_watch;               /* l */
    uint32_t watch_count;         /* l */
    struct wait_queue queue;
    struct list events;           /* q */
    uint32_t event_count;         /* q */
    uint64_t event_bytes;         /* q */
    atomic_bool reap;             /* a watch ended by itself */
    struct deferred_work reaper;
};

struct inotify_watch {
    struct notify_watch notify;
    struct tree_node node;        /* l */
    struct inotify *inotify;      /* fixed */
    struct inode *inode;          /* fixed, referenced */
    int number;                   /* fixed */
    _Atomic uint32_t mask;        /* l to change */
    atomic_bool ended;
};

static const struct file_operations inotify_operations;

/* queue.lock held. */
static bool same_as_last(struct inotify *inotify, const struct event_header *header, const char *name)
{
    struct inotify_event *last = list_last(&inotify->events, struct inotify_event, link);

    return last && last->header.watch == header->watch && last->header.mask == header->mask &&
           last->header.cookie == header->cookie && last->header.name_bytes == header->name_bytes &&
           (header->name_bytes == 0 || strcmp(last->name, name) == 0);
}

static void event_append(struct inotify *inotify, struct inotify_event *event)
{
    list_add_last(&inotify->events, &event->link);
    inotify->event_count++;
    inotify->event_bytes += sizeof(event->header) + event->header.name_bytes;
    wait_queue_wake_locked(&inotify->queue, POLL_IN | POLL_READ_NORMAL, ~0u);
}

/* Any context that may hold spinlocks. What finds no memory or no room is told by an overflow. */
static void event_queue(struct inotify *inotify, int watch, uint32_t mask, const char *name, uint32_t cookie)
{
    size_t name_length = name ? strlen(name) + 1 : 0;
    struct event_header header = {.watch = watch, .mask = mask, .cookie = cookie,
                                  .name_bytes = (uint32_t)round_up(name_length, NAME_UNIT)};

    spinlock_lock(&inotify->queue.lock);
    bool overflow = inotify->event_count >= inotify_queue_limit;
    if (overflow)
        header = (struct event_header){.watch = -1, .mask = EVENT_OVERFLOW};
    if (!same_as_last(inotify, &header, name)) {
        struct inotify_event *event = memory_allocate(sizeof(*event) + header.name_bytes);

        if (event) {
            event->header = header;
            memset(event->name, 0, header.name_bytes);
            if (header.name_bytes > 0)
                memcpy(event->name, name, name_length);
            event_append(inotify, event);
        }
    }
    spinlock_unlock(&inotify->queue.lock);
}

/* Under the notify lock. */
static void watch_event(struct notify_watch *notify, uint32_t events, const char *name, uint32_t cookie)
{
    struct inotify_watch *watch = container_of(notify, struct inotify_watch, notify);
    uint32_t mask = atomic_load(&watch->mask), told = events & ((mask & EVENTS_ALL) | NOTIFY_UNMOUNT);

    if (told)
        event_queue(watch->inotify, watch->number, told | (events & NOTIFY_IS_DIRECTORY), name, cookie);
    if (!(events & (NOTIFY_DELETE_SELF | NOTIFY_UNMOUNT)) && !(told && (mask & MASK_ONE_SHOT)))
        return;
    list_remove(&notify->link);
    event_queue(watch->inotify, watch->number, EVENT_IGNORED, NULL, 0);
    atomic_store(&watch->ended, true);
    atomic_store(&watch->inotify->reap, true);
    deferred_work_schedule(&watch->inotify->reaper);
}

/* lock held. */
static struct inotify_watch *watch_find(struct inotify *inotify, int number)
{
    struct tree_node *node = inotify->watches.root;

    while (node) {
        struct inotify_watch *watch = tree_entry(node, struct inotify_watch, node);

        if (watch->number == number)
            return watch;
        node = number < watch->number ? node->left : node->right;
    }
    return NULL;
}

static struct inotify_watch *watch_find_inode(struct inotify *inotify, const struct inode *inode)
{
    for (struct tree_node *node = tree_first(&inotify->watches); node; node = tree_next(node)) {
        struct inotify_watch *watch = tree_entry(node, struct inotify_watch, node);

        if (watch->inode == inode && !atomic_load(&watch->ended))
            return watch;
    }
    return NULL;
}

static void watch_insert(struct inotify *inotify, struct inotify_watch *watch)
{
    struct tree_node **link = &inotify->watches.root, *parent = NULL;

    while (*link) { /* numbers only grow: always rightmost */
        parent = *link;
        link = &parent->right;
    }
    tree_insert(&inotify->watches, &watch->node, parent, link);
    inotify->watch_count++;
}

/* lock held; drops the inode, which may end it. */
static void watch_remove(struct inotify *inotify, struct inotify_watch *watch)
{
    notify_watch_remove(&watch->notify);
    tree_remove(&inotify->watches, &watch->node);
    inotify->watch_count--;
    inode_release(watch->inode);
    memory_free(watch);
}

/* Deferred work: watches that ended by themselves. */
static void inotify_reap(struct deferred_work *work)
{
    struct inotify *inotify = container_of(work, struct inotify, reaper);

    mutex_lock(&inotify->lock);
    struct tree_node *node = atomic_exchange(&inotify->reap, false) ? tree_first(&inotify->watches) : NULL;
    while (node) {
        struct inotify_watch *watch = tree_entry(node, struct inotify_watch, node);

        node = tree_next(node);
        if (atomic_load(&watch->ended))
            watch_remove(inotify, watch);
    }
    mutex_unlock(&inotify->lock);
}

static int watch_create(struct inotify *inotify, struct inode *inode, uint32_t mask)
{
    struct inotify_watch *watch;

    if (inotify->watch_count >= inotify_watch_limit)
        return -ENOSPC;
    watch = memory_allocate_zeroed(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->inotify = inotify;
    watch->inode = inode;
    inode_take(inode);
    watch->number = ++inotify->next_watch;
    atomic_init(&watch->mask, mask);
    watch->notify.event = watch_event;
    list_init(&watch->notify.link);
    watch_insert(inotify, watch);
    notify_watch_add(inode, &watch->notify);
    return watch->number;
}

int inotify_add_watch(struct file *file, const struct path *path, uint32_t mask)
{
    struct inode *inode = path_inode(path);
    int result;

    if (file->operations != &inotify_operations || !(mask & EVENTS_ALL) || ((mask & MASK_ADD) && (mask & MASK_CREATE)))
        return -EINVAL;
    result = inode_permission(inode, file->credentials, 4);
    if (result)
        return result;

    struct inotify *inotify = file->data;
    uint32_t kept = mask & (EVENTS_ALL | MASK_ONE_SHOT);
    mutex_lock(&inotify->lock);
    struct inotify_watch *watch = watch_find_inode(inotify, inode);
    if (!watch) {
        result = watch_create(inotify, inode, kept);
    } else if (mask & MASK_CREATE) {
        result = -EEXIST;
    } else {
        atomic_store(&watch->mask, mask & MASK_ADD ? atomic_load(&watch->mask) | kept : kept);
        result = watch->number;
    }
    mutex_unlock(&inotify->lock);
    return result;
}

int inotify_remove_watch(struct file *file, int number)
{
    struct inotify *inotify = file->data;
    int error = 0;

    if (file->operations != &inotify_operations)
        return -EINVAL;
    mutex_lock(&inotify->lock);
    struct inotify_watch *watch = watch_find(inotify, number);
    if (!watch || atomic_load(&watch->ended)) {
        error = -EINVAL;
    } else {
        watch_remove(inotify, watch);
        event_queue(inotify, number, EVENT_IGNORED, NULL, 0);
    }
    mutex_unlock(&inotify->lock);
    return error;
}

/* The first event if it fits, off the queue. NULL: none, or (*small) it does not fit. */
static struct inotify_event *event_take(struct inotify *inotify, size_t room, bool *small)
{
    spinlock_lock(&inotify->queue.lock);
    struct inotify_event *event = list_first(&inotify->events, struct inotify_event, link);
    *small = event && sizeof(event->header) + event->header.name_bytes > room;
    if (*small)
        event = NULL;
    if (event) {
        list_remove(&event->link);
        inotify->event_count--;
        inotify->event_bytes -= sizeof(event->header) + event->header.name_bytes;
    }
    spinlock_unlock(&inotify->queue.lock);
    return event;
}

static long read_present(struct inotify *inotify, struct io_vector *vector)
{
    long done = 0;
    bool small;

    for (;;) {
        struct inotify_event *event = event_take(inotify, vector->remaining_bytes, &small);
        if (!event)
            return done > 0 ? done : small ? -EINVAL : -EAGAIN;

        size_t length = sizeof(event->header) + event->header.name_bytes;
        size_t moved = io_vector_put(vector, &event->header, sizeof(event->header));
        moved += io_vector_put(vector, event->name, event->header.name_bytes);
        memory_free(event);
        if (moved < length)
            return done > 0 ? done : -EFAULT;
        done += (long)moved;
    }
}

static bool has_events(struct inotify *inotify)
{
    return read_once(inotify->event_count) != 0;
}

static long inotify_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct inotify *inotify = file->data;

    for (;;) {
        long done = read_present(inotify, vector);

        if (done != -EAGAIN || (atomic_load(&file->flags) & FILE_NONBLOCK))
            return done;
        if (WAIT_UNTIL(&inotify->queue, has_events(inotify), WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return -ERESTARTSYS;
    }
}

static uint32_t inotify_poll(struct file *file, struct poll_table *table)
{
    struct inotify *inotify = file->data;

    poll_wait(table, &inotify->queue);
    return has_events(inotify) ? POLL_IN | POLL_READ_NORMAL : 0;
}

static long inotify_ioctl(struct file *file, unsigned int command, uint64_t argument)
{
    struct inotify *inotify = file->data;

    if (command != COMMAND_BYTES_READABLE)
        return -ENOTTY;
    int32_t bytes = (int32_t)read_once(inotify->event_bytes);
    return user_store(argument, &bytes);
}

static void inotify_release(struct file *file)
{
    struct inotify *inotify = file->data;
    struct inotify_event *event, *following;
    struct tree_node *node;

    mutex_lock(&inotify->lock);
    while ((node = tree_first(&inotify->watches)) != NULL)
        watch_remove(inotify, tree_entry(node, struct inotify_watch, node));
    mutex_unlock(&inotify->lock);
    deferred_work_cancel(&inotify->reaper);
    list_for_each_safe(event, following, &inotify->events, link)
        memory_free(event);
    memory_free(inotify);
}

static size_t inotify_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "anon_inode:inotify");
}

static const struct file_operations inotify_operations = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
    .describe = inotify_describe,
};

int inotify_create(unsigned int flags, struct credentials *credentials, struct file **file)
{
    struct inotify *inotify = memory_allocate_zeroed(sizeof(*inotify));

    if (!inotify)
        return -ENOMEM;
    mutex_init(&inotify->lock, "inotify", 0);
    wait_queue_init(&inotify->queue);
    list_init(&inotify->events);
    deferred_work_init(&inotify->reaper, inotify_reap);

    int error = file_create_anonymous(&inotify_operations, inotify, (flags & ~FILE_ACCESS_MODE) | FILE_READ_ONLY, credentials, file);
    if (error)
        memory_free(inotify);
    return error;
}
