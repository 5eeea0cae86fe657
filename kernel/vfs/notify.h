/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What inotify hears: the calls that change files and names tell it here. Cheap while nobody watches (inode->watches
 * empty). Thread context; inode locks may be held, no spinlocks.
 */
#pragma once

#include "kernel/base/compiler.h"

struct file;
struct inode;
struct path;

/* Linux's IN_* bits. */
#define NOTIFY_ACCESS 0x1u
#define NOTIFY_MODIFY 0x2u
#define NOTIFY_ATTRIBUTES 0x4u
#define NOTIFY_CLOSE_WRITE 0x8u
#define NOTIFY_CLOSE_NO_WRITE 0x10u
#define NOTIFY_OPEN 0x20u
#define NOTIFY_MOVED_FROM 0x40u
#define NOTIFY_MOVED_TO 0x80u
#define NOTIFY_CREATE 0x100u
#define NOTIFY_DELETE 0x200u
#define NOTIFY_DELETE_SELF 0x400u
#define NOTIFY_MOVE_SELF 0x800u
#define NOTIFY_UNMOUNT 0x2000u /* of the inode's file system: ends the watch, whatever it asked for */
#define NOTIFY_IS_DIRECTORY 0x40000000u

/* Something happened to an entry of the directory; `cookie` ties the halves of a rename. */
void notify_entry(struct inode *directory, uint32_t events, const char *name, uint32_t cookie);
/* Something happened to the inode itself. */
void notify_inode(struct inode *inode, uint32_t events);
/* Something happened to an open file, or to what a path leads to: its inode's watchers hear of it, and its directory's by its name. */
void notify_file(struct file *file, uint32_t events);
void notify_path(const struct path *path, uint32_t events);
