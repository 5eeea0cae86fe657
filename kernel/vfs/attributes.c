/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and changing attributes. Every change is decided under the inode's write lock and applied by the file
 * system's set_attributes.
 */
#include "kernel/vfs/attributes.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/notify.h"
#include "kernel/vfs/process_hooks.h"

#define SIGNAL_FILE_SIZE 25 /* SIGXFSZ */
#define ANONYMOUS_DEVICE 15 /* st_dev of files without a file system */

int attributes_status(struct inode *inode, struct inode_status *status)
{
    int error = inode->operations && inode->operations->get_attributes ? inode->operations->get_attributes(inode) : 0;

    if (error)
        return error;
    memset(status, 0, sizeof(*status));
    rw_lock_read(&inode->lock);
    status->device = inode->file_system->device;
    status->inode_number = inode->number;
    status->rdevice = inode->device;
    status->mode = inode->mode;
    status->links = inode->links;
    status->uid = inode->uid;
    status->gid = inode->gid;
    status->size_bytes = inode->size_bytes;
    status->block_bytes = PAGE_SIZE;
    status->blocks = inode->has_cache && !inode->cache.source ? inode->cache.page_count * 8 : inode->blocks;
    status->access_time = inode->access_time;
    status->modify_time = inode->modify_time;
    status->change_time = inode->change_time;
    status->birth_time = inode->birth_time;
    rw_unlock_read(&inode->lock);
    return 0;
}

int attributes_path_status(const struct path *path, struct inode_status *status)
{
    int error = attributes_status(path_inode(path), status);

    if (!error) {
        status->mount_id = (uint64_t)path->mount->id;
        status->mount_root = path->dentry == path->mount->root;
    }
    return error;
}

int attributes_file_status(struct file *file, struct inode_status *status)
{
    if (file->path.dentry)
        return attributes_path_status(&file->path, status);
    if (file->inode)
        return attributes_status(file->inode, status);
    memset(status, 0, sizeof(*status));
    status->device = ANONYMOUS_DEVICE;
    status->inode_number = ((uintptr_t)file >> 6) & 0xffffffff;
    status->mode = file->operations->anonymous_mode ? file->operations->anonymous_mode : 0600;
    status->links = 1;
    status->block_bytes = PAGE_SIZE;
    if (file->credentials) {
        status->uid = file->credentials->fsuid;
        status->gid = file->credentials->fsgid;
    }
    return 0;
}

int attributes_access(const struct fs_context *context, const struct path *path, unsigned int access)
{
    struct inode *inode = path_inode(path);
    uint32_t type = inode->mode & MODE_TYPE;

    if ((access & 2) && (type == MODE_REGULAR || type == MODE_DIRECTORY || type == MODE_SYMLINK)) {
        int error = mount_writable(path);

        if (error)
            return error;
    }
    if ((access & 1) && type == MODE_REGULAR && (atomic_load(&path->mount->flags) & MOUNT_NO_EXECUTE))
        return -EACCES;
    return access ? inode_permission(inode, context->credentials, access) : 0;
}

/* Applies with the lock held and tells the watchers. */
static int apply_locked(struct inode *inode, struct inode_attributes *attributes)
{
    if (!inode->operations->set_attributes)
        return -EPERM;
    if (!(attributes->valid & ATTRIBUTE_CHANGE_TIME)) {
        attributes->valid |= ATTRIBUTE_CHANGE_TIME;
        attributes->change_time = inode_now();
    }
    return inode->operations->set_attributes(inode, attributes);
}

int attributes_set(struct inode *inode, struct inode_attributes *attributes)
{
    rw_lock_write(&inode->lock);
    int error = apply_locked(inode, attributes);
    rw_unlock_write(&inode->lock);
    return error;
}

static bool is_owner(const struct inode *inode, const struct credentials *credentials)
{
    return credentials->fsuid == inode->uid || credentials_capable(credentials, CAPABILITY_FOWNER);
}

int attributes_change_mode(const struct fs_context *context, const struct path *path, uint32_t mode)
{
    const struct credentials *credentials = context->credentials;
    struct inode *inode = path_inode(path);
    int error = mount_writable(path);

    if (error)
        return error;
    rw_lock_write(&inode->lock);
    if ((inode->mode & MODE_TYPE) == MODE_SYMLINK) {
        error = -EOPNOTSUPP;
    } else if (!is_owner(inode, credentials)) {
        error = -EPERM;
    } else {
        struct inode_attributes attributes = { .valid = ATTRIBUTE_MODE };

        attributes.mode = (inode->mode & MODE_TYPE) | (mode & 07777);
        if ((mode & MODE_SETGID) && !credentials_in_group(credentials, inode->gid) &&
            !credentials_capable(credentials, CAPABILITY_FSETID))
            attributes.mode &= ~MODE_SETGID;
        error = apply_locked(inode, &attributes);
    }
    rw_unlock_write(&inode->lock);
    if (!error)
        notify_path(path, NOTIFY_ATTRIBUTES);
    return error;
}

