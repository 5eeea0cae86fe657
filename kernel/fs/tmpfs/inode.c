/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tmpfs's inodes, the size limit, and regular files' attributes and space.
 *
 * Pages come into a cache by writes and by faults alike, so the pages in use are counted by looking at each cache's own
 * count when its file is written, cut or dropped; a writer who would pass the limit has all files counted anew first.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/fs/tmpfs/node.h"
#include "kernel/memory/object_cache.h"

#define ALLOCATE_KEEP_SIZE 1
#define ALLOCATE_PUNCH_HOLE 2
#define ALLOCATE_ZERO_RANGE 0x10

void tmpfs_account(struct inode *inode)
{
    struct tmpfs_node *node = tmpfs_node(inode);
    uint64_t pages = inode->has_cache ? read_once(inode->cache.page_count) : 0;

    if (pages == node->accounted_pages)
        return;
    atomic_fetch_add(&tmpfs_of(inode)->used_pages, pages - node->accounted_pages);
    node->accounted_pages = pages;
}

/* Pages of the range that are not there yet. */
static uint64_t absent_pages(struct inode *inode, uint64_t first, uint64_t end)
{
    struct page *pages[16];
    uint64_t absent = 0;

    for (uint64_t index = first; index < end; index += array_count(pages)) {
        size_t count = (size_t)minimum(end - index, (uint64_t)array_count(pages));

        absent += count - page_cache_get_present(&inode->cache, index, pages, count);
        for (size_t i = 0; i < count; i++)
            if (pages[i])
                page_release(pages[i]);
    }
    return absent;
}

uint64_t tmpfs_count_pages(struct tmpfs *tmpfs)
{
    struct tmpfs_node *node;
    uint64_t pages = 0;

    mutex_lock(&tmpfs->nodes_lock);
    list_for_each(node, &tmpfs->nodes, link)
        if (node->inode->has_cache)
            pages += read_once(node->inode->cache.page_count);
    mutex_unlock(&tmpfs->nodes_lock);
    return pages;
}

int tmpfs_prepare_write(struct inode *inode, uint64_t offset, uint64_t length_bytes)
{
    struct tmpfs *tmpfs = tmpfs_of(inode);
    uint64_t first = offset / PAGE_SIZE, end = (offset + length_bytes + PAGE_SIZE - 1) / PAGE_SIZE;

    tmpfs_account(inode);
    if (atomic_load(&tmpfs->used_pages) + (end - first) > tmpfs->limit_pages &&
        tmpfs_count_pages(tmpfs) + absent_pages(inode, first, end) > tmpfs->limit_pages)
        return -ENOSPC;
    /* Counted as if none were there, until the next look: so the sum is never too small. */
    atomic_fetch_add(&tmpfs->used_pages, end - first);
    tmpfs_node(inode)->accounted_pages += end - first;
    return 0;
}

int tmpfs_set_attributes(struct inode *inode, const struct inode_attributes *attributes)
{
    if (attributes->valid & ATTRIBUTE_SIZE) {
        int error = page_cache_resize(&inode->cache, attributes->size_bytes);

        if (error)
            return error;
        inode->size_bytes = attributes->size_bytes;
        tmpfs_account(inode);
    }
    inode_apply_attributes(inode, attributes);
    return 0;
}

/* Zeroes part of one page, if it is there. */
static int zero_part(struct inode *inode, uint64_t offset, uint64_t end)
{
    struct page *page;

    if (offset >= end || page_cache_get_present(&inode->cache, offset / PAGE_SIZE, &page, 1) == 0)
        return 0;
    memset((char *)page_address(page) + offset % PAGE_SIZE, 0, (size_t)(end - offset));
    page_cache_mark_dirty(page);
    page_release(page);
    return 0;
}

static void zero_range(struct inode *inode, uint64_t offset, uint64_t end)
{
    uint64_t first = round_up(offset, (uint64_t)PAGE_SIZE), last = round_down(end, (uint64_t)PAGE_SIZE);

    if (first > last) { /* within one page */
        zero_part(inode, offset, end);
        return;
    }
    zero_part(inode, offset, first);
    zero_part(inode, last, end);
    if (first < last)
        page_cache_punch(&inode->cache, first / PAGE_SIZE, (last - first) / PAGE_SIZE);
    tmpfs_account(inode);
}

