/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to inodes: dentries (cached names), mounts, and the walk.
 *
 * fs_context is what a process brings to a walk: its root, its working directory, umask and credentials.
 */
#pragma once

#include "kernel/base/compiler.h"

struct credentials;
struct dentry;
struct inode;
struct mount;

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

struct fs_context {
    struct path root;
    struct path working_directory;
    uint32_t umask;
    struct credentials *credentials;
};

void path_take(const struct path *path);
void path_release(struct path *path);
struct inode *path_inode(const struct path *path);

#define PATH_FOLLOW 1u          /* follow a symbolic link in the last component */
#define PATH_DIRECTORY 2u       /* must be a directory */
#define PATH_EMPTY 4u           /* an empty name means `at` itself (AT_EMPTY_PATH) */
#define PATH_NO_SYMLINKS 8u     /* openat2 RESOLVE_* */
#define PATH_BENEATH 16u
#define PATH_IN_ROOT 32u
#define PATH_NO_XDEV 64u
#define PATH_NO_MAGICLINKS 128u

#define PATH_LENGTH_LIMIT 4096  /* with the NUL */

/* `at`: directory for relative names; NULL: the working directory. 0 and a referenced path, or -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -ENAMETOOLONG... */
int path_lookup(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags, struct path *path);

/* The calls that change names, with all of Linux's checks. Names are terminated strings in kernel memory. */
/* The first is for the kernel's own: any type but a symbolic link, with all mode bits; *made, if not NULL, is what was made, referenced. */
int path_make(const struct fs_context *context, const struct path *at, const char *name, uint32_t mode, uint64_t device, struct path *made);
int path_make_node(const struct fs_context *context, const struct path *at, const char *name, uint32_t mode, uint64_t device);
int path_make_directory(const struct fs_context *context, const struct path *at, const char *name, uint32_t mode);
int path_make_symlink(const struct fs_context *context, const char *target, const struct path *at, const char *name);
int path_link(const struct fs_context *context, const struct path *old_at, const char *old_name, const struct path *new_at, const char *new_name, unsigned int flags);
int path_remove(const struct fs_context *context, const struct path *at, const char *name, bool directory);
int path_rename(const struct fs_context *context, const struct path *old_at, const char *old_name, const struct path *new_at, const char *new_name, unsigned int flags);

/* Absolute name as seen from context's root into buffer; its length with the NUL, or -ERANGE, -ENOENT (unlinked; /proc shows " (deleted)" with mark_deleted). */
long path_name(const struct fs_context *context, const struct path *path, char *buffer, size_t size_bytes, bool mark_deleted);

/* Mounts. */
int mount_create(const struct fs_context *context, const char *source, const char *target, const char *type, unsigned long flags, const char *options);
int mount_remove(const struct fs_context *context, const char *target, int flags);
/* The first mount: makes the root of the tree. */
struct file_system;
int mount_root(struct file_system *file_system, unsigned long flags, struct path *root);
/* For /proc/mounts, mountinfo: calls back for each, with the mutex held that keeps mounts as they are; may sleep. */
void mount_for_each(void (*visit)(void *context, struct mount *mount), void *context);
struct file_system *mount_file_system(const struct mount *mount);
/* Everything, for sync() and shutdown. */
int mount_synchronize_all(void);
