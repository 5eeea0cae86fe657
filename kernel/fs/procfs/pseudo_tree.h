/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trees of generated files: what /proc and /sys are made of. A node is a directory, a file whose text a function
 * prints, or a symbolic link. Nodes are added by path, from tables (procfs's own) and by other rooms (kernel/net's
 * /proc/net); parents are made as needed.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/fs/procfs/text_buffer.h"
#include "kernel/vfs/inode.h"

/* One generated file. Thread context; both may sleep. */
struct pseudo_file {
    const char *path;                      /* "sys/kernel/osrelease"; kept */
    uint32_t mode;                         /* permission bits; MODE_SYMLINK | 0777 makes a link, whose text is the target */
    /* Prints the content. 0 or -Exxx, which the reader gets. */
    int (*print)(struct text_buffer *text, void *data);
    /* What was written, whole (up to a page), terminated. 0 or -Exxx. NULL: read-only. */
    int (*write)(const char *text, size_t length_bytes, void *data);
    void *data;
};

/* A tree; procfs and sysfs have one each. Locks: t tree lock; f fixed. */
struct pseudo_node {
    struct list siblings;                  /* t */
    struct list children;                  /* t */
    struct pseudo_node *parent;            /* f */
    const struct pseudo_file *file;        /* f NULL: directory */
    uint64_t number;                       /* f inode number */
    size_t name_length;                    /* f */
    char name[];                           /* f */
};

struct pseudo_tree {
    struct pseudo_node *root;
};

extern struct pseudo_tree procfs_tree, sysfs_tree;

/* Adds files (the array is kept). 0, -ENOMEM, -EEXIST. May be called before or after the mount. */
int pseudo_tree_add(struct pseudo_tree *tree, const struct pseudo_file *files, size_t count);

/* Look-ups for the file systems; NULL: absent. Nodes are never removed. */
struct pseudo_node *pseudo_tree_find(struct pseudo_node *directory, const char *name, size_t length);
/* The first child whose number is > after. */
struct pseudo_node *pseudo_tree_next(struct pseudo_node *directory, uint64_t after);

/* Fills a fresh inode for the node: operations, mode, link count. */
void pseudo_inode_fill(struct inode *inode, struct pseudo_node *node);
/* directory operations usable by any file system whose inode->data is a pseudo_node. */
int pseudo_directory_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode);
int pseudo_directory_read(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context);
/* An inode of this node's. */
int pseudo_inode_get(struct file_system *file_system, struct pseudo_node *node, struct inode **inode);

/* The file operations of generated files: text is printed at the first read and at each read from position 0. `print` gets `data`. */
int pseudo_file_open(struct file *file, int (*print)(struct text_buffer *text, void *data),
                     int (*write)(const char *text, size_t length_bytes, void *data), void *data,
                     void (*release)(void *data));
