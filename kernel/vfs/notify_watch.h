/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One watch on an inode: inotify's side of notify.h.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"

struct inode;

struct notify_watch {
    struct list link; /* notify lock */
    /* Called under the notify lock: must not sleep, may remove the watch by list_remove(&watch->link). name NULL: the inode itself. */
    void (*event)(struct notify_watch *watch, uint32_t events, const char *name, uint32_t cookie);
};

void notify_watch_add(struct inode *inode, struct notify_watch *watch);
/* When it returns, event() is not running and will not run. */
void notify_watch_remove(struct notify_watch *watch);
