/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inotify, for kernel/linux.
 */
#pragma once

#include "kernel/base/compiler.h"

struct credentials;
struct file;
struct path;

#define INOTIFY_ONLY_DIRECTORY 0x01000000u /* the caller looks up with PATH_DIRECTORY */
#define INOTIFY_NO_FOLLOW 0x02000000u      /* and without PATH_FOLLOW */

int inotify_create(unsigned int flags, struct credentials *credentials, struct file **file);
/* Read permission on the inode is checked with the inotify file's credentials. A watch descriptor > 0, -EINVAL (no event, no inotify), -EEXIST, -ENOSPC, -ENOMEM. */
int inotify_add_watch(struct file *inotify, const struct path *path, uint32_t mask);
/* 0 or -EINVAL. */
int inotify_remove_watch(struct file *inotify, int watch);

/* /proc/sys/fs/inotify. */
extern uint32_t inotify_queue_limit, inotify_watch_limit, inotify_instance_limit;
