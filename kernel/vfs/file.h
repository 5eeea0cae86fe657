/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files (Linux's "open file descriptions"), and the contract of whatever can stand behind a descriptor.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/reference.h"
#include "kernel/sched/mutex.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/path.h"
#include "kernel/vfs/poll.h"
#include "kernel/vm/address_space.h"
#include "kernel/vm/io_vector.h"

/* Linux's x86-64 open flags. */
#define FILE_ACCESS_MODE 03
#define FILE_READ_ONLY 00
#define FILE_WRITE_ONLY 01
#define FILE_READ_WRITE 02
#define FILE_CREATE 0100
#define FILE_EXCLUSIVE 0200
#define FILE_NO_CONTROLLING_TERMINAL 0400
#define FILE_TRUNCATE 01000
#define FILE_APPEND 02000
#define FILE_NONBLOCK 04000
#define FILE_DSYNC 010000
#define FILE_ASYNC 020000
#define FILE_DIRECT 040000
#define FILE_LARGE 0100000
#define FILE_DIRECTORY 0200000
#define FILE_NO_FOLLOW 0400000
#define FILE_NO_ACCESS_TIME 01000000
#define FILE_CLOSE_ON_EXEC 02000000
#define FILE_SYNC 04010000
#define FILE_PATH 010000000
#define FILE_TEMPORARY 020200000

struct file_operations {
    /* Bytes moved, 0 at the end, -EAGAIN (FILE_NONBLOCK), -ERESTARTSYS (interrupted), -Exxx. `position` is updated; NULL-position files ignore it. May sleep; no locks held but file->position_lock for seekable files. */
    long (*read)(struct file *file, struct io_vector *vector, uint64_t *position);
    long (*write)(struct file *file, struct io_vector *vector, uint64_t *position);
    /* NULL: vfs seeks over inode->size_bytes for seekable files. */
    long (*seek)(struct file *file, int64_t offset, int whence);
    /* Ready events; see poll.h. NULL: always readable and writable. */
    uint32_t (*poll)(struct file *file, struct poll_table *table);
    /* `argument` is the program's raw value (use user_copy_*). NULL or unknown: -ENOTTY. */
    long (*ioctl)(struct file *file, unsigned int command, uint64_t argument);
    /* Backing for mmap, referenced; NULL operation: the inode's page cache, or -ENODEV. */
    int (*map)(struct file *file, struct area_request *request);
    /* fsync/fdatasync. NULL: page_cache_synchronize + file system's. */
    int (*synchronize)(struct file *file, uint64_t first_byte, uint64_t last_byte, bool data_only);
    /* Flags changed by fcntl(F_SETFL); may be NULL. */
    void (*flags_changed)(struct file *file, unsigned int old_flags);
    /* A descriptor was closed (each time), then the last reference is gone. May sleep; either may be NULL. */
    void (*flush)(struct file *file);
    void (*release)(struct file *file);
    /* What readlink(/proc/self/fd/N) says for files without a path: "socket:[123]", "anon_inode:[eventfd]". NULL: the path. */
    size_t (*describe)(struct file *file, char *buffer, size_t size_bytes);
    /* A path for a file that was not opened by one, so that opening /proc/self/fd/N reaches its inode: referenced, 0 or -Exxx. NULL: there is none. */
    int (*make_path)(struct file *file, struct path *path);
    /* st_mode of files without an inode (MODE_FIFO | 0600, MODE_SOCKET | 0777); 0: 0600, as Linux's anonymous inodes. */
    uint32_t anonymous_mode;
};

/* Locks: f fixed after open; p position_lock; a atomic. */
struct file {
    struct reference reference;
    const struct file_operations *operations;  /* f */
    struct inode *inode;                       /* f NULL only for anonymous files (sockets have none of a file system) */
    struct path path;                          /* f where it was opened; empty for anonymous files */
    _Atomic unsigned int flags;                /* a FILE_*, without creation flags */
    bool readable, writable, seekable;         /* f */
    struct mutex position_lock;
    uint64_t position;                         /* p */
    void *data;                                /* operations' own */
    struct credentials *credentials;           /* f of the opener, referenced */
    int async_owner;                           /* a F_SETOWN */
    int async_signal;                          /* a F_SETSIG */
    struct list watches;                       /* w struct file_watch: who must hear of the end */
};

/* Somebody who keeps a pointer to a file without a reference (epoll). Lock: file_watch_lock, all files'. */
struct file_watch {
    struct list link;
    /* The last reference is gone; the file still stands until this returns. No locks held; may sleep. */
    void (*released)(struct file_watch *watch, struct file *file);
};
void file_watch_add(struct file *file, struct file_watch *watch);
/* False: the file is being released and released() is called, or has been. */
bool file_watch_remove(struct file_watch *watch);

/* A file not opened by path. 0 or -ENOMEM. `inode` may be NULL. */
int file_create_anonymous(const struct file_operations *operations, void *data, unsigned int flags, struct credentials *credentials, struct file **file);
void file_take(struct file *file);
void file_release(struct file *file);

/* Opens by path; mode for FILE_CREATE before umask. 0 or -Exxx. */
int file_open(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags, uint32_t mode, struct file **file);
/* openat2: the walk is held to path_flags (PATH_NO_SYMLINKS, BENEATH, IN_ROOT, NO_XDEV, NO_MAGICLINKS; -EXDEV and -ELOOP as Linux). */
int file_open_resolve(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags, uint32_t mode, unsigned int path_flags, struct file **file);

/* read/write with the checks common to all (access mode, vector). `position` NULL: the file's own. */
long file_read(struct file *file, struct io_vector *vector, uint64_t *position);
long file_write(struct file *file, struct io_vector *vector, uint64_t *position);
/* Kernel buffers (exec, loaders). */
long file_read_kernel(struct file *file, void *buffer, size_t length_bytes, uint64_t offset);
long file_seek(struct file *file, int64_t offset, int whence);
uint32_t file_poll(struct file *file, struct poll_table *table);
int file_synchronize(struct file *file, uint64_t first_byte, uint64_t last_byte, bool data_only);
/* Fills request->backing (referenced) for mmap of the file; checks access against protection and AREA_SHARED. */
int file_map(struct file *file, struct area_request *request);
int file_set_flags(struct file *file, unsigned int flags);

/* Special files. */
int pipe_create(unsigned int flags, struct credentials *credentials, struct file **read_end, struct file **write_end);
int event_file_create(uint64_t value, bool semaphore, unsigned int flags, struct credentials *credentials, struct file **file);
int memory_file_create(const char *name, unsigned int memfd_flags, struct credentials *credentials, struct file **file);
/* F_ADD_SEALS: 0, -EINVAL (not a memfd, unknown seal), -EPERM (sealed against it, not writable), -EBUSY (F_SEAL_WRITE while mapped writable). */
int memory_file_add_seals(struct file *file, unsigned int seals);
/* F_GET_SEALS: the set, or -EINVAL. */
long memory_file_get_seals(struct file *file);

/* timerfd. Times in ns; clock: Linux's CLOCK_*. */
int timer_file_create(int clock, unsigned int flags, struct credentials *credentials, struct file **file);
int timer_file_set(struct file *file, bool absolute, bool cancel_on_set, uint64_t value_ns, uint64_t interval_ns, uint64_t *old_value_ns, uint64_t *old_interval_ns);
int timer_file_get(struct file *file, uint64_t *value_ns, uint64_t *interval_ns);

/* epoll. `event.data` is the program's. */
struct epoll_event_kernel { uint32_t events; uint64_t data; };
int epoll_create(unsigned int flags, struct credentials *credentials, struct file **file);
int epoll_control(struct file *epoll, int operation, int fd, struct file *target, const struct epoll_event_kernel *event);
/* Up to `limit` events, each ready descriptor at most once, to `emit` (under the epoll's lock; may sleep): count, 0 after the timeout, -EINTR, or what `emit` answered but 0 (the event stays ready). */
typedef int (*epoll_emit_t)(void *context, const struct epoll_event_kernel *event);
int epoll_wait_each(struct file *epoll, int limit, uint64_t timeout_ns, epoll_emit_t emit, void *context);
/* Up to `limit` events into events[] (kernel memory): count, 0 after the timeout, -EINTR. */
int epoll_wait_events(struct file *epoll, struct epoll_event_kernel *events, int limit, uint64_t timeout_ns);
