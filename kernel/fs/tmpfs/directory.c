/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tmpfs's directories: each entry hangs in two trees, by name for look-ups and by offset for reading. An entry keeps its
 * offset for life and offsets only grow, so a reader who comes back with one misses nothing that stayed and sees nothing twice.
 *
 * vfs holds the directory's lock: for reading in look-ups and readers, for writing in changes.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/hash.h"
#include "kernel/fs/tmpfs/node.h"
#include "kernel/memory/object_cache.h"

#define RENAME_EXCHANGE 2u
#define SYMLINK_TEXT_LIMIT 4095

static int entry_order(const struct tmpfs_entry *entry, uint64_t hash, const char *name, size_t length)
{
    if (hash != entry->hash)
        return hash < entry->hash ? -1 : 1;
    if (length != entry->length)
        return length < entry->length ? -1 : 1;
    return memcmp(name, entry->name, length);
}

static struct tmpfs_entry *entry_find(const struct tmpfs_node *directory, const char *name, size_t length)
{
    struct tree_node *node = directory->names.root;
    uint64_t hash = hash_bytes(name, length, 0);

    while (node) {
        struct tmpfs_entry *entry = tree_entry(node, struct tmpfs_entry, by_name);
        int order = entry_order(entry, hash, name, length);

        if (order == 0)
            return entry;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

/* The first entry at or behind the offset. */
static struct tmpfs_entry *entry_from(const struct tmpfs_node *directory, uint64_t offset)
{
    struct tree_node *node = directory->offsets.root;
    struct tmpfs_entry *found = NULL;

    while (node) {
        struct tmpfs_entry *entry = tree_entry(node, struct tmpfs_entry, by_offset);

        if (entry->offset >= offset) {
            found = entry;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return found;
}

static struct tmpfs_entry *entry_allocate(const char *name, size_t length)
{
    struct tmpfs_entry *entry = memory_allocate(sizeof(*entry) + length);

    if (entry) {
        entry->hash = hash_bytes(name, length, 0);
        entry->length = (uint16_t)length;
        memcpy(entry->name, name, length);
    }
    return entry;
}

/* Takes over the inode's reference. */
static void entry_insert(struct tmpfs_node *directory, struct tmpfs_entry *entry, struct inode *inode)
{
    struct tree_node **link = &directory->names.root, *parent = NULL;

    entry->inode = inode;
    entry->offset = ++directory->next_offset;
    while (*link) {
        parent = *link;
        link = entry_order(tree_entry(parent, struct tmpfs_entry, by_name), entry->hash, entry->name, entry->length) < 0
                   ? &parent->left
                   : &parent->right;
    }
    tree_insert(&directory->names, &entry->by_name, parent, link);

    /* The highest offset: always rightmost. */
    link = &directory->offsets.root;
    parent = NULL;
    while (*link) {
        parent = *link;
        link = &parent->right;
    }
    tree_insert(&directory->offsets, &entry->by_offset, parent, link);
}

static void entry_unlink(struct tmpfs_node *directory, struct tmpfs_entry *entry)
{
    tree_remove(&directory->names, &entry->by_name);
    tree_remove(&directory->offsets, &entry->by_offset);
}

void tmpfs_directory_doom(struct tmpfs_node *directory, struct list *doomed)
{
    struct tree_node *node;

    while ((node = tree_first(&directory->offsets)) != NULL) {
        struct tmpfs_entry *entry = tree_entry(node, struct tmpfs_entry, by_offset);

        entry_unlink(directory, entry);
        list_add_last(doomed, &entry->doomed);
    }
}

static void touch_directory(struct inode *directory)
{
    directory->modify_time = directory->change_time = inode_now();
    directory->change_count++;
}

static bool is_directory(const struct inode *inode)
{
    return (inode->mode & MODE_TYPE) == MODE_DIRECTORY;
}

static int tmpfs_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    struct tmpfs_entry *entry = entry_find(tmpfs_node(directory), name, length);

    if (!entry)
        return -ENOENT;
    inode_take(entry->inode);
    *inode = entry->inode;
    return 0;
}

/* A new inode under a new name; the entry and the caller each get a reference. */
static int make_entry(struct inode *directory, const char *name, size_t length, uint32_t mode, uint64_t device,
                      const struct credentials *credentials, struct inode **inode)
{
    struct tmpfs_entry *entry = entry_allocate(name, length);

    if (!entry)
        return -ENOSPC;

    int error = tmpfs_inode_create(tmpfs_of(directory), directory, mode, device, credentials, inode);
    if (error) {
        memory_free(entry);
        return error;
    }
    inode_take(*inode);
    entry_insert(tmpfs_node(directory), entry, *inode);
    if (is_directory(*inode))
        directory->links++;
    touch_directory(directory);
    return 0;
}

static int tmpfs_create_entry(struct inode *directory, const char *name, size_t length, uint32_t mode, uint64_t device,
                              const struct credentials *credentials, struct inode **inode)
{
    return make_entry(directory, name, length, mode, device, credentials, inode);
}

static int tmpfs_symlink(struct inode *directory, const char *name, size_t length, const char *target,
                         const struct credentials *credentials, struct inode **inode)
{
    if (strlen(target) > SYMLINK_TEXT_LIMIT)
        return -ENAMETOOLONG;

    char *text = memory_duplicate_string(target);
    if (!text)
        return -ENOSPC;

    int error = make_entry(directory, name, length, MODE_SYMLINK | 0777, 0, credentials, inode);
    if (error) {
        memory_free(text);
        return error;
    }
    tmpfs_node(*inode)->target = text;
    (*inode)->size_bytes = strlen(text);
    return 0;
}

static int tmpfs_link(struct inode *directory, const char *name, size_t length, struct inode *target)
{
    struct tmpfs_entry *entry = entry_allocate(name, length);

    if (!entry)
        return -ENOSPC;
    inode_take(target);
    entry_insert(tmpfs_node(directory), entry, target);
    rw_lock_write(&target->lock);
    target->links++;
    target->change_time = inode_now();
    rw_unlock_write(&target->lock);
    touch_directory(directory);
    return 0;
}

static int tmpfs_remove(struct inode *directory, const char *name, size_t length, struct inode *child)
{
    struct tmpfs_entry *entry = entry_find(tmpfs_node(directory), name, length);

    if (!entry || entry->inode != child)
        return -ENOENT;
    if (is_directory(child)) {
        if (tmpfs_node(child)->offsets.root)
            return -ENOTEMPTY;
        child->links = 0;
        directory->links--;
    } else {
        child->links--;
    }
    child->change_time = inode_now();
    entry_unlink(tmpfs_node(directory), entry);
    memory_free(entry);
    touch_directory(directory);
    inode_release(child); /* the entry's; the caller has one */
    return 0;
}

/* The two names change what they lead to. */
static void rename_exchange(struct inode *old_directory, struct tmpfs_entry *old, struct inode *new_directory,
                            struct tmpfs_entry *new)
{
    struct inode *inode = old->inode;

    old_directory->links += is_directory(new->inode) - is_directory(inode);
    new_directory->links += is_directory(inode) - is_directory(new->inode);
    old->inode = new->inode;
    new->inode = inode;
}

static int tmpfs_rename(struct inode *old_directory, const char *old_name, size_t old_length, struct inode *child,
                        struct inode *new_directory, const char *new_name, size_t new_length, struct inode *target,
                        unsigned int flags)
{
    struct tmpfs_entry *old = entry_find(tmpfs_node(old_directory), old_name, old_length), *new;

    if (!old || old->inode != child)
        return -ENOENT;
    if (flags & RENAME_EXCHANGE) {
        new = entry_find(tmpfs_node(new_directory), new_name, new_length);
        if (!new || new->inode != target)
            return -ENOENT;
        rename_exchange(old_directory, old, new_directory, new);
        target->change_time = inode_now();
    } else {
        if (target && is_directory(target) && tmpfs_node(target)->offsets.root)
            return -ENOTEMPTY;
        new = entry_allocate(new_name, new_length);
        if (!new)
            return -ENOSPC;
        if (target) {
            int error = tmpfs_remove(new_directory, new_name, new_length, target);

            if (error) {
                memory_free(new);
                return error;
            }
        }
        entry_unlink(tmpfs_node(old_directory), old);
        entry_insert(tmpfs_node(new_directory), new, child);
        memory_free(old);
        old_directory->links -= is_directory(child);
        new_directory->links += is_directory(child);
    }
    child->change_time = inode_now();
    touch_directory(old_directory);
    touch_directory(new_directory);
    return 0;
}

static int tmpfs_read_directory(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    struct tmpfs_entry *entry = entry_from(tmpfs_node(directory), offset);

    while (entry) {
        struct tree_node *next = tree_next(&entry->by_offset);

        if (!emit(context, entry->name, entry->length, entry->inode->number, entry->inode->mode & MODE_TYPE,
                  entry->offset + 1))
            break;
        entry = next ? tree_entry(next, struct tmpfs_entry, by_offset) : NULL;
    }
    return 0;
}

static long tmpfs_read_link(struct inode *inode, char *buffer, size_t size_bytes)
{
    const char *target = tmpfs_node(inode)->target;
    size_t length = minimum(strlen(target), size_bytes);

    memcpy(buffer, target, length);
    return (long)length;
}

const struct inode_operations tmpfs_directory_operations = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create_entry,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .remove = tmpfs_remove,
    .rename = tmpfs_rename,
    .read_directory = tmpfs_read_directory,
    .set_attributes = tmpfs_set_attributes,
    .get_xattr = tmpfs_get_xattr,
    .set_xattr = tmpfs_set_xattr,
    .list_xattr = tmpfs_list_xattr,
    .remove_xattr = tmpfs_remove_xattr,
};

const struct inode_operations tmpfs_symlink_operations = {
    .read_link = tmpfs_read_link,
    .set_attributes = tmpfs_set_attributes,
    .get_xattr = tmpfs_get_xattr,
    .set_xattr = tmpfs_set_xattr,
    .list_xattr = tmpfs_list_xattr,
    .remove_xattr = tmpfs_remove_xattr,
};
