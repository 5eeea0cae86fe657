/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of nodes and the inodes over it. Nodes are only ever added, so a pointer to one stays good; the lock guards the lists.
 */
#include "kernel/fs/procfs/pseudo_tree.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"

static struct spinlock tree_lock = SPINLOCK_INITIALIZER("pseudo tree", 0);
static uint64_t next_number = 2; /* tree_lock; the root of a tree is 1 */

struct pseudo_tree procfs_tree, sysfs_tree;

static struct pseudo_node *node_create(struct pseudo_node *parent, const char *name, size_t length,
                                       const struct pseudo_file *file)
{
    struct pseudo_node *node = memory_allocate_zeroed(sizeof(*node) + length + 1);

    if (!node)
        return NULL;
    list_init(&node->siblings);
    list_init(&node->children);
    node->parent = parent;
    node->file = file;
    node->name_length = length;
    memcpy(node->name, name, length);
    return node;
}

static struct pseudo_node *find_locked(struct pseudo_node *directory, const char *name, size_t length)
{
    struct pseudo_node *node;

    list_for_each(node, &directory->children, siblings)
        if (node->name_length == length && memcmp(node->name, name, length) == 0)
            return node;
    return NULL;
}

/* Adds a child, or finds the directory that is there already. `*node` NULL: out of memory or a name taken. */
static int child_add(struct pseudo_node *directory, const char *name, size_t length, const struct pseudo_file *file,
                     struct pseudo_node **node)
{
    struct pseudo_node *fresh = node_create(directory, name, length, file);
    int error = 0;

    if (!fresh)
        return -ENOMEM;
    spinlock_lock(&tree_lock);
    *node = find_locked(directory, name, length);
    if (!*node) {
        fresh->number = next_number++;
        list_add_last(&directory->children, &fresh->siblings);
        *node = fresh;
        fresh = NULL;
    } else if (file || (*node)->file) {
        error = -EEXIST;
    }
    spinlock_unlock(&tree_lock);
    memory_free(fresh);
    return error;
}

static int file_add(struct pseudo_tree *tree, const struct pseudo_file *file)
{
    struct pseudo_node *node = tree->root;
    const char *name = file->path;

    for (;;) {
        const char *slash = strchr(name, '/');
        int error = child_add(node, name, slash ? (size_t)(slash - name) : strlen(name), slash ? NULL : file, &node);

        if (error || !slash)
            return error;
        name = slash + 1;
    }
}

int pseudo_tree_add(struct pseudo_tree *tree, const struct pseudo_file *files, size_t count)
{
    if (!tree->root) {
        tree->root = node_create(NULL, "", 0, NULL);
        if (!tree->root)
            return -ENOMEM;
        tree->root->number = 1;
    }
    for (size_t i = 0; i < count; i++) {
        int error = file_add(tree, &files[i]);

        if (error)
            return error;
    }
    return 0;
}

struct pseudo_node *pseudo_tree_find(struct pseudo_node *directory, const char *name, size_t length)
{
    spinlock_lock(&tree_lock);
    struct pseudo_node *node = find_locked(directory, name, length);
    spinlock_unlock(&tree_lock);
    return node;
}

/* Children are in the order of their numbers, as both only grow. */
struct pseudo_node *pseudo_tree_next(struct pseudo_node *directory, uint64_t after)
{
    struct pseudo_node *node, *found = NULL;

    spinlock_lock(&tree_lock);
    list_for_each(node, &directory->children, siblings)
        if (node->number > after) {
            found = node;
            break;
        }
    spinlock_unlock(&tree_lock);
    return found;
}

static int pseudo_open(struct inode *inode, struct file *file)
{
    struct pseudo_node *node = inode->data;

    return pseudo_file_open(file, node->file->print, node->file->write, node->file->data, NULL);
}

static long pseudo_read_link(struct inode *inode, char *buffer, size_t size_bytes)
{
    struct pseudo_node *node = inode->data;
    struct text_buffer text;

    text_buffer_init(&text);

    long answer = node->file->print(&text, node->file->data);

    if (answer == 0) {
        answer = (long)minimum(text.length_bytes, size_bytes);
        memcpy(buffer, text.bytes, (size_t)answer);
    }
    text_buffer_destroy(&text);
    return answer;
}

/* Programs write settings with O_TRUNC. */
static int pseudo_set_attributes(struct inode *inode, const struct inode_attributes *attributes)
{
    return attributes->valid & ~(ATTRIBUTE_SIZE | ATTRIBUTE_MODIFY_TIME | ATTRIBUTE_CHANGE_TIME | ATTRIBUTE_ACCESS_TIME)
               ? -EPERM : 0;
}

static const struct inode_operations pseudo_file_inode = {
    .open = pseudo_open,
    .set_attributes = pseudo_set_attributes,
};
static const struct inode_operations pseudo_link_inode = { .read_link = pseudo_read_link };
static const struct inode_operations pseudo_directory_inode = {
    .lookup = pseudo_directory_lookup,
    .read_directory = pseudo_directory_read,
};

static unsigned int node_mode(const struct pseudo_node *node)
{
    if (!node->file)
        return MODE_DIRECTORY | 0555;
    return node->file->mode & MODE_TYPE ? node->file->mode : MODE_REGULAR | node->file->mode;
}

void pseudo_inode_fill(struct inode *inode, struct pseudo_node *node)
{
    inode->mode = node_mode(node);
    inode->links = node->file ? 1 : 2;
    inode->data = node;
    inode->access_time = inode->modify_time = inode->change_time = inode_now();
    inode->operations = !node->file                                             ? &pseudo_directory_inode
                        : (inode->mode & MODE_TYPE) == MODE_SYMLINK ? &pseudo_link_inode
                                                                                : &pseudo_file_inode;
}

int pseudo_inode_get(struct file_system *file_system, struct pseudo_node *node, struct inode **inode)
{
    bool fresh;
    int error = inode_get(file_system, node->number, inode, &fresh);

    if (error || !fresh)
        return error;
    pseudo_inode_fill(*inode, node);
    inode_ready(*inode);
    return 0;
}

int pseudo_directory_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    struct pseudo_node *node = pseudo_tree_find(directory->data, name, length);

    return node ? pseudo_inode_get(directory->file_system, node, inode) : -ENOENT;
}

int pseudo_directory_read(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    struct pseudo_node *node;

    while ((node = pseudo_tree_next(directory->data, offset))) {
        offset = node->number;
        if (!emit(context, node->name, node->name_length, node->number, node_mode(node) & MODE_TYPE, offset))
            break;
    }
    return 0;
}
