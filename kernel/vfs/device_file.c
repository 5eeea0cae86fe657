/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of device numbers. Filled at boot by one thread, only read afterwards.
 */
#include "kernel/vfs/device_file.h"

#include "kernel/base/error.h"
#include "kernel/vfs/inode.h"

#define DEVICE_MAJORS_LIMIT 16

static struct {
    unsigned int major;
    int (*open)(struct inode *inode, struct file *file);
} table[2][DEVICE_MAJORS_LIMIT];
static unsigned int table_count[2];

int device_file_register(bool block, unsigned int major, int (*open)(struct inode *inode, struct file *file))
{
    if (table_count[block] == DEVICE_MAJORS_LIMIT)
        return -ENOSPC;
    table[block][table_count[block]].major = major;
    table[block][table_count[block]].open = open;
    table_count[block]++;
    return 0;
}

int device_file_open(struct inode *inode, struct file *file)
{
    bool block = (inode->mode & MODE_TYPE) == MODE_BLOCK;

    for (unsigned int i = 0; i < table_count[block]; i++)
        if (table[block][i].major == DEVICE_MAJOR(inode->device))
            return table[block][i].open(inode, file);
    return -ENXIO;
}