int tmpfs_allocate(struct inode *inode, int mode, uint64_t offset, uint64_t length_bytes)
{
    uint64_t end = offset + length_bytes;
    int error = 0;

    if (mode & ~(ALLOCATE_KEEP_SIZE | ALLOCATE_PUNCH_HOLE | ALLOCATE_ZERO_RANGE) ||
        (mode & ALLOCATE_PUNCH_HOLE && mode & ALLOCATE_ZERO_RANGE))
        return -EOPNOTSUPP;
    if (!(mode & ALLOCATE_PUNCH_HOLE))
        error = tmpfs_prepare_write(inode, offset, length_bytes);
    if (!error && !(mode & ALLOCATE_KEEP_SIZE) && end > inode->size_bytes) {
        error = page_cache_resize(&inode->cache, end);
        if (!error)
            inode->size_bytes = end;
    }
    if (error)
        return error;
    if (mode & (ALLOCATE_PUNCH_HOLE | ALLOCATE_ZERO_RANGE))
        zero_range(inode, offset, end);
    inode->modify_time = inode->change_time = inode_now();
    return 0;
}

static void inode_set_operations(struct inode *inode)
{
    switch (inode->mode & MODE_TYPE) {
    case MODE_DIRECTORY:
        inode->operations = &tmpfs_directory_operations;
        break;
    case MODE_SYMLINK:
        inode->operations = &tmpfs_symlink_operations;
        break;
    default:
        inode->operations = &tmpfs_file_operations;
        break;
    }
    if ((inode->mode & MODE_TYPE) == MODE_REGULAR)
        inode_init_cache(inode, NULL);
}

static struct tmpfs_node *node_create(struct tmpfs *tmpfs, struct inode *inode)
{
    struct tmpfs_node *node = memory_allocate_zeroed(sizeof(*node));

    if (!node)
        return NULL;
    node->inode = inode;
    list_init(&node->xattrs);
    mutex_lock(&tmpfs->nodes_lock);
    list_add_last(&tmpfs->nodes, &node->link);
    mutex_unlock(&tmpfs->nodes_lock);
    return node;
}

int tmpfs_inode_create(struct tmpfs *tmpfs, struct inode *directory, uint32_t mode, uint64_t device,
                       const struct credentials *credentials, struct inode **result)
{
    struct inode *inode;
    bool fresh;

    if (atomic_fetch_add(&tmpfs->node_count, 1) >= tmpfs->limit_nodes) {
        atomic_fetch_sub(&tmpfs->node_count, 1);
        return -ENOSPC;
    }

    int error = inode_get(&tmpfs->file_system, atomic_fetch_add(&tmpfs->next_number, 1), &inode, &fresh);
    if (error) {
        atomic_fetch_sub(&tmpfs->node_count, 1);
        return error;
    }
    inode->data = node_create(tmpfs, inode);
    if (!inode->data) {
        inode_discard(inode);
        atomic_fetch_sub(&tmpfs->node_count, 1);
        return -ENOMEM;
    }
    inode->mode = mode;
    inode->device = device;
    inode->uid = credentials ? credentials->fsuid : 0;
    inode->gid = credentials ? credentials->fsgid : 0;
    inode->links = (mode & MODE_TYPE) == MODE_DIRECTORY ? 2 : 1;
    if (directory && (directory->mode & MODE_SETGID)) {
        inode->gid = directory->gid;
        if ((mode & MODE_TYPE) == MODE_DIRECTORY)
            inode->mode |= MODE_SETGID;
    }
    inode->access_time = inode->modify_time = inode->change_time = inode->birth_time = inode_now();
    inode_set_operations(inode);
    inode_ready(inode);
    *result = inode;
    return 0;
}

/* The cache is gone already. */
void tmpfs_release_inode(struct inode *inode)
{
    struct tmpfs *tmpfs = tmpfs_of(inode);
    struct tmpfs_node *node = tmpfs_node(inode);

    atomic_fetch_sub(&tmpfs->used_pages, node->accounted_pages);
    atomic_fetch_sub(&tmpfs->node_count, 1);
    mutex_lock(&tmpfs->nodes_lock);
    list_remove(&node->link);
    tmpfs_directory_doom(node, &tmpfs->doomed);
    mutex_unlock(&tmpfs->nodes_lock);
    tmpfs_xattr_free_all(node);
    memory_free(node->target);
    memory_free(node);
}

const struct inode_operations tmpfs_file_operations = {
    .set_attributes = tmpfs_set_attributes,
    .get_xattr = tmpfs_get_xattr,
    .set_xattr = tmpfs_set_xattr,
    .list_xattr = tmpfs_list_xattr,
    .remove_xattr = tmpfs_remove_xattr,
    .allocate = tmpfs_allocate,
};
