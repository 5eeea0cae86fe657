/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals as the rest of the kernel sees them: the console, the ptys, and who they are the controlling terminal of.
 */
#pragma once

#include "kernel/base/compiler.h"

struct credentials;
struct file;
struct inode;

/* vfs_init()'s: registers the device numbers; and the console, once threads run: takes over its input and output. 0 or -ENOMEM, -ENOSPC. */
int terminal_init(void);
void terminal_console_start(void);

/* The console as a file (stdin, stdout and stderr of the first program). */
int terminal_console_open(unsigned int flags, struct credentials *credentials, struct file **file);
bool file_is_terminal(const struct file *file);
/* Makes the file's terminal the controlling one of a session, with its foreground group: for the first program. */
void terminal_make_controlling(struct file *file, int session_id, int group_id);
/* The session's leader has ended (or the session gives its terminal up): SIGHUP and SIGCONT go to the foreground group. Thread context. */
void terminal_session_ended(int session_id);
/* Device number of the session's terminal and its foreground group, for /proc/PID/stat; false: none. */
bool terminal_of_session(int session_id, uint64_t *device, int *group_id);

/* Ptys, for /dev/pts. The lowest number ≥ from, or -1. */
int pty_next(int from);
/* Owner of a slave as /dev/pts shows it, and its mode: 0 or -ENOENT. */
int pty_attributes(int number, uint32_t *uid, uint32_t *gid, uint32_t *mode);
int pty_set_attributes(int number, uint32_t uid, uint32_t gid, uint32_t mode);

/* Device numbers: major 5 is /dev/tty 0, /dev/console 1, /dev/ptmx 2; major 136 the slaves. */
#define TERMINAL_MAJOR 5u
#define PTY_MAJOR 136u
