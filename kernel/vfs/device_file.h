/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device nodes, wherever they lie: what a number opens. kernel/fs/devfs registers its table.
 */
#pragma once

#include "kernel/base/compiler.h"

struct file;
struct inode;

/* Linux's encoding for majors below 4096 and minors below 2^20. */
#define DEVICE_NUMBER(major, minor) (((uint64_t)(major) << 8) | ((minor) & 0xff) | ((uint64_t)((minor) & ~0xffu) << 12))
#define DEVICE_MAJOR(number) ((unsigned int)(((number) >> 8) & 0xfff))
#define DEVICE_MINOR(number) ((unsigned int)(((number) & 0xff) | (((number) >> 12) & 0xfff00)))

/*
 * Registers the opener of character (or block) devices of a major number, all minors. It sets file->operations and data; 0 or -ENXIO. At
 * most 16 of each. 0 or -ENOSPC.
 */
int device_file_register(bool block, unsigned int major, int (*open)(struct inode *inode, struct file *file));
/* -ENXIO where nobody registered the number. */
int device_file_open(struct inode *inode, struct file *file);
