/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files under mappings: the area_backing over a regular file's page cache, which holds the file open as long as an area
 * maps it.
 */
#include "kernel/vfs/file_map.h"

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/mount.h"

struct file_backing {
    struct area_backing backing;
    struct file *file; /* referenced */
};

static void file_backing_destroy(struct area_backing *backing)
{
    struct file_backing *mapped = container_of(backing, struct file_backing, backing);

    file_release(mapped->file);
    memory_free(mapped);
}

/* As seen from the root of everything: /proc/PID/maps of a chrooted program shows more than Linux would. */
static size_t file_backing_describe(struct area_backing *backing, char *name, size_t size_bytes, uint64_t *device,
                                    uint64_t *inode)
{
    struct file *file = container_of(backing, struct file_backing, backing)->file;
    struct fs_context context = { .root = { NULL, NULL } };

    *device = file->inode->file_system->device;
    *inode = file->inode->number;
    if (!file->path.dentry || mount_is_internal(file->path.mount))
        return file->operations->describe ? file->operations->describe(file, name, size_bytes) : 0;

    long length = path_name(&context, &file->path, name, size_bytes, true);

    return length > 0 ? (size_t)length - 1 : 0;
}

static const struct area_backing_operations file_backing_operations = {
    .destroy = file_backing_destroy,
    .describe = file_backing_describe,
};

static int file_backing_create(struct file *file, struct area_backing **backing)
{
    struct file_backing *mapped = memory_allocate_zeroed(sizeof(*mapped));

    if (!mapped)
        return -ENOMEM;
    reference_init(&mapped->backing.reference);
    mapped->backing.cache = &file->inode->cache;
    mapped->backing.operations = &file_backing_operations;
    mapped->backing.owner = file;
    file_take(file);
    mapped->file = file;
    *backing = &mapped->backing;
    return 0;
}

int file_map_cache(struct file *file, struct area_request *request)
{
    return file_backing_create(file, &request->backing);
}

int file_map(struct file *file, struct area_request *request)
{
    bool shared = request->flags & AREA_SHARED;

    if (atomic_load(&file->flags) & FILE_PATH)
        return -EBADF;
    if (!file->readable || (shared && (request->protection & PAGING_WRITE) && !file->writable))
        return -EACCES;
    if ((request->protection & PAGING_EXECUTE) && file->path.mount &&
        (atomic_load(&file->path.mount->flags) & MOUNT_NO_EXECUTE))
        return -EPERM;
    if (!shared || file->writable)
        request->flags |= AREA_MAY_WRITE;
    if (file->operations->map)
        return file->operations->map(file, request);
    if (!file->inode || !file->inode->has_cache)
        return -ENODEV;
    return file_map_cache(file, request);
}
