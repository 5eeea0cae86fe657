/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making files of a cpio archive's members. Names are taken from the root, without links in between leading out (the walk is
 * held to it); missing parents are made. Members that share an inode number are hard links of the first; their data may
 * come with any of them (GNU cpio gives it with the last).
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/list.h"
#include "kernel/base/log.h"
#include "kernel/fs/tmpfs/cpio.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/attributes.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/path.h"

struct first_link {
    struct list link;
    uint64_t device;
    uint32_t inode_number;
    char name[];
};

struct unpacker {
    struct fs_context context;
    struct list first_links;
};

static bool name_is_safe(const char *name)
{
    while (*name) {
        size_t length = 0;

        while (name[length] && name[length] != '/')
            length++;
        if (length == 2 && name[0] == '.' && name[1] == '.')
            return false;
        name += length + (name[length] == '/');
    }
    return true;
}

static const char *name_in_root(const char *name)
{
    while (name[0] == '/' || (name[0] == '.' && (name[1] == '/' || name[1] == 0)))
        name++;
    return name;
}

/* Directories on the way that no member announced. `name` is ours to change. */
static int make_parents(const struct fs_context *context, char *name)
{
    for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int error = name[0] ? path_make_directory(context, &context->root, name, 0755) : 0;
        *slash = '/';
        if (error && error != -EEXIST)
            return error;
    }
    return 0;
}

static int write_data(struct unpacker *unpacker, const char *name, const struct cpio_member *member, unsigned int flags)
{
    struct io_segment segment;
    struct io_vector vector;
    struct file *file;
    int error = file_open(&unpacker->context, &unpacker->context.root, name, FILE_WRITE_ONLY | FILE_NO_FOLLOW | flags,
                          member->mode & 07777, &file);

    if (error)
        return error;
    io_vector_init_kernel(&vector, &segment, (void *)(uintptr_t)member->data, member->size_bytes);
    while (vector.remaining_bytes > 0 && !error) {
        long written = file_write(file, &vector, NULL);

        error = written < 0 ? (int)written : written == 0 ? -EIO : 0;
    }
    file_release(file);
    return error;
}

static struct first_link *find_first(struct unpacker *unpacker, const struct cpio_member *member)
{
    struct first_link *first;

    list_for_each(first, &unpacker->first_links, link)
        if (first->inode_number == member->inode_number && first->device == member->device)
            return first;
    return NULL;
}

static int remember_first(struct unpacker *unpacker, const char *name, const struct cpio_member *member)
{
    size_t length = strlen(name) + 1;
    struct first_link *first = memory_allocate(sizeof(*first) + length);

    if (!first)
        return -ENOMEM;
    memcpy(first->name, name, length);
    first->inode_number = member->inode_number;
    first->device = member->device;
    list_add_first(&unpacker->first_links, &first->link);
    return 0;
}

static int make_regular(struct unpacker *unpacker, const char *name, const struct cpio_member *member)
{
    struct fs_context *context = &unpacker->context;
    struct first_link *first = member->links > 1 ? find_first(unpacker, member) : NULL;
    int error;

    if (first) {
        error = path_link(context, &context->root, first->name, &context->root, name, 0);
        return error || member->size_bytes == 0 ? error : write_data(unpacker, name, member, FILE_TRUNCATE);
    }
    error = write_data(unpacker, name, member, FILE_CREATE | FILE_EXCLUSIVE);
    return error || member->links <= 1 ? error : remember_first(unpacker, name, member);
}

static int make_symlink(struct unpacker *unpacker, const char *name, const struct cpio_member *member)
{
    if (member->size_bytes == 0 || member->size_bytes >= PATH_LENGTH_LIMIT)
        return -EINVAL;

    char *target = memory_allocate(member->size_bytes + 1);
    if (!target)
        return -ENOMEM;
    memcpy(target, member->data, member->size_bytes);
    target[member->size_bytes] = 0;
    int error = path_make_symlink(&unpacker->context, target, &unpacker->context.root, name);
    memory_free(target);
    return error;
}

static int make_member(struct unpacker *unpacker, const char *name, const struct cpio_member *member)
{
    const struct path *root = &unpacker->context.root;
    int error;

    switch (member->mode & MODE_TYPE) {
    case MODE_DIRECTORY:
        error = path_make_directory(&unpacker->context, root, name, member->mode & 01777);
        return error == -EEXIST ? 0 : error;
    case MODE_REGULAR:
        return make_regular(unpacker, name, member);
    case MODE_SYMLINK:
        return make_symlink(unpacker, name, member);
    case MODE_CHARACTER:
    case MODE_BLOCK:
    case MODE_FIFO:
    case MODE_SOCKET:
        return path_make_node(&unpacker->context, root, name, member->mode, member->device_number);
    default:
        return -EINVAL;
    }
}

static int set_attributes(struct unpacker *unpacker, const char *name, const struct cpio_member *member)
{
    const struct attributes_time time = {.kind = TIME_SET, .time = {.seconds = member->modify_time_seconds}};
    struct path path;
    int error = path_lookup(&unpacker->context, &unpacker->context.root, name, PATH_EMPTY, &path);

    if (error)
        return error;
    error = attributes_change_owner(&unpacker->context, &path, member->uid, member->gid);
    if (!error && (member->mode & MODE_TYPE) != MODE_SYMLINK) /* after the owner, whose change takes set-id bits away */
        error = attributes_change_mode(&unpacker->context, &path, member->mode & 07777);
    if (!error)
        error = attributes_set_times(&unpacker->context, &path, &time, &time);
    path_release(&path);
    return error;
}

static int unpack_member(void *context, const struct cpio_member *member)
{
    struct unpacker *unpacker = context;
    char *name = memory_duplicate_string(name_in_root(member->name));
    int error = -EINVAL;

    if (!name)
        return -ENOMEM;
    if (name_is_safe(name))
        error = make_parents(&unpacker->context, name);
    if (!error && name[0] != 0) { /* the root is there */
        error = make_member(unpacker, name, member);
        if (error == -EEXIST && path_remove(&unpacker->context, &unpacker->context.root, name, false) == 0)
            error = make_member(unpacker, name, member); /* a later member replaces an earlier one */
    }
    if (!error)
        error = set_attributes(unpacker, name, member);
    if (error)
        log_error("initramfs: \"%s\" cannot be made: error %d", member->name, -error);
    memory_free(name);
    return error;
}

int cpio_unpack(const struct fs_context *context, const void *archive, size_t size_bytes)
{
    struct unpacker unpacker = {.context = *context};
    struct first_link *first, *following;

    unpacker.context.umask = 0;
    list_init(&unpacker.first_links);
    int error = cpio_read(archive, size_bytes, unpack_member, &unpacker);
    list_for_each_safe(first, following, &unpacker.first_links, link)
        memory_free(first);
    return error;
}
