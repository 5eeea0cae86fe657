/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dentries: names in directories, cached. A dentry with an inode says that the name exists, one without (negative) that
 * it does not. Each holds its parent, so that a path can always be told.
 *
 * The cache holds a reference of its own on every hashed dentry and drops it when memory is wanted or when the name
 * goes. A name's fate (instantiate, drop, move) is changed under the write lock of its directory's inode; look-ups
 * take only a bucket's spinlock.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/vfs/inode.h"

/* Locks: b bucket's lock (both buckets' in a move); n name lock as well, for changes; l LRU lock; f fixed; a atomic. */
struct dentry {
    struct reference reference;      /* a */
    struct dentry *parent;           /* b n referenced; NULL for a root */
    _Atomic(struct inode *) inode;   /* a referenced; set once for a negative dentry that is instantiated */
    char *name;                      /* b n terminated */
    uint16_t name_length;            /* b n */
    bool hashed;                     /* b the cache holds its reference */
    atomic_bool deleted;             /* a the name is gone, the inode may live on */
    atomic_bool used;                /* a since reclaim looked last */
    _Atomic unsigned int mounts;     /* a mounts on it */
    uint64_t hash;                   /* b */
    struct list bucket_link;         /* b */
    struct list lru_link;            /* l */
};

/* A root of a file system: no parent, not hashed. Takes over the inode reference. NULL: out of memory. */
struct dentry *dentry_create_root(struct inode *inode);
/* The cached dentry of a name (referenced), or NULL. */
struct dentry *dentry_find(struct dentry *parent, const char *name, size_t length);
/*
 * A new dentry of that name; takes over the inode's reference (NULL inode: negative). Hashed unless the file system's names are
 * volatile. Another thread may have been quicker with the same lookup: then its dentry is answered and ours dropped. NULL: out of memory.
 */
struct dentry *dentry_add(struct dentry *parent, const char *name, size_t length, struct inode *inode);
/* A negative dentry's name now exists. Directory locked for writing. Takes over the inode's reference. */
void dentry_instantiate(struct dentry *dentry, struct inode *inode);
/* The name is gone. Directory locked for writing. */
void dentry_delete(struct dentry *dentry);
/* Takes it out of the cache (it may be looked up anew) without marking it deleted. */
void dentry_forget(struct dentry *dentry);
/* The name has become new_name in new_parent. Both directories locked for writing. 0 or -ENOMEM (then nothing changed). */
int dentry_move(struct dentry *dentry, struct dentry *new_parent, const char *new_name, size_t new_length);
/* Forgets every cached name of the file system that nobody uses: before its end. */
void dentry_forget_all(const struct file_system *file_system);
void dentry_take(struct dentry *dentry);
void dentry_release(struct dentry *dentry);

static inline struct inode *dentry_inode(const struct dentry *dentry)
{
    return atomic_load_explicit(&dentry->inode, memory_order_acquire);
}

/* Copies of parent and name that hold together; the parent is referenced (NULL for a root). Name buffer of 256 bytes; its length. */
size_t dentry_name(struct dentry *dentry, char *name, struct dentry **parent);
/* True where `ancestor` is `dentry` or above it. */
bool dentry_is_below(struct dentry *dentry, struct dentry *ancestor);
