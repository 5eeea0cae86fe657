/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing through the page cache. Reads take no inode lock (the cache has its own); writes hold it for
 * writing, so that appends do not mix and the length changes once.
 */
#include "kernel/vfs/regular_file.h"

#include "kernel/base/error.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/process_hooks.h"

#define SIGNAL_FILE_SIZE 25 /* SIGXFSZ */
#define ACCESS_TIME_STALE_SECONDS (24 * 60 * 60)

/* As Linux's relatime: the time of access is kept only where it would otherwise look older than the last change, or than a day. */
static void note_access(struct file *file)
{
    struct inode *inode = file->inode;

    if (inode->file_system->read_only || (atomic_load(&file->flags) & FILE_NO_ACCESS_TIME) ||
        (atomic_load(&file->path.mount->flags) & (MOUNT_NO_ACCESS_TIME | MOUNT_READ_ONLY)))
        return;
    if (inode->access_time.seconds > inode->modify_time.seconds &&
        inode->access_time.seconds > inode->change_time.seconds &&
        inode_now().seconds - inode->access_time.seconds < ACCESS_TIME_STALE_SECONDS)
        return;

    struct inode_attributes attributes = { .valid = ATTRIBUTE_ACCESS_TIME, .access_time = inode_now() };

    rw_lock_write(&inode->lock);
    if (inode->operations->set_attributes)
        inode->operations->set_attributes(inode, &attributes);
    rw_unlock_write(&inode->lock);
}

static long regular_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    long answer = page_cache_read(&file->inode->cache, *position, vector);

    if (answer > 0) {
        *position += (uint64_t)answer;
        note_access(file);
    }
    return answer;
}

/* How much may be written at `position`; 0: nothing, and *error says why. */
static size_t write_room(uint64_t position, size_t wanted, int *error)
{
    uint64_t limit = vfs_process->file_size_limit();

    if (position >= limit) {
        vfs_process->signal_current(SIGNAL_FILE_SIZE);
        *error = -EFBIG;
        return 0;
    }
    return (size_t)minimum((uint64_t)wanted, limit - position);
}

/* Set-id bits go when somebody without the privilege writes. Inode locked. */
static void write_attributes(struct file *file)
{
    struct inode *inode = file->inode;
    struct inode_attributes attributes = { .valid = ATTRIBUTE_MODIFY_TIME | ATTRIBUTE_CHANGE_TIME };

    attributes.modify_time = attributes.change_time = inode_now();
    if ((inode->mode & (MODE_SETUID | MODE_SETGID)) && !credentials_capable(file->credentials, CAPABILITY_FSETID)) {
        attributes.valid |= ATTRIBUTE_MODE;
        attributes.mode = inode->mode & ~(MODE_SETUID | (inode->mode & 010 ? MODE_SETGID : 0));
    }
    inode->operations->set_attributes(inode, &attributes);
}

/* The copy itself, with the inode locked. */
static long write_locked(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct inode *inode = file->inode;
    uint64_t old_size = inode->size_bytes;
    int error = 0;

    if (atomic_load(&file->flags) & FILE_APPEND)
        *position = old_size;

    size_t length = write_room(*position, vector->remaining_bytes, &error);

    if (length == 0)
        return error;
    if (*position + length > INT64_MAX)
        return -EFBIG;
    if (inode->file_system->operations->prepare_write)
        error = inode->file_system->operations->prepare_write(inode, *position, length);
    if (!error && *position + length > old_size) {
        error = page_cache_resize(&inode->cache, *position + length);
        if (!error)
            inode->size_bytes = *position + length;
    }
    if (error)
        return error;

    size_t kept = vector->remaining_bytes - length; /* past the file size limit */

    vector->remaining_bytes = length;
    long written = page_cache_write(&inode->cache, *position, vector);
    vector->remaining_bytes += kept;

    uint64_t end = *position + (written > 0 ? (uint64_t)written : 0);

    if (inode->size_bytes > maximum(old_size, end)) { /* a fault cut it short */
        inode->size_bytes = maximum(old_size, end);
        page_cache_resize(&inode->cache, inode->size_bytes);
    }
    if (written > 0) {
        *position = end;
        write_attributes(file);
    }
    return written;
}

static long regular_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct inode *inode = file->inode;

    if (vector->remaining_bytes == 0)
        return 0;
    rw_lock_write(&inode->lock);
    long answer = write_locked(file, vector, position);
    rw_unlock_write(&inode->lock);
    if (answer > 0 && (atomic_load(&file->flags) & (FILE_DSYNC | FILE_SYNC))) {
        int error = file_synchronize(file, *position - (uint64_t)answer, *position - 1, true);

        if (error)
            return error;
    }
    return answer;
}

const struct file_operations regular_file_operations = {
    .read = regular_read,
    .write = regular_write,
};

static long directory_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    return -EISDIR;
}

/* Positions are the file system's offsets (directory.h), so only a rewind and a return to a told offset make sense. */
static long directory_seek(struct file *file, int64_t offset, int whence)
{
    if ((whence != 0 && whence != 1) || (whence == 1 && offset != 0))
        return -EINVAL;
    if (offset < 0)
        return -EINVAL;
    mutex_lock(&file->position_lock);
    if (whence == 0)
        file->position = (uint64_t)offset;
    long answer = (long)file->position;
    mutex_unlock(&file->position_lock);
    return answer;
}

const struct file_operations directory_file_operations = {
    .read = directory_read,
    .seek = directory_seek,
};
