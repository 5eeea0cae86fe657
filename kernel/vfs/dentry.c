/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache of names. Lock order: bucket (lower index first) > name lock; the LRU lock is taken alone or inside a bucket.
 */
#include "kernel/vfs/dentry.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/hash.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/vfs/vfs.h"

#define DENTRY_BUCKETS 1024
#define DENTRY_LOCKS 64
#define DENTRY_LIMIT 16384 /* cached names; past it each new one drives out an old one */

static struct object_cache *dentry_cache;
static struct list buckets[DENTRY_BUCKETS];
static struct spinlock bucket_locks[DENTRY_LOCKS];
static struct spinlock name_lock = SPINLOCK_INITIALIZER("dentry names", 0);
static struct spinlock lru_lock = SPINLOCK_INITIALIZER("dentry LRU", 0);
static struct list lru = LIST_INITIALIZER(lru); /* lru_lock; oldest first */
static size_t lru_count;                        /* lru_lock */

static uint64_t name_hash(const struct dentry *parent, const char *name, size_t length)
{
    return hash_bytes(name, length, (uint64_t)(uintptr_t)parent);
}

static struct spinlock *lock_of(uint64_t hash)
{
    return &bucket_locks[hash % DENTRY_LOCKS];
}

static struct list *bucket_of(uint64_t hash)
{
    return &buckets[hash % DENTRY_BUCKETS];
}

void dentry_take(struct dentry *dentry)
{
    reference_take(&dentry->reference);
}

/* Iterative over the parents: chains can be long. */
void dentry_release(struct dentry *dentry)
{
    while (dentry && reference_release(&dentry->reference)) {
        struct dentry *parent = dentry->parent;
        struct inode *inode = dentry_inode(dentry);

        memory_free(dentry->name);
        object_cache_free(dentry_cache, dentry);
        if (inode)
            inode_release(inode);
        dentry = parent;
    }
}

/* Caller holds the bucket's lock; the cache's reference is the caller's to drop. True if it was hashed. */
static bool unhash_locked(struct dentry *dentry)
{
    if (!dentry->hashed)
        return false;
    dentry->hashed = false;
    list_remove(&dentry->bucket_link);
    spinlock_lock(&lru_lock);
    if (list_linked(&dentry->lru_link)) {
        list_remove(&dentry->lru_link);
        lru_count--;
    }
    spinlock_unlock(&lru_lock);
    return true;
}

/* Takes the lock of the bucket it is in. */
static struct spinlock *dentry_lock_bucket(const struct dentry *dentry)
{
    /* A move changes the hash, under both buckets' locks; reclaim may meet one. */
    for (;;) {
        struct spinlock *lock = lock_of(read_once(dentry->hash));

        spinlock_lock(lock);
        if (likely(lock == lock_of(dentry->hash)))
            return lock;
        spinlock_unlock(lock);
    }
}

void dentry_forget(struct dentry *dentry)
{
    struct spinlock *lock = dentry_lock_bucket(dentry);
    bool hashed = unhash_locked(dentry);

    spinlock_unlock(lock);
    if (hashed)
        dentry_release(dentry);
}

/*
 * As dentry_forget(), unless somebody uses it but the caller, who has one reference, and drops it. One that was found since must stay:
 * it may be a mount point by now, and a directory in use must not get a second dentry.
 */
static void dentry_drop_unused(struct dentry *dentry)
{
    struct spinlock *lock = dentry_lock_bucket(dentry);
    bool hashed = atomic_load(&dentry->reference.count) == 2 && unhash_locked(dentry);

    spinlock_unlock(lock);
    if (hashed)
        dentry_release(dentry);
    dentry_release(dentry);
}

void dentry_delete(struct dentry *dentry)
{
    atomic_store(&dentry->deleted, true);
    dentry_forget(dentry);
}

/* Takes the oldest dentry that nobody uses out of the LRU, referenced; NULL: none among the next `look`. */
static struct dentry *lru_victim(size_t look)
{
    struct dentry *victim = NULL;

