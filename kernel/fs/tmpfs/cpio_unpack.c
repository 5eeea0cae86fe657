/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making files of a cpio archive's members. Names are taken from the root, without links in between leading out (the walk is
 * held to it); missing parents are made. Members that share an inode number are hard links of the first; their data may
 * come with any of them (GNU cpio gives it with the last).
 *
 * Most members lie in the same directory as the one before, which is kept at hand.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/list.h"
#include "kernel/base/log.h"
#include "kernel/fs/tmpfs/cpio.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/vfs/attributes.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/inode.h"
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
    char *parent_name;    /* NULL: no member so far */
    struct path parent;   /* of the last member, referenced */
    bool owned;
    const uint8_t *kept;  /* where the archive's pages begin that are neither released nor a file's */
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

static void parent_forget(struct unpacker *unpacker)
{
    if (!unpacker->parent_name)
        return;
    path_release(&unpacker->parent);
    memory_free(unpacker->parent_name);
    unpacker->parent_name = NULL;
}

/* unpacker->parent for a member, and its name in there, which ends `name`. That is ours to change. */
static int find_parent(struct unpacker *unpacker, char *name, const char **last)
{
    const struct fs_context *context = &unpacker->context;
    char *slash = strrchr(name, '/');
    size_t length = slash ? (size_t)(slash - name) : 0;

    *last = slash ? slash + 1 : name;
    if (unpacker->parent_name && strncmp(unpacker->parent_name, name, length) == 0 && unpacker->parent_name[length] == 0)
        return 0;
    parent_forget(unpacker);
    char *parent_name = memory_duplicate_text(name, length);
    if (!parent_name)
        return -ENOMEM;
    int error = path_lookup(context, &context->root, parent_name, PATH_FOLLOW | PATH_DIRECTORY | PATH_EMPTY, &unpacker->parent);
    if (error == -ENOENT) {
        error = make_parents(context, name);
        if (!error)
            error = path_lookup(context, &context->root, parent_name, PATH_FOLLOW | PATH_DIRECTORY | PATH_EMPTY, &unpacker->parent);
    }
    if (error)
        memory_free(parent_name);
    else
        unpacker->parent_name = parent_name;
    return error;
}

/* All before `end` has been made. */
static void pages_release(struct unpacker *unpacker, const uint8_t *end)
{
    for (; unpacker->owned && unpacker->kept + PAGE_SIZE <= end; unpacker->kept += PAGE_SIZE)
        page_release(page_from_address(unpacker->kept));
}

/* A page of a member's data, from an offset on: the archive's own, if the data begins with a page and fills this one, or a copy. The archive's pages before it are gone. */
static struct page *page_of_data(struct unpacker *unpacker, const struct cpio_member *member, uint64_t offset)
{
    size_t length = minimum((size_t)PAGE_SIZE, member->size_bytes - offset);
    const uint8_t *data = member->data + offset;
    struct page *page;

    if (unpacker->owned && length == PAGE_SIZE && (uintptr_t)data % PAGE_SIZE == 0) {
        pages_release(unpacker, data);
        unpacker->kept += PAGE_SIZE;
        return page_from_address(data);
    }
    page = page_allocate(0, PAGE_CACHE, 0);
    if (page) {
        memcpy(page_address(page), data, length);
        memset((uint8_t *)page_address(page) + length, 0, PAGE_SIZE - length);
    }
    return page;
}

static int set_attributes(struct unpacker *unpacker, const struct path *path, const struct cpio_member *member)
{
    const struct attributes_time time = {.kind = TIME_SET, .time = {.seconds = member->modify_time_seconds}};
    const struct inode *inode = path_inode(path);
    int error = 0;

    if (inode->uid != member->uid || inode->gid != member->gid)
        error = attributes_change_owner(&unpacker->context, path, member->uid, member->gid);
    if (!error && inode->mode != member->mode && (member->mode & MODE_TYPE) != MODE_SYMLINK) /* after the owner, whose change takes set-id bits away */
        error = attributes_change_mode(&unpacker->context, path, member->mode & 07777);
    return error ? error : attributes_set_times(&unpacker->context, path, &time, &time);
}

/* An empty name: the parent. */
static int set_attributes_of(struct unpacker *unpacker, const char *name, const struct cpio_member *member)
{
    struct path path;
    int error = path_lookup(&unpacker->context, &unpacker->parent, name, PATH_EMPTY, &path);

    if (error)
        return error;
    error = set_attributes(unpacker, &path, member);
    path_release(&path);
    return error;
}

