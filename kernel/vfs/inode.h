/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inodes and file systems: the contract between kernel/vfs and the file systems of kernel/fs.
 *
 * An inode is one file of one file system, cached by (file system, number). vfs holds inode->lock (for writing in
 * calls that change a directory or attributes, for reading in lookups and reads of directories) around the operations
 * as each member says. Names are length-counted, 1..255 bytes, without '/', never "." or "..".
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/sched/mutex.h"
#include "kernel/vm/page_cache.h"
#include "kernel/vfs/credentials.h"

struct dentry;
struct path;
struct file;
struct file_operations;
struct file_system;
struct inode;

/* File types and permission bits are Linux's st_mode. */
#define MODE_TYPE 0170000u
#define MODE_SOCKET 0140000u
#define MODE_SYMLINK 0120000u
#define MODE_REGULAR 0100000u
#define MODE_BLOCK 0060000u
#define MODE_DIRECTORY 0040000u
#define MODE_CHARACTER 0020000u
#define MODE_FIFO 0010000u
#define MODE_SETUID 04000u
#define MODE_SETGID 02000u
#define MODE_STICKY 01000u

struct inode_time {
    int64_t seconds;
    uint32_t nanoseconds;
};

#define ATTRIBUTE_MODE 1u
#define ATTRIBUTE_UID 2u
#define ATTRIBUTE_GID 4u
#define ATTRIBUTE_SIZE 8u
#define ATTRIBUTE_ACCESS_TIME 16u
#define ATTRIBUTE_MODIFY_TIME 32u
#define ATTRIBUTE_CHANGE_TIME 64u

struct inode_attributes {
    uint32_t valid; /* ATTRIBUTE_* */
    uint32_t mode, uid, gid;
    uint64_t size_bytes;
    struct inode_time access_time, modify_time, change_time;
};

/* One entry of a directory to its reader; false: the reader is full, stop (and give this entry again next time). */
typedef bool (*directory_emit_t)(void *context, const char *name, size_t length, uint64_t inode_number, unsigned int mode_type, uint64_t next_offset);

/* A missing operation is answered with -EPERM / -EROFS / -ENOTDIR as Linux does. All may sleep. */
struct inode_operations {
    /* Directory lookup; inode locked for reading. 0 and a referenced inode, -ENOENT, -EIO... */
    int (*lookup)(struct inode *directory, const char *name, size_t length, struct inode **inode);
    /* New entries; directory locked for writing; vfs checked permission and absence. */
    int (*create)(struct inode *directory, const char *name, size_t length, uint32_t mode, uint64_t device, const struct credentials *credentials, struct inode **inode); /* regular, fifo, socket, device nodes, directories by mode */
    int (*symlink)(struct inode *directory, const char *name, size_t length, const char *target, const struct credentials *credentials, struct inode **inode);
    int (*link)(struct inode *directory, const char *name, size_t length, struct inode *target);
    /* unlink and rmdir (child is a directory: must be empty, else -ENOTEMPTY). Both locked for writing. */
    int (*remove)(struct inode *directory, const char *name, size_t length, struct inode *child);
    /* Both directories (and a replaced target) locked for writing, in address order after ancestor order; vfs checked types and loops.
     * flags: Linux's RENAME_NOREPLACE 1 is done by vfs; RENAME_EXCHANGE 2 is passed. target NULL: none is replaced. */
    int (*rename)(struct inode *old_directory, const char *old_name, size_t old_length, struct inode *child, struct inode *new_directory, const char *new_name, size_t new_length, struct inode *target, unsigned int flags);
    /* Symbolic link's text into buffer, not terminated; its length. Unlocked. */
    long (*read_link)(struct inode *inode, char *buffer, size_t size_bytes);
    /* Entries from `offset` (0: start; else a next_offset given before) without "." and "..". Directory locked for reading. */
    int (*read_directory)(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context);
    /* Applies `attributes` to the inode's fields and its store; size changes go through page_cache_resize(). Locked for writing. */
    int (*set_attributes)(struct inode *inode, const struct inode_attributes *attributes);
    /* Refreshes the fields before a stat (procfs, devices); may be NULL. */
    int (*get_attributes)(struct inode *inode);
    /* Extended attributes, name as programs give it ("user.x"); sizes as Linux (size 0 asks for the length). NULL: -ENOTSUP. */
    long (*get_xattr)(struct inode *inode, const char *name, void *value, size_t size_bytes);
    int (*set_xattr)(struct inode *inode, const char *name, const void *value, size_t size_bytes, int flags);
    long (*list_xattr)(struct inode *inode, char *list, size_t size_bytes);
    int (*remove_xattr)(struct inode *inode, const char *name);
    /* A file is opened: sets file->operations/private where they differ from inode->file_operations. May be NULL. */
    int (*open)(struct inode *inode, struct file *file);
    /* fallocate: Linux's mode bits; locked for writing. */
    int (*allocate)(struct inode *inode, int mode, uint64_t offset, uint64_t length_bytes);
    /* Follow a magic link (/proc/self/fd/N): returns a referenced path target instead of text. May be NULL. */
    int (*follow)(struct inode *inode, struct path *target);
};

