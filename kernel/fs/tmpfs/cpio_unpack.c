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
    char *parent_name;         /* NULL: no member so far */
    size_t parent_length;
    struct path parent;        /* of the last member, referenced */
    bool owned;
    const uint8_t *kept;       /* where the archive's pages begin that are neither released nor a file's */
    const uint8_t *given;      /* behind it, to given_end: pages that are the last member's */
    const uint8_t *given_end;
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

/* The directory of a name, whose last slash becomes its end; NULL: it has none. */
static int find_directory(const struct fs_context *context, char *name, char *slash, struct path *path)
{
    const unsigned int flags = PATH_FOLLOW | PATH_DIRECTORY | PATH_EMPTY;

    if (!slash)
        return path_lookup(context, &context->root, "", flags, path);
    *slash = 0;
    int error = path_lookup(context, &context->root, name, flags, path);
    if (error != -ENOENT)
        return error;
    *slash = '/';
    error = make_parents(context, name);
    *slash = 0;
    return error ? error : path_lookup(context, &context->root, name, flags, path);
}

/* What a name has behind unpacker->parent's; NULL: it leads elsewhere, or has to be looked at more closely. */
static const char *name_in_parent(const struct unpacker *unpacker, const char *name)
{
    size_t length = unpacker->parent_length;

    if (!unpacker->parent_name || strncmp(name, unpacker->parent_name, length) != 0 || (length > 0 && name[length++] != '/'))
        return NULL;
    return name[length] == 0 || name[length] == '.' || strchr(name + length, '/') ? NULL : name + length;
}

/* unpacker->parent for a member, and its name in there. */
static int find_parent(struct unpacker *unpacker, const char *name, const char **last)
{
    *last = name_in_parent(unpacker, name);
    if (*last)
        return 0;
    parent_forget(unpacker);
    char *copy = memory_duplicate_string(name);
    if (!copy)
        return -ENOMEM;
    for (size_t end = strlen(copy); end > 0 && copy[end - 1] == '/'; end--)
        copy[end - 1] = 0;
    char *slash = strrchr(copy, '/');
    int error = name_is_safe(copy) ? find_directory(&unpacker->context, copy, slash, &unpacker->parent) : -EINVAL;
    if (error) {
        memory_free(copy);
        return error;
    }
    unpacker->parent_name = copy;
    unpacker->parent_length = slash ? (size_t)(slash - copy) : 0;
    *last = slash ? slash + 1 : copy;
    return 0;
}

/* All before `end` has been made. */
static void pages_release(struct unpacker *unpacker, const uint8_t *end)
{
    while (unpacker->owned && unpacker->kept + PAGE_SIZE <= end) {
        if (unpacker->kept == unpacker->given) {
            unpacker->kept = unpacker->given_end;
        } else {
            page_release(page_from_address(unpacker->kept));
            unpacker->kept += PAGE_SIZE;
        }
    }
}

static int copy_page(struct page_cache *cache, const struct cpio_member *member, uint64_t offset)
{
    size_t length = minimum((size_t)PAGE_SIZE, member->size_bytes - offset);
    struct page *page = page_allocate(0, PAGE_CACHE, 0);

    if (!page)
        return -ENOMEM;
    memcpy(page_address(page), member->data + offset, length);
    memset((uint8_t *)page_address(page) + length, 0, PAGE_SIZE - length);
    return page_cache_adopt(cache, offset / PAGE_SIZE, page, 1);
}

/* The archive's own pages, if the data begins with one, as far as the data fills them, and copies. */
static int write_data(struct unpacker *unpacker, struct page_cache *cache, const struct cpio_member *member)
{
    size_t whole = unpacker->owned && (uintptr_t)member->data % PAGE_SIZE == 0 ? member->size_bytes / PAGE_SIZE : 0;
    int error = 0;

    for (uint64_t offset = whole * PAGE_SIZE; offset < member->size_bytes && !error; offset += PAGE_SIZE)
        error = copy_page(cache, member, offset);
    if (error || whole == 0)
        return error;
    unpacker->given = member->data;
    unpacker->given_end = member->data + whole * PAGE_SIZE;
    return page_cache_adopt(cache, 0, page_from_address(member->data), whole);
}