static int write_data(struct unpacker *unpacker, const char *name, const struct cpio_member *member, unsigned int flags)
{
    struct file *file;
    int error = file_open(&unpacker->context, &unpacker->parent, name, FILE_WRITE_ONLY | FILE_NO_FOLLOW | flags, member->mode & 07777, &file);

    if (error)
        return error;
    if (member->size_bytes > 0)
        error = attributes_truncate_file(file, member->size_bytes);
    for (uint64_t offset = 0; offset < member->size_bytes && !error; offset += PAGE_SIZE) {
        struct page *page = page_of_data(unpacker, member, offset);

        error = page ? page_cache_adopt(&file->inode->cache, offset / PAGE_SIZE, page) : -ENOMEM;
    }
    if (!error)
        error = set_attributes(unpacker, &file->path, member);
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

/* `name` is the whole one, `last` that in the parent. */
static int make_regular(struct unpacker *unpacker, const char *name, const char *last, const struct cpio_member *member)
{
    struct fs_context *context = &unpacker->context;
    struct first_link *first = member->links > 1 ? find_first(unpacker, member) : NULL;
    int error;

    if (first) {
        error = path_link(context, &context->root, first->name, &unpacker->parent, last, 0);
        return error || member->size_bytes == 0 ? error : write_data(unpacker, last, member, FILE_TRUNCATE);
    }
    error = write_data(unpacker, last, member, FILE_CREATE | FILE_EXCLUSIVE);
    return error || member->links <= 1 ? error : remember_first(unpacker, name, member);
}

static int make_symlink(struct unpacker *unpacker, const char *name, const struct cpio_member *member)
{
    if (member->size_bytes == 0 || member->size_bytes >= PATH_LENGTH_LIMIT)
        return -EINVAL;

    char *target = memory_duplicate_text(member->data, member->size_bytes);
    if (!target)
        return -ENOMEM;
    int error = path_make_symlink(&unpacker->context, target, &unpacker->parent, name);
    memory_free(target);
    return error;
}

static int make_member(struct unpacker *unpacker, const char *name, const char *last, const struct cpio_member *member)
{
    const struct fs_context *context = &unpacker->context;
    int error;

    switch (member->mode & MODE_TYPE) {
    case MODE_DIRECTORY:
        error = path_make_directory(context, &unpacker->parent, last, member->mode & 01777);
        return error == -EEXIST ? 0 : error;
    case MODE_REGULAR:
        return make_regular(unpacker, name, last, member);
    case MODE_SYMLINK:
        return make_symlink(unpacker, last, member);
    case MODE_CHARACTER:
    case MODE_BLOCK:
    case MODE_FIFO:
    case MODE_SOCKET:
        return path_make_node(context, &unpacker->parent, last, member->mode, member->device_number);
    default:
        return -EINVAL;
    }
}

static int unpack_member(void *context, const struct cpio_member *member)
{
    struct unpacker *unpacker = context;
    char *name = memory_duplicate_string(name_in_root(member->name));
    const char *last = name;
    int error = -EINVAL;

    if (!name)
        return -ENOMEM;
    for (size_t end = strlen(name); end > 0 && name[end - 1] == '/'; end--)
        name[end - 1] = 0;
    if (name_is_safe(name))
        error = find_parent(unpacker, name, &last);
    if (!error && last[0] != 0) { /* the root is there */
        error = make_member(unpacker, name, last, member);
        if (error == -EEXIST && path_remove(&unpacker->context, &unpacker->parent, last, false) == 0)
            error = make_member(unpacker, name, last, member); /* a later member replaces an earlier one */
    }
    if (!error && (member->mode & MODE_TYPE) != MODE_REGULAR)
        error = set_attributes_of(unpacker, last, member);
    if (error)
        log_error("initramfs: \"%s\" cannot be made: error %d", name, -error);
    else
        pages_release(unpacker, member->data + member->size_bytes);
    memory_free(name);
    return error;
}

int cpio_unpack(const struct fs_context *context, const void *archive, size_t size_bytes, bool owned)
{
    struct unpacker unpacker = {.context = *context, .owned = owned, .kept = archive};
    struct first_link *first, *following;

    unpacker.context.umask = 0;
    list_init(&unpacker.first_links);
    int error = cpio_read(archive, size_bytes, unpack_member, &unpacker);
    pages_release(&unpacker, (const uint8_t *)archive + PAGE_ROUND_UP(size_bytes));
    parent_forget(&unpacker);
    list_for_each_safe(first, following, &unpacker.first_links, link)
        memory_free(first);
    return error;
}
