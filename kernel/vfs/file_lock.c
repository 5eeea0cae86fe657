/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All advisory locks hang on their inodes, under one mutex; whoever must wait sleeps on one queue and looks again
 * whenever any lock goes. Both are rarely held and never for long.
 *
 * Record locks of one owner never overlap: a new one splits, shrinks or swallows the owner's older ones. A waiting
 * record lock is remembered with what it waits for, so that a ring of waiting processes is found (-EDEADLK).
 */
#include "kernel/vfs/file_lock.h"

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/process_hooks.h"

enum lock_kind { LOCK_WHOLE, LOCK_RECORD };

/* Locks: m locks_mutex. */
struct file_lock {
    struct list link;      /* m inode->locks */
    enum lock_kind kind;
    enum file_lock_type type;
    uint64_t start, end;   /* m */
    const void *owner;     /* struct file *, or the process id as a pointer */
    int pid;
};

/* A process that sleeps for a record lock, on the stack of its thread. */
struct lock_waiter {
    struct list link;      /* m waiters */
    const void *owner, *waits_for;
};

static struct mutex locks_mutex;
static struct wait_queue lock_gone;
static struct list waiters = LIST_INITIALIZER(waiters);
static size_t lock_total; /* m */
static atomic_uint lock_generation; /* grows with every lock that goes */

void file_lock_init(void)
{
    mutex_init(&locks_mutex, "file locks", 0);
    wait_queue_init(&lock_gone);
}

static const void *process_owner(int *pid)
{
    struct process_identity identity = { 0 };

    vfs_process->identity(&identity);
    *pid = identity.pid;
    return (const void *)(uintptr_t)(unsigned int)identity.pid;
}

static struct file_lock *lock_add(struct inode *inode, enum lock_kind kind, const struct file_lock_range *range,
                                  const void *owner, int pid)
{
    struct file_lock *lock = memory_allocate_zeroed(sizeof(*lock));

    if (!lock)
        return NULL;
    lock->kind = kind;
    lock->type = range->type;
    lock->start = range->start;
    lock->end = range->end;
    lock->owner = owner;
    lock->pid = pid;
    list_add_last(&inode->locks, &lock->link);
    lock_total++;
    return lock;
}

static void lock_drop(struct file_lock *lock)
{
    list_remove(&lock->link);
    lock_total--;
    memory_free(lock);
}

static void tell_waiters(void)
{
    atomic_fetch_add(&lock_generation, 1);
    wait_queue_wake_all(&lock_gone, 0);
}

/* The first lock of another owner that forbids this one, or NULL. */
static struct file_lock *conflict(struct inode *inode, enum lock_kind kind, const struct file_lock_range *range,
                                  const void *owner)
{
    struct file_lock *lock;

    list_for_each(lock, &inode->locks, link)
        if (lock->kind == kind && lock->owner != owner && lock->start < range->end && range->start < lock->end &&
            (lock->type == FILE_LOCK_WRITE || range->type == FILE_LOCK_WRITE))
            return lock;
    return NULL;
}

/* Takes the range out of what the owner holds. A lock in whose middle it lies is split: 0 or -ENOLCK. */
static int carve(struct inode *inode, enum lock_kind kind, const struct file_lock_range *range, const void *owner)
{
    struct file_lock *lock, *following;

    list_for_each_safe(lock, following, &inode->locks, link) {
        if (lock->kind != kind || lock->owner != owner || lock->end <= range->start || lock->start >= range->end)
            continue;
        if (lock->start < range->start && lock->end > range->end) {
            struct file_lock_range tail = { .type = lock->type, .start = range->end, .end = lock->end };

            if (!lock_add(inode, kind, &tail, owner, lock->pid))
                return -ENOLCK;
            lock->end = range->start;
        } else if (lock->start < range->start) {
            lock->end = range->start;
        } else if (lock->end > range->end) {
            lock->start = range->end;
        } else {
            lock_drop(lock);
        }
    }
    return 0;
}

/* Would waiting for `holder` close a ring of waiting owners? */
static bool would_deadlock(const void *owner, const void *holder)
{
    for (unsigned int steps = 0; steps < 64; steps++) {
        struct lock_waiter *waiter;
        bool waits = false;

        if (holder == owner)
            return true;
        list_for_each(waiter, &waiters, link)
            if (waiter->owner == holder) {
                holder = waiter->waits_for;
                waits = true;
                break;
            }
        if (!waits)
            return false;
    }
    return true;
}