/* The file is there; what the archive says of it. */
static int fill_member(struct unpacker *unpacker, struct inode *inode, const struct cpio_member *member)
{
    const struct inode_time time = {.seconds = member->modify_time_seconds};
    struct inode_attributes attributes = {
        .valid = ATTRIBUTE_UID | ATTRIBUTE_GID | ATTRIBUTE_ACCESS_TIME | ATTRIBUTE_MODIFY_TIME, .mode = member->mode, .uid = member->uid,
        .gid = member->gid, .size_bytes = member->size_bytes, .access_time = time, .modify_time = time};
    bool has_data = (member->mode & MODE_TYPE) == MODE_REGULAR && member->size_bytes > 0;

    if (has_data && !inode->has_cache) /* the first link's name is another file's by now */
        return -EINVAL;
    if (has_data)
        attributes.valid |= ATTRIBUTE_SIZE;
    if ((inode->mode & MODE_TYPE) != MODE_SYMLINK)
        attributes.valid |= ATTRIBUTE_MODE;
    int error = attributes_set(inode, &attributes);
    return error || !has_data ? error : write_data(unpacker, &inode->cache, member);
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
static int make_regular(struct unpacker *unpacker, const char *name, const char *last, const struct cpio_member *member, struct path *made)
{
    struct fs_context *context = &unpacker->context;
    struct first_link *first = member->links > 1 ? find_first(unpacker, member) : NULL;
    int error;

    if (first) {
        error = path_link(context, &context->root, first->name, &unpacker->parent, last, 0);
        return error ? error : path_lookup(context, &unpacker->parent, last, 0, made);
    }
    error = path_make(context, &unpacker->parent, last, member->mode, 0, made);
    return error || member->links <= 1 ? error : remember_first(unpacker, name, member);
}

static int make_symlink(struct unpacker *unpacker, const char *name, const struct cpio_member *member, struct path *made)
{
    if (member->size_bytes == 0 || member->size_bytes >= PATH_LENGTH_LIMIT)
        return -EINVAL;

    char *target = memory_duplicate_text(member->data, member->size_bytes);
    if (!target)
        return -ENOMEM;
    int error = path_make_symlink(&unpacker->context, target, &unpacker->parent, name);
    memory_free(target);
    return error ? error : path_lookup(&unpacker->context, &unpacker->parent, name, 0, made);
}

/* *made may have been made also on error. */
static int make_member(struct unpacker *unpacker, const char *name, const char *last, const struct cpio_member *member, struct path *made)
{
    const struct fs_context *context = &unpacker->context;
    int error;

    switch (member->mode & MODE_TYPE) {
    case MODE_DIRECTORY:
        error = path_make(context, &unpacker->parent, last, member->mode, 0, made);
        return error == -EEXIST ? path_lookup(context, &unpacker->parent, last, 0, made) : error;
    case MODE_REGULAR:
        return make_regular(unpacker, name, last, member, made);
    case MODE_SYMLINK:
        return make_symlink(unpacker, last, member, made);
    case MODE_CHARACTER:
    case MODE_BLOCK:
    case MODE_FIFO:
    case MODE_SOCKET:
        return path_make(context, &unpacker->parent, last, member->mode, member->device_number, made);
    default:
        return -EINVAL;
    }
}

static int unpack_member(void *context, const struct cpio_member *member)
{
    struct unpacker *unpacker = context;
    const char *name = name_in_root(member->name), *last;
    struct path path = {NULL, NULL};
    int error = find_parent(unpacker, name, &last);

    if (!error && last[0] == 0) { /* the root is there */
        path = unpacker->parent;
        path_take(&path);
    } else if (!error) {
        error = make_member(unpacker, name, last, member, &path);
        if (error == -EEXIST && path_remove(&unpacker->context, &unpacker->parent, last, false) == 0)
            error = make_member(unpacker, name, last, member, &path); /* a later member replaces an earlier one */
    }
    if (!error)
        error = fill_member(unpacker, path_inode(&path), member);
    path_release(&path);
    if (error)
        log_error("initramfs: \"%s\" cannot be made: error %d", name, -error);
    else
        pages_release(unpacker, member->data + member->size_bytes);
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