    spinlock_lock(&lru_lock);
    while (look-- > 0 && !list_empty(&lru)) {
        struct dentry *dentry = list_first(&lru, struct dentry, lru_link);

        list_remove(&dentry->lru_link);
        list_add_last(&lru, &dentry->lru_link);
        if (atomic_exchange(&dentry->used, false) || atomic_load(&dentry->mounts) != 0 ||
            atomic_load(&dentry->reference.count) != 1)
            continue;
        if (reference_take_if_alive(&dentry->reference)) {
            victim = dentry;
            break;
        }
    }
    spinlock_unlock(&lru_lock);
    return victim;
}

/* Lets go of about `target` names that nobody uses; returns how many. Thread context. */
static size_t dentry_reclaim_names(size_t target)
{
    size_t freed = 0;

    for (size_t tries = 0; tries < 4 * target + 16 && freed < target; tries++) {
        struct dentry *victim = lru_victim(64);

        if (!victim)
            break;
        dentry_drop_unused(victim);
        freed++;
    }
    return freed;
}

static size_t dentry_reclaim_pages(size_t target_pages)
{
    /* A name and the inode it holds are about an eighth of a page. */
    return dentry_reclaim_names(target_pages * 8) / 8;
}

int dentry_init(void)
{
    for (size_t i = 0; i < DENTRY_BUCKETS; i++)
        list_init(&buckets[i]);
    for (size_t i = 0; i < DENTRY_LOCKS; i++)
        spinlock_init(&bucket_locks[i], "dentry bucket", 0);
    dentry_cache = object_cache_create("dentry", sizeof(struct dentry), 8);
    if (!dentry_cache)
        return -ENOMEM;
    return page_register_reclaimer("names", dentry_reclaim_pages);
}

static struct dentry *dentry_create(struct dentry *parent, const char *name, size_t length, struct inode *inode)
{
    struct dentry *dentry = object_cache_allocate(dentry_cache);
    char *copy = memory_allocate(length + 1);

    if (!dentry || !copy) {
        if (dentry)
            object_cache_free(dentry_cache, dentry);
        memory_free(copy);
        return NULL;
    }
    memcpy(copy, name, length);
    copy[length] = 0;
    memset(dentry, 0, sizeof(*dentry));
    reference_init(&dentry->reference);
    if (parent)
        dentry_take(parent);
    dentry->parent = parent;
    atomic_init(&dentry->inode, inode);
    dentry->name = copy;
    dentry->name_length = (uint16_t)length;
    list_init(&dentry->bucket_link);
    list_init(&dentry->lru_link);
    return dentry;
}

struct dentry *dentry_create_root(struct inode *inode)
{
    return dentry_create(NULL, "", 0, inode);
}

static struct dentry *find_locked(struct dentry *parent, const char *name, size_t length, uint64_t hash)
{
    struct dentry *dentry;

    list_for_each(dentry, bucket_of(hash), bucket_link)
        if (dentry->hash == hash && dentry->parent == parent && dentry->name_length == length &&
            memcmp(dentry->name, name, length) == 0) {
            dentry_take(dentry);
            return dentry;
        }
    return NULL;
}

struct dentry *dentry_find(struct dentry *parent, const char *name, size_t length)
{
    uint64_t hash = name_hash(parent, name, length);

    spinlock_lock(lock_of(hash));
    struct dentry *dentry = find_locked(parent, name, length, hash);
    spinlock_unlock(lock_of(hash));
    if (dentry)
        atomic_store_explicit(&dentry->used, true, memory_order_relaxed);
    return dentry;
}

/* Hashed from here on; caller holds the bucket's lock. */
static void hash_locked(struct dentry *dentry, uint64_t hash)
{
    dentry->hash = hash;
    dentry->hashed = true;
    list_add_first(bucket_of(hash), &dentry->bucket_link);
    spinlock_lock(&lru_lock);
    list_add_last(&lru, &dentry->lru_link);
    lru_count++;
    spinlock_unlock(&lru_lock);
}