/* Locks: f fixed; i lock; s file system's inode table lock. */
struct inode {
    struct reference reference;
    struct rw_lock lock;
    struct file_system *file_system;            /* f */
    uint64_t number;                            /* f */
    uint32_t mode;                              /* i type bits fixed */
    uint32_t uid, gid;                          /* i */
    uint32_t links;                             /* i */
    uint64_t device;                            /* f of device nodes (Linux's dev_t encoding) */
    uint64_t size_bytes;                        /* i; cache.size_bytes follows it */
    uint64_t blocks;                            /* i 512-byte units used */
    struct inode_time access_time, modify_time, change_time, birth_time; /* i */
    uint64_t change_count;                      /* i */
    const struct inode_operations *operations;  /* f */
    const struct file_operations *file_operations; /* f default of opened files */
    struct page_cache cache;                    /* regular files; initialised when has_cache */
    bool has_cache;                             /* f */
    void *data;                                 /* file system's */
    void *endpoint;                             /* i unix socket or fifo bound here */
    void (*endpoint_release)(void *endpoint);   /* i called when the inode goes */
    struct list hash_link;                      /* s */
    _Atomic int state;                          /* s written; inode_table.c's */
    struct list locks;                          /* file_lock.c's lock */
    struct list watches;                        /* inotify.c's lock */
};

struct file_system_statistics {
    uint64_t type, block_size, blocks, blocks_free, blocks_available, files, files_free, name_length, flags, id;
};

struct file_system_operations {
    /* The inode's last reference is gone: with links == 0 frees its blocks; then frees data. May sleep. */
    void (*release_inode)(struct inode *inode);
    int (*statistics)(struct file_system *file_system, struct file_system_statistics *statistics);
    /* A write of the range is about to happen: 0, or -ENOSPC, -EDQUOT. Inode locked for writing. NULL: there is always room. */
    int (*prepare_write)(struct inode *inode, uint64_t offset, uint64_t length_bytes);
    /* Everything to stable storage. */
    int (*synchronize)(struct file_system *file_system);
    /* No mount is left, and vfs has let go of the root: drops the references that the file system itself holds on inodes. Again and
     * again until no inode is left. May sleep. NULL: it holds none. */
    void (*release_entries)(struct file_system *file_system);
    /* No inode is left: frees it all. May sleep. */
    void (*unmount)(struct file_system *file_system);
};

/* One mounted instance. It lives as long as there are mounts of it: file_system_end(). Locks: a atomic. */
struct file_system {
    const char *type;                             /* "ext4", "tmpfs", ... */
    const struct file_system_operations *operations;
    uint64_t device;                              /* st_dev of its inodes */
    bool read_only;
    bool volatile_names;                          /* names come and go by themselves (procfs): they are looked up each time, not cached */
    struct inode *root;                           /* referenced */
    void *data;
    atomic_uint mounts;                           /* a of it; each holds it */
    _Atomic uint64_t inodes;                      /* a of it in memory */
    struct mutex inode_lock;
    struct list *inode_buckets;                   /* hash of cached inodes; inode_table.c's */
    uint32_t inode_bucket_count;
};

/* A type that mount() knows; the roof registers an explicit table of them. */
struct file_system_type {
    const char *name;
    bool needs_device;
    /* source: device name or "none"; flags: Linux's MS_*; options: text after -o. 0 or -Exxx, having said why in one line. */
    int (*mount)(const char *source, unsigned long flags, const char *options, struct file_system **file_system);
};
int file_system_register_types(const struct file_system_type *const *types, size_t count);
const struct file_system_type *file_system_find_type(const char *name);

int file_system_init(struct file_system *file_system, const char *type, const struct file_system_operations *operations, void *data);
/* Undoes file_system_init(): in `unmount`, and where a mount fails after it; no inode is left. */
void file_system_destroy(struct file_system *file_system);
/* The last mount of it is gone, or there never was one: ends the watches on its inodes, and waits until the last inode has gone, then
 * unmounts it. The caller holds no reference on anything of it. May sleep. */
void file_system_end(struct file_system *file_system);
/* Looks the number up in the cache: *fresh tells that the inode is new and must be filled and inode_ready() or inode_discard() called. 0 or -ENOMEM. */
int inode_get(struct file_system *file_system, uint64_t number, struct inode **inode, bool *fresh);
void inode_ready(struct inode *inode);
void inode_discard(struct inode *inode);
void inode_take(struct inode *inode);
void inode_release(struct inode *inode);
void inode_init_cache(struct inode *inode, const struct page_source *source);
/* Sets the inode's fields but for the size: set_attributes of file systems that have no other store. Inode locked for writing. */
void inode_apply_attributes(struct inode *inode, const struct inode_attributes *attributes);
/* Current real time for timestamps. */
struct inode_time inode_now(void);
/* 0 or -EACCES for access bits 4 read, 2 write, 1 execute/search. */
int inode_permission(const struct inode *inode, const struct credentials *credentials, unsigned int access);
