/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc and /sys: file system types for the roof, and what the room's files share.
 */
#pragma once

#include "kernel/fs/procfs/process_source.h"
#include "kernel/fs/procfs/pseudo_tree.h"
#include "kernel/vfs/inode.h"

extern const struct file_system_type procfs_type, sysfs_type;

/* Once, at boot, before the mounts: adds the room's own tables. 0 or -ENOMEM. */
int procfs_start(void);

/* Tables of the room's files. */
int proc_system_start(void);
int proc_settings_start(void);
int sysfs_start(void);

/* Inode numbers of /proc/PID/... have this bit; below it are the tree's. */
#define PROC_PROCESS_BIT (1ull << 63)

/* Directory /proc/PID (tid 0) or /proc/PID/task/TID. 0, -ESRCH, -ENOMEM. */
int proc_process_inode(struct file_system *file_system, int pid, int tid, struct inode **inode);

/* The files of a process's directory whose text is a matter of formatting: process_text.c. `tid` is never 0. */
int proc_print_stat(struct text_buffer *text, int pid, int tid);
int proc_print_status(struct text_buffer *text, int pid, int tid);
int proc_print_statm(struct text_buffer *text, int pid, int tid);
int proc_print_limits(struct text_buffer *text, int pid, int tid);
int proc_print_maps(struct text_buffer *text, int pid, int tid);
int proc_print_smaps(struct text_buffer *text, int pid, int tid);
int proc_print_mounts(struct text_buffer *text, int pid, int tid);
int proc_print_mountinfo(struct text_buffer *text, int pid, int tid);
