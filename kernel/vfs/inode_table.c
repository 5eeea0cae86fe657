/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inodes in memory, by file system and number: at most one for each.
 *
 *   (absent) --inode_get, fresh--> FILLING --inode_ready--> READY --last release--> DYING --> (absent)
 *                                      \--inode_discard--> (absent)
 *
 * Who meets a FILLING or DYING inode waits until it is over. The table holds no references: an inode lives as long as
 * dentries and open files hold it. The last touch of a file system by an inode that goes is the count in file_system->inodes: who
 * ends the file system waits for it. Lock: file_system->inode_lock (a mutex), innermost but for the wait queue and the notify lock.
 */
#include "kernel/vfs/inode.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/hash.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/notify.h"
#include "kernel/vfs/vfs.h"
#include "xen/machine/clock.h"

enum inode_state { INODE_FILLING, INODE_READY, INODE_DYING };

#define INODE_BUCKETS 256

static struct object_cache *inode_cache;
static struct wait_queue state_changed;
static const struct file_system_type *const *registered_types;
static size_t registered_type_count;

int inode_table_init(void)
{
    wait_queue_init(&state_changed);
    inode_cache = object_cache_create("inode", sizeof(struct inode), 8);
    return inode_cache ? 0 : -ENOMEM;
}

int file_system_register_types(const struct file_system_type *const *types, size_t count)
{
    registered_types = types;
    registered_type_count = count;
    return 0;
}

const struct file_system_type *file_system_find_type(const char *name)
{
    for (size_t i = 0; i < registered_type_count; i++)
        if (strcmp(registered_types[i]->name, name) == 0)
            return registered_types[i];
    return NULL;
}

const struct file_system_type *file_system_type_at(size_t index)
{
    return index < registered_type_count ? registered_types[index] : NULL;
}

/* Device numbers of file systems without a disk, as Linux gives them: major 0. */
static uint64_t anonymous_device(void)
{
    static atomic_uint next = 1;

    return atomic_fetch_add(&next, 1);
}

int file_system_init(struct file_system *file_system, const char *type,
                     const struct file_system_operations *operations, void *data)
{
    memset(file_system, 0, sizeof(*file_system));
    file_system->inode_buckets = memory_allocate(INODE_BUCKETS * sizeof(file_system->inode_buckets[0]));
    if (!file_system->inode_buckets)
        return -ENOMEM;
    for (size_t i = 0; i < INODE_BUCKETS; i++)
        list_init(&file_system->inode_buckets[i]);
    file_system->inode_bucket_count = INODE_BUCKETS;
    file_system->type = type;
    file_system->operations = operations;
    file_system->device = anonymous_device();
    file_system->data = data;
    mutex_init(&file_system->inode_lock, "inode table", 0);
    return 0;
}

void file_system_destroy(struct file_system *file_system)
{
    assert(atomic_load(&file_system->inodes) == 0);
    memory_free(file_system->inode_buckets);
    file_system->inode_buckets = NULL;
}

static struct list *bucket_of(struct file_system *file_system, uint64_t number)
{
    return &file_system->inode_buckets[hash_integer(number) % file_system->inode_bucket_count];
}

/* A new inode in the table, FILLING. Caller holds inode_lock. */
static struct inode *inode_create(struct file_system *file_system, uint64_t number)
{
    struct inode *inode = object_cache_allocate(inode_cache);

    if (!inode)
        return NULL;
    memset(inode, 0, sizeof(*inode));
    reference_init(&inode->reference);
    rw_lock_init(&inode->lock, "inode", 0);
    atomic_init(&inode->state, INODE_FILLING);
    inode->file_system = file_system;
    inode->number = number;
    list_init(&inode->locks);
    list_init(&inode->watches);
    list_add_first(bucket_of(file_system, number), &inode->hash_link);
    atomic_fetch_add(&file_system->inodes, 1);
    return inode;
}

/* One look: 0 with *inode, or -EAGAIN after having waited for the one in the way. */
static int inode_try_get(struct file_system *file_system, uint64_t number, struct inode **inode, bool *fresh)
{
    struct inode *found;

    mutex_lock(&file_system->inode_lock);
    list_for_each(found, bucket_of(file_system, number), hash_link) {
        if (found->number != number)
            continue;
        if (atomic_load(&found->state) == INODE_READY && reference_take_if_alive(&found->reference)) {
            mutex_unlock(&file_system->inode_lock);
            *inode = found;
            *fresh = false;
            return 0;
        }
        /* Being filled, or on its way out: it may be freed once the lock is dropped, so only the queue is waited on. */
        struct wait_entry entry = { 0 };

        wait_begin(&state_changed, &entry);
        thread_sleep_prepare();
        mutex_unlock(&file_system->inode_lock);
        wait_sleep(&entry, clock_monotonic_ns() + 10000000, WAIT_UNINTERRUPTIBLE); /* the unlock may have eaten the wake */
        wait_end(&entry);
        return -EAGAIN;
    }
    *inode = inode_create(file_system, number);
    *fresh = true;
    mutex_unlock(&file_system->inode_lock);
    return *inode ? 0 : -ENOMEM;
}

