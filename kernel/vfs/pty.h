/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pseudo-terminals: opening their two sides.
 */
#pragma once

struct file;

/* /dev/ptmx: a new pty, whose master the file becomes. 0, -ENOSPC, -ENOMEM. */
int pty_open_master(struct file *file);
/* /dev/pts/N. 0, -EIO (locked, or its master is gone), -ENXIO. */
int pty_open_slave(int number, struct file *file);
/* TIOCGPTPEER: the slave of a master, as a new file: the caller (ioctl's, who has a descriptor table) installs it. -ENOTTY: no master. */
int pty_open_peer(struct file *master, unsigned int flags, struct file **slave);