/* Sleeps until some lock has gone; locks_mutex is dropped meanwhile. 0 or -ERESTARTSYS. */
static int wait_for_change(const void *owner, const void *holder)
{
    struct lock_waiter waiter = { .owner = owner, .waits_for = holder };
    unsigned int generation = atomic_load(&lock_generation);

    list_add_last(&waiters, &waiter.link);
    mutex_unlock(&locks_mutex);
    int error = WAIT_UNTIL(&lock_gone, atomic_load(&lock_generation) != generation, WAIT_FOREVER, WAIT_INTERRUPTIBLE);
    mutex_lock(&locks_mutex);
    list_remove(&waiter.link);
    return error ? -ERESTARTSYS : 0;
}

static int lock_set(struct inode *inode, enum lock_kind kind, const struct file_lock_range *range, const void *owner,
                    int pid, bool wait, bool find_deadlocks)
{
    struct file_lock *other;
    int error = 0;

    mutex_lock(&locks_mutex);
    while (range->type != FILE_LOCK_UNLOCK && (other = conflict(inode, kind, range, owner))) {
        if (!wait)
            error = -EAGAIN;
        else if (find_deadlocks && would_deadlock(owner, other->owner))
            error = -EDEADLK;
        else
            error = wait_for_change(owner, other->owner);
        if (error)
            break;
    }
    if (!error)
        error = carve(inode, kind, range, owner);
    if (!error && range->type != FILE_LOCK_UNLOCK && !lock_add(inode, kind, range, owner, pid))
        error = -ENOLCK;
    mutex_unlock(&locks_mutex);
    if (!error)
        tell_waiters(); /* also a write lock turned into a read lock lets others in */
    return error;
}

int file_lock_whole(struct file *file, enum file_lock_type type, bool wait)
{
    struct file_lock_range range = { .type = type, .start = 0, .end = UINT64_MAX };

    if (!file->inode)
        return -EBADF;
    return lock_set(file->inode, LOCK_WHOLE, &range, file, 0, wait, false);
}

int file_lock_range_set(struct file *file, const struct file_lock_range *range, bool by_file, bool wait)
{
    int pid = -1;
    const void *owner = by_file ? file : process_owner(&pid);

    if (!file->inode || (range->type == FILE_LOCK_READ && !file->readable) ||
        (range->type == FILE_LOCK_WRITE && !file->writable))
        return -EBADF;
    if (range->start >= range->end)
        return -EINVAL;
    return lock_set(file->inode, LOCK_RECORD, range, owner, pid, wait, !by_file);
}

void file_lock_range_get(struct file *file, struct file_lock_range *range, bool by_file)
{
    int pid = -1;
    const void *owner = by_file ? file : process_owner(&pid);

    mutex_lock(&locks_mutex);
    struct file_lock *other = file->inode ? conflict(file->inode, LOCK_RECORD, range, owner) : NULL;
    if (other)
        *range = (struct file_lock_range){ .type = other->type, .start = other->start, .end = other->end, .pid = other->pid };
    else
        range->type = FILE_LOCK_UNLOCK;
    mutex_unlock(&locks_mutex);
}

/* Drops what the owner holds of either kind. */
static void drop_all(struct inode *inode, const void *owner)
{
    struct file_lock *lock, *following;
    bool dropped = false;

    if (list_empty(&inode->locks))
        return;
    mutex_lock(&locks_mutex);
    list_for_each_safe(lock, following, &inode->locks, link)
        if (lock->owner == owner) {
            lock_drop(lock);
            dropped = true;
        }
    mutex_unlock(&locks_mutex);
    if (dropped)
        tell_waiters();
}

void file_lock_release_process(struct file *file)
{
    int pid;

    if (!list_empty(&file->inode->locks))
        drop_all(file->inode, process_owner(&pid));
}

void file_lock_release_file(struct file *file)
{
    drop_all(file->inode, file);
}

size_t file_lock_count(void)
{
    mutex_lock(&locks_mutex);
    size_t count = lock_total;
    mutex_unlock(&locks_mutex);
    return count;
}
