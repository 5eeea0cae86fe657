/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where /proc/PID gets its facts: kernel/process, which lives above, fills and registers this contract once at boot.
 * Every call names processes and threads by number, since they may end between two calls: then it answers -ESRCH (or
 * false), and the reader of the file gets that. Thread context; all may sleep.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/vfs/path.h"

struct file;

/* /proc/PID/stat, status, statm, limits, io in plain numbers. Times in ns, sizes in pages unless a name says otherwise. */
struct procfs_process {
    char command[16];
    char state;                    /* 'R' running, 'S' sleeping, 'D' disk, 'T' stopped, 'Z' zombie */
    int pid, tid, parent_pid, group_id, session_id, terminal_group_id;
    uint64_t terminal_device;      /* 0: none */
    unsigned int thread_count;
    uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
    uint32_t group_count;
    uint32_t groups[32];           /* the first of them */
    uint64_t capabilities_inheritable, capabilities_permitted, capabilities_effective, capabilities_bounding,
        capabilities_ambient;
    uint32_t umask;
    bool no_new_privileges;
    bool large_pages;              /* it may have some */
    int nice;
    uint64_t faults_minor, faults_major;
    uint64_t user_ns, system_ns, children_user_ns, children_system_ns;
    uint64_t start_ns;             /* on the monotonic clock */
    uint64_t virtual_pages, resident_pages, resident_peak_pages, file_pages, shared_pages;
    uint64_t code_start, code_end, data_start, data_end, stack_start, break_start, break_end, stack_pointer,
        instruction_pointer, arguments_start, arguments_end, environment_start, environment_end;
    uint64_t data_pages, stack_pages, code_pages, library_pages, locked_pages;
    uint64_t signals_pending, signals_shared_pending, signals_blocked, signals_ignored, signals_caught;
    unsigned int signals_queued;
    uint64_t signals_queued_limit;
    int exit_signal, exit_code, cpu;
    uint64_t cpu_mask;
    uint64_t switches_voluntary, switches_involuntary;
    struct { uint64_t soft, hard; } limits[16]; /* Linux's RLIMIT_* order; UINT64_MAX: unlimited */
    int fd_slots;
};

/* A line of /proc/PID/maps. */
struct procfs_area {
    uint64_t start, end, offset_bytes, device, inode;
    bool readable, writable, executable, shared;
    uint64_t resident_pages;
    uint64_t large_pages;          /* of those, in 4 KiB */
    char name[256];                /* file's path, "[heap]", or "" */
};

enum procfs_link { PROCFS_LINK_CWD, PROCFS_LINK_ROOT, PROCFS_LINK_EXE };
enum procfs_memory { PROCFS_MEMORY_ARGUMENTS, PROCFS_MEMORY_ENVIRONMENT, PROCFS_MEMORY_AUXILIARY };

struct procfs_process_source {
    /* The process and thread that asks; 0 for a kernel thread. */
    void (*current)(int *pid, int *tid);
    /* The lowest pid (tid of that process) above `after`; 0: none. */
    int (*next_pid)(int after);
    int (*next_tid)(int pid, int after);
    /* True where tid is a thread of process pid. */
    bool (*exists)(int pid, int tid);
    int (*status)(int pid, int tid, struct procfs_process *facts);
    /* Owner for the inodes of /proc/PID. */
    int (*owner)(int pid, uint32_t *uid, uint32_t *gid);
    /* One area: the first that ends above `address`; -ENOENT when there is none. */
    int (*area)(int pid, uint64_t address, struct procfs_area *area);
    /* A piece of what exec left; bytes read, 0 at the end. */
    long (*memory)(int pid, enum procfs_memory which, uint64_t offset, void *buffer, size_t length_bytes);
    /* Any of the process's memory (/proc/PID/mem). Bytes, or -EIO, -EACCES. */
    long (*peek)(int pid, uint64_t address, void *buffer, size_t length_bytes);
    long (*poke)(int pid, uint64_t address, const void *buffer, size_t length_bytes);
    /* Referenced path. */
    int (*link)(int pid, enum procfs_link which, struct path *path);
    /* The lowest open fd >= fd, or -1; and its file, referenced, or NULL. */
    int (*next_fd)(int pid, int tid, int fd);
    struct file *(*fd)(int pid, int tid, int fd);
    /* comm of a thread. */
    int (*set_command)(int pid, int tid, const char *name);
    /* fs_context of the asker, for names of paths; released by the second. */
    void (*context)(struct fs_context *context);
    void (*context_release)(struct fs_context *context);
    unsigned int (*process_count)(void);
    int (*last_pid)(void);
};

/* Once, at boot. */
void procfs_set_process_source(const struct procfs_process_source *source);
extern const struct procfs_process_source *procfs_processes; /* NULL before */
