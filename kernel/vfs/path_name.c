/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a path back to its name: up through parents and mounts to the context's root.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/path.h"

static const char deleted_mark[] = " (deleted)";

/* Puts `bytes` before *start; false: no room. */
static bool prepend(char *buffer, size_t *start, const char *bytes, size_t length)
{
    if (*start < length)
        return false;
    *start -= length;
    memcpy(buffer + *start, bytes, length);
    return true;
}

/* Prepends "/name" for each step up from `at` (referenced; released here) to the root. */
static int prepend_names(const struct fs_context *context, struct path at, char *buffer, size_t *start)
{
    int error = 0;

    while (!error && !(at.mount == context->root.mount && at.dentry == context->root.dentry)) {
        char name[256];
        struct dentry *parent;
        struct path point;

        if (at.dentry == at.mount->root) {
            if (!mount_point(at.mount, &point))
                break;
            path_release(&at);
            at = point;
            continue;
        }

        size_t length = dentry_name(at.dentry, name, &parent);

        if (!parent)
            break;
        if (!prepend(buffer, start, name, length) || !prepend(buffer, start, "/", 1))
            error = -ERANGE;
        dentry_release(at.dentry);
        at.dentry = parent;
    }
    path_release(&at);
    return error;
}

long path_name(const struct fs_context *context, const struct path *path, char *buffer, size_t size_bytes,
               bool mark_deleted)
{
    size_t start = size_bytes;
    bool deleted = atomic_load(&path->dentry->deleted);

    if (deleted && !mark_deleted)
        return -ENOENT;
    if (!prepend(buffer, &start, "", 1))
        return -ERANGE;
    if (deleted && !prepend(buffer, &start, deleted_mark, sizeof(deleted_mark) - 1))
        return -ERANGE;

    size_t before = start;

    path_take(path);

    int error = prepend_names(context, *path, buffer, &start);

    if (error)
        return error;
    if (start == before && !prepend(buffer, &start, "/", 1))
        return -ERANGE;
    memmove(buffer, buffer + start, size_bytes - start);
    return (long)(size_bytes - start);
}