int attributes_change_owner(const struct fs_context *context, const struct path *path, uint32_t uid, uint32_t gid)
{
    const struct credentials *credentials = context->credentials;
    struct inode *inode = path_inode(path);
    int error = mount_writable(path);

    if (error)
        return error;
    rw_lock_write(&inode->lock);

    bool changes_uid = uid != ~0u && uid != inode->uid, changes_gid = gid != ~0u && gid != inode->gid;
    bool owner = credentials->fsuid == inode->uid;

    if (!credentials_capable(credentials, CAPABILITY_CHOWN) &&
        (changes_uid || (gid != ~0u && !owner) || (changes_gid && !credentials_in_group(credentials, gid)))) {
        error = -EPERM;
    } else {
        struct inode_attributes attributes = { .uid = uid, .gid = gid, .mode = inode->mode };

        attributes.valid = (uid != ~0u ? ATTRIBUTE_UID : 0) | (gid != ~0u ? ATTRIBUTE_GID : 0);
        if ((inode->mode & MODE_TYPE) != MODE_DIRECTORY && (inode->mode & (MODE_SETUID | MODE_SETGID))) {
            attributes.valid |= ATTRIBUTE_MODE;
            attributes.mode &= ~(MODE_SETUID | (inode->mode & 010 ? MODE_SETGID : 0));
        }
        error = apply_locked(inode, &attributes);
    }
    rw_unlock_write(&inode->lock);
    if (!error)
        notify_path(path, NOTIFY_ATTRIBUTES);
    return error;
}

static void take_time(struct inode_attributes *attributes, const struct attributes_time *from, uint32_t bit,
                      struct inode_time *to)
{
    if (from->kind == TIME_OMIT)
        return;
    attributes->valid |= bit;
    *to = from->kind == TIME_NOW ? inode_now() : from->time;
}

int attributes_set_times(const struct fs_context *context, const struct path *path, const struct attributes_time *access,
                         const struct attributes_time *modify)
{
    struct inode *inode = path_inode(path);
    struct inode_attributes attributes = { 0 };
    bool both_now = access->kind == TIME_NOW && modify->kind == TIME_NOW;
    int error;

    if (access->kind == TIME_OMIT && modify->kind == TIME_OMIT)
        return 0;
    error = mount_writable(path);
    if (error)
        return error;
    take_time(&attributes, access, ATTRIBUTE_ACCESS_TIME, &attributes.access_time);
    take_time(&attributes, modify, ATTRIBUTE_MODIFY_TIME, &attributes.modify_time);
    rw_lock_write(&inode->lock);
    if (!is_owner(inode, context->credentials))
        error = both_now ? inode_permission(inode, context->credentials, 2) : -EPERM;
    if (!error)
        error = apply_locked(inode, &attributes);
    rw_unlock_write(&inode->lock);
    if (!error)
        notify_path(path, NOTIFY_ATTRIBUTES);
    return error;
}

int attributes_truncate_inode(struct inode *inode, uint64_t size_bytes)
{
    struct inode_attributes attributes = { .valid = ATTRIBUTE_SIZE | ATTRIBUTE_MODIFY_TIME, .size_bytes = size_bytes };
    int error = 0;

    if (size_bytes > inode->size_bytes && size_bytes > vfs_process->file_size_limit()) {
        vfs_process->signal_current(SIGNAL_FILE_SIZE);
        return -EFBIG;
    }
    attributes.modify_time = inode_now();
    rw_lock_write(&inode->lock);
    if (inode->mode & (MODE_SETUID | MODE_SETGID)) {
        attributes.valid |= ATTRIBUTE_MODE;
        attributes.mode = inode->mode & ~(MODE_SETUID | (inode->mode & 010 ? MODE_SETGID : 0));
    }
    error = apply_locked(inode, &attributes);
    rw_unlock_write(&inode->lock);
    if (!error)
        notify_inode(inode, NOTIFY_MODIFY);
    return error;
}

int attributes_truncate(const struct fs_context *context, const struct path *path, uint64_t size_bytes)
{
    struct inode *inode = path_inode(path);
    uint32_t type = inode->mode & MODE_TYPE;
    int error;

    if (type == MODE_DIRECTORY)
        return -EISDIR;
    if (type != MODE_REGULAR)
        return -EINVAL;
    error = mount_writable(path);
    if (!error)
        error = inode_permission(inode, context->credentials, 2);
    return error ? error : attributes_truncate_inode(inode, size_bytes);
}

int attributes_truncate_file(struct file *file, uint64_t size_bytes)
{
    if (atomic_load(&file->flags) & FILE_PATH)
        return -EBADF;
    if (!file->writable || !file->inode || (file->inode->mode & MODE_TYPE) != MODE_REGULAR)
        return -EINVAL;
    return attributes_truncate_inode(file->inode, size_bytes);
}

/* Linux's fallocate modes. */
#define ALLOCATE_KEEP_SIZE 1
#define ALLOCATE_PUNCH_HOLE 2

