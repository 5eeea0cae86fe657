/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended attributes: a list for each inode, as there are few. vfs has checked names' namespaces and permissions, and
 * holds the inode's lock for writing in changes; readers take it here.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/fs/tmpfs/node.h"
#include "kernel/memory/object_cache.h"

#define XATTR_CREATE 1
#define XATTR_REPLACE 2
#define XATTR_VALUE_LIMIT 65536
#define XATTR_NAME_LIMIT 255

static struct tmpfs_xattr *xattr_find(struct tmpfs_node *node, const char *name)
{
    struct tmpfs_xattr *xattr;

    list_for_each(xattr, &node->xattrs, link)
        if (strcmp(xattr->name, name) == 0)
            return xattr;
    return NULL;
}

long tmpfs_get_xattr(struct inode *inode, const char *name, void *value, size_t size_bytes)
{
    long answer = -ENODATA;

    rw_lock_read(&inode->lock);
    struct tmpfs_xattr *xattr = xattr_find(tmpfs_node(inode), name);
    if (xattr) {
        answer = (long)xattr->size_bytes;
        if (size_bytes != 0 && size_bytes < xattr->size_bytes)
            answer = -ERANGE;
        else if (size_bytes != 0)
            memcpy(value, xattr->value, xattr->size_bytes);
    }
    rw_unlock_read(&inode->lock);
    return answer;
}

int tmpfs_set_xattr(struct inode *inode, const char *name, const void *value, size_t size_bytes, int flags)
{
    struct tmpfs_node *node = tmpfs_node(inode);
    struct tmpfs_xattr *old = xattr_find(node, name);
    size_t length = strlen(name);

    if (length > XATTR_NAME_LIMIT)
        return -ERANGE;
    if (size_bytes > XATTR_VALUE_LIMIT)
        return -E2BIG;
    if (old && (flags & XATTR_CREATE))
        return -EEXIST;
    if (!old && (flags & XATTR_REPLACE))
        return -ENODATA;

    struct tmpfs_xattr *xattr = memory_allocate(sizeof(*xattr) + length + 1 + size_bytes);
    if (!xattr)
        return -ENOSPC;
    memcpy(xattr->name, name, length + 1);
    xattr->value = xattr->name + length + 1;
    xattr->size_bytes = size_bytes;
    if (size_bytes > 0)
        memcpy(xattr->value, value, size_bytes);
    list_add_last(&node->xattrs, &xattr->link);
    if (old) {
        list_remove(&old->link);
        memory_free(old);
    }
    inode->change_time = inode_now();
    return 0;
}

long tmpfs_list_xattr(struct inode *inode, char *list, size_t size_bytes)
{
    struct tmpfs_xattr *xattr;
    size_t total = 0;

    rw_lock_read(&inode->lock);
    list_for_each(xattr, &tmpfs_node(inode)->xattrs, link) {
        size_t length = strlen(xattr->name) + 1;

        if (size_bytes != 0 && total + length <= size_bytes)
            memcpy(list + total, xattr->name, length);
        total += length;
    }
    rw_unlock_read(&inode->lock);
    return size_bytes != 0 && total > size_bytes ? -ERANGE : (long)total;
}

int tmpfs_remove_xattr(struct inode *inode, const char *name)
{
    struct tmpfs_xattr *xattr = xattr_find(tmpfs_node(inode), name);

    if (!xattr)
        return -ENODATA;
    list_remove(&xattr->link);
    memory_free(xattr);
    inode->change_time = inode_now();
    return 0;
}

void tmpfs_xattr_free_all(struct tmpfs_node *node)
{
    struct tmpfs_xattr *xattr, *following;

    list_for_each_safe(xattr, following, &node->xattrs, link)
        memory_free(xattr);
    list_init(&node->xattrs);
}
