/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounts as the room's own files see them: a file system hung on a dentry of another mount.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/vfs/path.h"

/* Linux's MS_* that we keep; also shown in mountinfo. */
#define MOUNT_READ_ONLY 1ul
#define MOUNT_NO_SUID 2ul
#define MOUNT_NO_DEVICES 4ul
#define MOUNT_NO_EXECUTE 8ul
#define MOUNT_REMOUNT 32ul
#define MOUNT_NO_ACCESS_TIME 1024ul
#define MOUNT_BIND 4096ul

struct file_system;
struct inode;

/* Locks: m mount_change and mount_lock to change, either to read; f fixed; a atomic. */
struct mount {
    struct reference reference;      /* a one for being mounted, one for each path that names it */
    struct file_system *file_system; /* f held by its count of mounts */
    struct dentry *root;             /* f referenced: what of the file system is seen (all, or a bind mount's part) */
    struct mount *parent;            /* m NULL: the first mount */
    struct dentry *point;            /* m referenced: where on the parent */
    _Atomic unsigned long flags;     /* a */
    int id;                          /* f once mounted */
    bool mounted;                    /* m */
    char source[64];                 /* f "/dev/xvda", "tmpfs" */
    struct list link;                /* m all mounts, in order */
};

/*
 * A mount that hangs nowhere, for inodes without names (pipes, memory files), or NULL; and the path of such an inode, whose reference is
 * taken over (also on failure): 0 or -ENOMEM.
 */
struct mount *mount_create_internal(struct file_system *file_system);
int mount_internal_path(struct mount *mount, struct inode *inode, struct path *path);
static inline bool mount_is_internal(const struct mount *mount)
{
    return mount->root == NULL;
}

void mount_take(struct mount *mount);
void mount_release(struct mount *mount);
/* What is mounted on this very place (the newest), referenced, or NULL. */
struct mount *mount_on(const struct mount *parent, const struct dentry *point);
/* The place a mount's root hangs on, as a referenced path; false: it is the first mount. */
bool mount_point(struct mount *mount, struct path *path);
/* -EROFS where nothing may be changed. */
int mount_writable(const struct path *path);
