/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Positions in a directory: 0 and 1 stand for "." and "..", and the file system's offset o for position o + 2 (its own
 * start, 0, is position 2).
 */
#include "kernel/vfs/directory.h"

#include "kernel/base/error.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/notify.h"

#define DOTS 2

struct emit_state {
    struct file *file;
    directory_emit_t emit;
    void *context;
};

/* From the file system's offsets to positions. */
static bool emit_entry(void *context, const char *name, size_t length, uint64_t number, unsigned int type, uint64_t next)
{
    struct emit_state *state = context;

    if (!state->emit(state->context, name, length, number, type, next + DOTS))
        return false;
    state->file->position = next + DOTS;
    return true;
}

static uint64_t parent_number(struct file *file)
{
    char name[256];
    struct dentry *parent;
    uint64_t number;

    dentry_name(file->path.dentry, name, &parent);
    if (!parent)
        return file->inode->number;
    number = dentry_inode(parent)->number;
    dentry_release(parent);
    return number;
}

int directory_read_entries(struct file *file, directory_emit_t emit, void *context)
{
    struct inode *inode = file->inode;
    struct emit_state state = { .file = file, .emit = emit, .context = context };
    int error = 0;

    if (!file->readable)
        return -EBADF;
    if (!inode || (inode->mode & MODE_TYPE) != MODE_DIRECTORY || !inode->operations->read_directory)
        return -ENOTDIR;
    mutex_lock(&file->position_lock);
    rw_lock_read(&inode->lock);
    if (file->path.dentry && atomic_load(&file->path.dentry->deleted))
        error = -ENOENT;
    bool going = !error;
    if (going && file->position == 0) {
        going = emit(context, ".", 1, inode->number, MODE_DIRECTORY, 1);
        file->position = going ? 1 : 0;
    }
    if (going && file->position == 1) {
        going = emit(context, "..", 2, parent_number(file), MODE_DIRECTORY, DOTS);
        file->position = going ? DOTS : 1;
    }
    if (going)
        error = inode->operations->read_directory(inode, file->position - DOTS, emit_entry, &state);
    rw_unlock_read(&inode->lock);
    mutex_unlock(&file->position_lock);
    return error;
}