int inode_get(struct file_system *file_system, uint64_t number, struct inode **inode, bool *fresh)
{
    int error;

    do {
        error = inode_try_get(file_system, number, inode, fresh);
    } while (error == -EAGAIN);
    return error;
}

void inode_ready(struct inode *inode)
{
    atomic_store(&inode->state, INODE_READY);
    wait_queue_wake_all(&state_changed, 0);
}

/* Out of the table and gone; nobody else can hold it. */
static void inode_free(struct inode *inode)
{
    struct file_system *file_system = inode->file_system;

    mutex_lock(&file_system->inode_lock);
    list_remove(&inode->hash_link);
    mutex_unlock(&file_system->inode_lock);
    object_cache_free(inode_cache, inode);
    atomic_fetch_sub(&file_system->inodes, 1); /* the file system may go from here on: file_system_wait_empty() */
    wait_queue_wake_all(&state_changed, 0);
}

void inode_discard(struct inode *inode)
{
    if (inode->has_cache)
        page_cache_destroy(&inode->cache);
    inode_free(inode);
}

void inode_take(struct inode *inode)
{
    reference_take(&inode->reference);
}

void inode_release(struct inode *inode)
{
    if (!reference_release(&inode->reference))
        return;
    atomic_store(&inode->state, INODE_DYING);
    if (inode->endpoint && inode->endpoint_release)
        inode->endpoint_release(inode->endpoint);
    if (inode->has_cache && inode->links != 0)
        page_cache_synchronize(&inode->cache, 0, UINT64_MAX);
    if (inode->has_cache)
        page_cache_destroy(&inode->cache);
    if (inode->file_system->operations->release_inode)
        inode->file_system->operations->release_inode(inode);
    inode_free(inode);
}

void file_system_end_watches(struct file_system *file_system)
{
    struct inode *inode;

    mutex_lock(&file_system->inode_lock);
    for (uint32_t i = 0; i < file_system->inode_bucket_count; i++)
        list_for_each(inode, &file_system->inode_buckets[i], hash_link)
            notify_inode(inode, NOTIFY_UNMOUNT);
    mutex_unlock(&file_system->inode_lock);
}

bool file_system_wait_empty(struct file_system *file_system)
{
    return WAIT_UNTIL(&state_changed, atomic_load(&file_system->inodes) == 0, clock_monotonic_ns() + 10000000,
                      WAIT_UNINTERRUPTIBLE) == 0;
}

void inode_init_cache(struct inode *inode, const struct page_source *source)
{
    page_cache_init(&inode->cache, source, inode, inode->size_bytes);
    inode->has_cache = true;
}

void inode_apply_attributes(struct inode *inode, const struct inode_attributes *attributes)
{
    if (attributes->valid & ATTRIBUTE_MODE)
        inode->mode = (inode->mode & MODE_TYPE) | (attributes->mode & ~MODE_TYPE);
    if (attributes->valid & ATTRIBUTE_UID)
        inode->uid = attributes->uid;
    if (attributes->valid & ATTRIBUTE_GID)
        inode->gid = attributes->gid;
    if (attributes->valid & ATTRIBUTE_ACCESS_TIME)
        inode->access_time = attributes->access_time;
    if (attributes->valid & ATTRIBUTE_MODIFY_TIME)
        inode->modify_time = attributes->modify_time;
    if (attributes->valid & ATTRIBUTE_CHANGE_TIME)
        inode->change_time = attributes->change_time;
    inode->change_count++;
}

struct inode_time inode_now(void)
{
    uint64_t now_ns = clock_real_ns();

    return (struct inode_time){ .seconds = (int64_t)(now_ns / 1000000000), .nanoseconds = now_ns % 1000000000 };
}

/* Linux's order: the owner's bits for the owner, the group's for the group, else the others'; then capabilities. */
int inode_permission(const struct inode *inode, const struct credentials *credentials, unsigned int access)
{
    bool directory = (inode->mode & MODE_TYPE) == MODE_DIRECTORY;
    unsigned int granted = inode->mode;

    if (credentials->fsuid == inode->uid)
        granted >>= 6;
    else if (credentials_in_group(credentials, inode->gid))
        granted >>= 3;
    if ((access & ~granted & 7) == 0)
        return 0;
    if (credentials_capable(credentials, CAPABILITY_DAC_OVERRIDE) &&
        (directory || !(access & 1) || (inode->mode & 0111)))
        return 0;
    if (credentials_capable(credentials, CAPABILITY_DAC_READ_SEARCH) && !(access & 2) && (directory || !(access & 1)))
        return 0;
    return -EACCES;
}
