/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The room's start.
 */
#include "kernel/vfs/vfs.h"

#include "kernel/vfs/file_lock.h"
#include "kernel/vfs/memory_file.h"
#include "kernel/vfs/path_change.h"
#include "kernel/vfs/pipe.h"
#include "kernel/vfs/terminal.h"

int vfs_init(void)
{
    int error = inode_table_init();

    if (!error)
        error = dentry_init();
    if (!error)
        error = file_init();
    if (!error)
        error = memory_file_init();
    if (!error)
        error = pipe_init();
    if (error)
        return error;
    path_change_init();
    file_lock_init();
    return terminal_init();
}