struct dentry *dentry_add(struct dentry *parent, const char *name, size_t length, struct inode *inode)
{
    struct dentry *dentry = dentry_create(parent, name, length, inode);

    if (!dentry) {
        if (inode)
            inode_release(inode);
        return NULL;
    }
    if (dentry_inode(parent)->file_system->volatile_names)
        return dentry;

    uint64_t hash = name_hash(parent, name, length);

    spinlock_lock(lock_of(hash));
    struct dentry *other = find_locked(parent, name, length, hash);
    if (!other) {
        dentry_take(dentry); /* the cache's */
        hash_locked(dentry, hash);
    }
    bool full = lru_count > DENTRY_LIMIT;
    spinlock_unlock(lock_of(hash));
    if (full)
        dentry_reclaim_names(2);
    if (!other)
        return dentry;
    dentry_release(dentry);
    return other;
}

void dentry_instantiate(struct dentry *dentry, struct inode *inode)
{
    atomic_store_explicit(&dentry->inode, inode, memory_order_release);
}

static void lock_two(struct spinlock *first, struct spinlock *second)
{
    if (first > second) {
        struct spinlock *swap = first;

        first = second;
        second = swap;
    }
    spinlock_lock(first);
    if (first != second)
        spinlock_lock(second);
}

static void unlock_two(struct spinlock *first, struct spinlock *second)
{
    spinlock_unlock(first);
    if (first != second)
        spinlock_unlock(second);
}

int dentry_move(struct dentry *dentry, struct dentry *new_parent, const char *new_name, size_t new_length)
{
    char *copy = memory_allocate(new_length + 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, new_name, new_length);
    copy[new_length] = 0;

    uint64_t hash = name_hash(new_parent, new_name, new_length);
    struct spinlock *old_lock = lock_of(dentry->hash), *new_lock = lock_of(hash);
    struct dentry *old_parent = dentry->parent;
    char *old_name = dentry->name;

    dentry_take(new_parent);
    lock_two(old_lock, new_lock);
    bool hashed = unhash_locked(dentry);
    spinlock_lock(&name_lock);
    dentry->parent = new_parent;
    dentry->name = copy;
    dentry->name_length = (uint16_t)new_length;
    spinlock_unlock(&name_lock);
    if (hashed)
        hash_locked(dentry, hash);
    else
        dentry->hash = hash;
    unlock_two(old_lock, new_lock);
    memory_free(old_name);
    dentry_release(old_parent);
    return 0;
}

void dentry_forget_all(const struct file_system *file_system)
{
    for (;;) {
        struct dentry *victim = NULL, *dentry;

        /* Deepest first by repetition: a parent is held by its children, whose going releases it. */
        spinlock_lock(&lru_lock);
        list_for_each(dentry, &lru, lru_link)
            if (atomic_load(&dentry->reference.count) == 1 &&
                dentry_inode(dentry->parent)->file_system == file_system &&
                reference_take_if_alive(&dentry->reference)) {
                victim = dentry;
                break;
            }
        spinlock_unlock(&lru_lock);
        if (!victim)
            return;
        dentry_drop_unused(victim);
    }
}

size_t dentry_name(struct dentry *dentry, char *name, struct dentry **parent)
{
    spinlock_lock(&name_lock);
    size_t length = dentry->name_length;
    memcpy(name, dentry->name, length + 1);
    *parent = dentry->parent;
    if (*parent)
        dentry_take(*parent);
    spinlock_unlock(&name_lock);
    return length;
}

bool dentry_is_below(struct dentry *dentry, struct dentry *ancestor)
{
    bool below = false;

    spinlock_lock(&name_lock);
    for (; dentry && !below; dentry = dentry->parent)
        below = dentry == ancestor;
    spinlock_unlock(&name_lock);
    return below;
}
