/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of tmpfs, shared by its files: the file system, its nodes (one behind each inode), entries and extended
 * attributes.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/list.h"
#include "kernel/base/tree.h"
#include "kernel/fs/tmpfs/tmpfs.h"

/* Locks: n nodes_lock; a atomic; f fixed. */
struct tmpfs {
    struct file_system file_system;
    struct mutex nodes_lock;
    struct list nodes;               /* n all of them */
    struct list doomed;              /* n entries of directories that went with their entries: at unmount */
    _Atomic uint64_t node_count;     /* a */
    _Atomic uint64_t used_pages;     /* a of each node's last account and the write since: never too small but for faults */
    _Atomic uint64_t next_number;    /* a */
    uint64_t limit_pages;            /* f UINT64_MAX: none */
    uint64_t limit_nodes;            /* f */
};

/* A name in a directory. Lock: the directory inode's. */
struct tmpfs_entry {
    struct tree_node by_name;        /* by hash, then bytes */
    struct tree_node by_offset;
    struct list doomed;              /* at unmount */
    struct inode *inode;             /* referenced */
    uint64_t offset;                 /* its place in the order of reading; never used twice in a directory */
    uint64_t hash;
    uint16_t length;
    char name[];
};

struct tmpfs_xattr {
    struct list link;
    size_t size_bytes;
    char *value;                     /* behind the name */
    char name[];
};

/* inode->data. Locks: i inode->lock; n tmpfs->nodes_lock; f fixed. */
struct tmpfs_node {
    struct list link;                /* n */
    struct inode *inode;             /* f */
    uint64_t accounted_pages;        /* i part of tmpfs->used_pages */
    struct tree names, offsets;      /* i of a directory's entries */
    uint64_t next_offset;            /* i */
    char *target;                    /* f symbolic link's text */
    struct list xattrs;              /* i */
};

static inline struct tmpfs *tmpfs_of(const struct inode *inode)
{
    return inode->file_system->data;
}

static inline struct tmpfs_node *tmpfs_node(const struct inode *inode)
{
    return inode->data;
}

/* A new inode with links as its type starts with, ready to be found: 0, -ENOSPC, -ENOMEM. directory NULL: the root. */
int tmpfs_inode_create(struct tmpfs *tmpfs, struct inode *directory, uint32_t mode, uint64_t device,
                       const struct credentials *credentials, struct inode **inode);
void tmpfs_release_inode(struct inode *inode);
/* Brings used_pages up to date with the inode's cache. Inode locked for writing, or dying. */
void tmpfs_account(struct inode *inode);
/* The pages of all files as they are now. */
uint64_t tmpfs_count_pages(struct tmpfs *tmpfs);
int tmpfs_prepare_write(struct inode *inode, uint64_t offset, uint64_t length_bytes);
int tmpfs_set_attributes(struct inode *inode, const struct inode_attributes *attributes);
int tmpfs_allocate(struct inode *inode, int mode, uint64_t offset, uint64_t length_bytes);

extern const struct inode_operations tmpfs_directory_operations, tmpfs_file_operations, tmpfs_symlink_operations;

/* directory.c. Entries of a directory, off its trees, onto the list: at unmount. The list's lock is held. */
void tmpfs_directory_doom(struct tmpfs_node *directory, struct list *doomed);

/* xattr.c: inode operations. */
long tmpfs_get_xattr(struct inode *inode, const char *name, void *value, size_t size_bytes);
int tmpfs_set_xattr(struct inode *inode, const char *name, const void *value, size_t size_bytes, int flags);
long tmpfs_list_xattr(struct inode *inode, char *list, size_t size_bytes);
int tmpfs_remove_xattr(struct inode *inode, const char *name);
void tmpfs_xattr_free_all(struct tmpfs_node *node);
