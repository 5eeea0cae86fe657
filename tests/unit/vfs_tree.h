/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tree to test in: a tmpfs of 4 MiB as root, seen by the superuser. After vfs_init().
 */
#pragma once

#include "kernel/fs/tmpfs/tmpfs.h"
#include "kernel/vfs/attributes.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/mount.h"

static inline void vfs_tree_start(struct fs_context *root)
{
    struct file_system *file_system;

    root->credentials = credentials_create_root();
    root->umask = 022;
    assert_int_equal(tmpfs_create("size=4m,mode=755", &file_system), 0);
    assert_int_equal(mount_root(file_system, 0, &root->root), 0);
    root->working_directory = root->root;
    path_take(&root->working_directory);
}

static inline int vfs_tree_status(const struct fs_context *root, const char *name, struct inode_status *status)
{
    struct path path;
    int error = path_lookup(root, NULL, name, 0, &path);

    if (error)
        return error;
    error = attributes_path_status(&path, status);
    path_release(&path);
    return error;
}

/* 0 or the error of opening it; it is closed again. */
static inline int vfs_tree_try_open(const struct fs_context *root, const char *name, unsigned int flags)
{
    struct file *file;
    int error = file_open(root, NULL, name, flags, 0644, &file);

    if (!error)
        file_release(file);
    return error;
}