int attributes_allocate(struct file *file, int mode, uint64_t offset, uint64_t length_bytes)
{
    struct inode *inode = file->inode;
    int error;

    if (!file->writable)
        return -EBADF;
    if (length_bytes == 0 || (int64_t)offset < 0 || (int64_t)length_bytes < 0)
        return -EINVAL;
    if (!inode || (inode->mode & MODE_TYPE) == MODE_FIFO)
        return -ESPIPE;
    if ((inode->mode & MODE_TYPE) != MODE_REGULAR)
        return -ENODEV;
    if (offset + length_bytes > INT64_MAX)
        return -EFBIG;
    if ((mode & ALLOCATE_PUNCH_HOLE) && !(mode & ALLOCATE_KEEP_SIZE))
        return -EOPNOTSUPP;
    if (!inode->operations->allocate)
        return -EOPNOTSUPP;
    if (!(mode & ALLOCATE_KEEP_SIZE) && offset + length_bytes > vfs_process->file_size_limit())
        return -EFBIG;
    rw_lock_write(&inode->lock);
    error = inode->operations->allocate(inode, mode, offset, length_bytes);
    rw_unlock_write(&inode->lock);
    if (!error)
        notify_inode(inode, NOTIFY_MODIFY);
    return error;
}

/* Who may touch an attribute, by its namespace. */
static int xattr_permission(const struct fs_context *context, const struct path *path, const char *name, bool write)
{
    struct inode *inode = path_inode(path);
    uint32_t type = inode->mode & MODE_TYPE;
    int error = write ? mount_writable(path) : 0;

    if (error)
        return error;
    if (strncmp(name, "trusted.", 8) == 0)
        return credentials_capable(context->credentials, CAPABILITY_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
    if (strncmp(name, "security.", 9) == 0 || strncmp(name, "system.", 7) == 0)
        return !write || credentials_capable(context->credentials, CAPABILITY_SYS_ADMIN) ? 0 : -EPERM;
    if (strncmp(name, "user.", 5) != 0)
        return -EOPNOTSUPP;
    if (type != MODE_REGULAR && type != MODE_DIRECTORY)
        return write ? -EPERM : -ENODATA;
    if (type == MODE_DIRECTORY && (inode->mode & MODE_STICKY) && write && !is_owner(inode, context->credentials))
        return -EPERM;
    return inode_permission(inode, context->credentials, write ? 2 : 4);
}

long attributes_get_xattr(const struct fs_context *context, const struct path *path, const char *name, void *value,
                          size_t size_bytes)
{
    struct inode *inode = path_inode(path);
    int error = xattr_permission(context, path, name, false);

    if (error)
        return error;
    return inode->operations->get_xattr ? inode->operations->get_xattr(inode, name, value, size_bytes) : -EOPNOTSUPP;
}

int attributes_set_xattr(const struct fs_context *context, const struct path *path, const char *name, const void *value,
                         size_t size_bytes, int flags)
{
    struct inode *inode = path_inode(path);
    int error = xattr_permission(context, path, name, true);

    if (error)
        return error;
    if (!inode->operations->set_xattr)
        return -EOPNOTSUPP;
    rw_lock_write(&inode->lock);
    error = inode->operations->set_xattr(inode, name, value, size_bytes, flags);
    rw_unlock_write(&inode->lock);
    if (!error)
        notify_path(path, NOTIFY_ATTRIBUTES);
    return error;
}

long attributes_list_xattr(const struct fs_context *context, const struct path *path, char *list, size_t size_bytes)
{
    struct inode *inode = path_inode(path);

    return inode->operations->list_xattr ? inode->operations->list_xattr(inode, list, size_bytes) : 0;
}

int attributes_remove_xattr(const struct fs_context *context, const struct path *path, const char *name)
{
    struct inode *inode = path_inode(path);
    int error = xattr_permission(context, path, name, true);

    if (error)
        return error;
    if (!inode->operations->remove_xattr)
        return -EOPNOTSUPP;
    rw_lock_write(&inode->lock);
    error = inode->operations->remove_xattr(inode, name);
    rw_unlock_write(&inode->lock);
    if (!error)
        notify_path(path, NOTIFY_ATTRIBUTES);
    return error;
}

#define STATISTICS_VALID 0x20u /* ST_VALID */

int attributes_file_system(const struct path *path, struct file_system_statistics *statistics)
{
    struct file_system *file_system = path->mount->file_system;
    unsigned long flags = atomic_load(&path->mount->flags) | (file_system->read_only ? MOUNT_READ_ONLY : 0);

    memset(statistics, 0, sizeof(*statistics));
    statistics->block_size = PAGE_SIZE;
    statistics->name_length = 255;
    if (file_system->operations->statistics) {
        int error = file_system->operations->statistics(file_system, statistics);

        if (error)
            return error;
    }
    statistics->flags = STATISTICS_VALID |
                        (flags & (MOUNT_READ_ONLY | MOUNT_NO_SUID | MOUNT_NO_DEVICES | MOUNT_NO_EXECUTE | MOUNT_NO_ACCESS_TIME));
    return 0;
}
