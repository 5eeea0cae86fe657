/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What programs ask and set of files' attributes: stat, access, chmod, chown, utimens, truncate, fallocate, extended
 * attributes, statfs. By path (already looked up) so that one function serves the fd and the name variants.
 */
#pragma once

#include "kernel/vfs/file.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/path.h"

/* Everything stat and statx tell. */
struct inode_status {
    uint64_t device, inode_number, rdevice;
    uint32_t mode, links, uid, gid;
    uint64_t size_bytes, block_bytes, blocks;
    struct inode_time access_time, modify_time, change_time, birth_time;
    uint64_t mount_id;
    bool mount_root; /* STATX_ATTR_MOUNT_ROOT */
};

/* 0 or what the file system's refresh answers. mount may be NULL. */
int attributes_status(struct inode *inode, struct inode_status *status);
int attributes_path_status(const struct path *path, struct inode_status *status);
/* Files without an inode (sockets, pipes, eventfds) have a status as well. */
int attributes_file_status(struct file *file, struct inode_status *status);

/* access(): with the context's fsuid (the caller made it the real uid where that is asked). access bits 4, 2, 1; 0: existence. */
int attributes_access(const struct fs_context *context, const struct path *path, unsigned int access);
/* All that `attributes` says, whoever asks, and nobody is told: for who makes files of what others recorded. Without a time of change it is now. */
int attributes_set(struct inode *inode, struct inode_attributes *attributes);
int attributes_change_mode(const struct fs_context *context, const struct path *path, uint32_t mode);
/* -1 leaves an id as it is. */
int attributes_change_owner(const struct fs_context *context, const struct path *path, uint32_t uid, uint32_t gid);

/* One of utimensat's two times. */
struct attributes_time {
    enum { TIME_OMIT, TIME_NOW, TIME_SET } kind;
    struct inode_time time;
};
int attributes_set_times(const struct fs_context *context, const struct path *path, const struct attributes_time *access,
                         const struct attributes_time *modify);
/* truncate() and ftruncate(); open's O_TRUNC has checked already. */
int attributes_truncate(const struct fs_context *context, const struct path *path, uint64_t size_bytes);
int attributes_truncate_file(struct file *file, uint64_t size_bytes);
int attributes_truncate_inode(struct inode *inode, uint64_t size_bytes);
int attributes_allocate(struct file *file, int mode, uint64_t offset, uint64_t length_bytes);

/* Extended attributes, permission by namespace as Linux has it; sizes as the inode operations. */
long attributes_get_xattr(const struct fs_context *context, const struct path *path, const char *name, void *value, size_t size_bytes);
int attributes_set_xattr(const struct fs_context *context, const struct path *path, const char *name, const void *value, size_t size_bytes, int flags);
long attributes_list_xattr(const struct fs_context *context, const struct path *path, char *list, size_t size_bytes);
int attributes_remove_xattr(const struct fs_context *context, const struct path *path, const char *name);

/* statfs; mount flags are put into statistics->flags as ST_*. */
int attributes_file_system(const struct path *path, struct file_system_statistics *statistics);
