/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From names to inodes. A cached name costs one bucket lock and two reference counts; only a name that is not cached
 * locks its directory's inode (for reading) and asks the file system.
 */
#include "kernel/vfs/path_walk.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/mount.h"

#define NAME_LIMIT 255
#define LINKS_LIMIT 40

void path_take(const struct path *path)
{
    mount_take(path->mount);
    dentry_take(path->dentry);
}

void path_release(struct path *path)
{
    if (path->dentry)
        dentry_release(path->dentry);
    if (path->mount)
        mount_release(path->mount);
    path->dentry = NULL;
    path->mount = NULL;
}

struct inode *path_inode(const struct path *path)
{
    return dentry_inode(path->dentry);
}

static bool path_equal(const struct path *a, const struct path *b)
{
    return a->mount == b->mount && a->dentry == b->dentry;
}

static void walk_move(struct path_walk *walk, const struct path *to)
{
    struct path old = walk->path;

    path_take(to);
    walk->path = *to;
    path_release(&old);
}

int path_walk_start(struct path_walk *walk, const struct fs_context *context, const struct path *at, const char *name,
                    unsigned int flags)
{
    memset(walk, 0, sizeof(*walk));
    walk->context = context;
    walk->flags = flags;
    walk->root = context->root;
    walk->rest = name;
    if (name[0] == 0 && !(flags & PATH_EMPTY))
        return -ENOENT;

    const struct path *start = at ? at : &context->working_directory;

    if (flags & (PATH_IN_ROOT | PATH_BENEATH)) {
        path_take(start);
        walk->start = *start;
        if (flags & PATH_IN_ROOT)
            walk->root = *start;
        else if (name[0] == '/')
            return -EXDEV;
    }
    if (name[0] == '/')
        start = &walk->root;
    path_take(start);
    walk->path = *start;
    return 0;
}

void path_walk_end(struct path_walk *walk)
{
    path_release(&walk->path);
    path_release(&walk->start);
    memory_free(walk->text);
    walk->text = NULL;
}

/* The name is not cached: asks the file system and caches the answer. Directory locked. */
static int child_look_up(struct dentry *directory, const char *name, size_t length, struct dentry **child)
{
    struct inode *inode = dentry_inode(directory);
    struct inode *found = NULL;
    int error = inode->operations->lookup ? inode->operations->lookup(inode, name, length, &found) : -ENOTDIR;

    if (error == -ENOENT && inode->file_system->volatile_names)
        return error;
    if (error && error != -ENOENT)
        return error;
    *child = dentry_add(directory, name, length, found);
    return *child ? 0 : -ENOMEM;
}

int path_child_locked(struct dentry *directory, const char *name, size_t length, struct dentry **child)
{
    *child = dentry_find(directory, name, length);
    return *child ? 0 : child_look_up(directory, name, length, child);
}

int path_walk_child(struct path_walk *walk, const char *name, size_t length, struct dentry **child)
{
    struct dentry *directory = walk->path.dentry;
    struct inode *inode = dentry_inode(directory);

    if ((inode->mode & MODE_TYPE) != MODE_DIRECTORY)
        return -ENOTDIR;

    int error = inode_permission(inode, walk->context->credentials, 1);

    if (error)
        return error;
    if (length > NAME_LIMIT)
        return -ENAMETOOLONG;
    *child = dentry_find(directory, name, length);
    if (*child)
        return 0;
    rw_lock_read(&inode->lock);
    error = atomic_load(&directory->deleted) ? -ENOENT : child_look_up(directory, name, length, child);
    rw_unlock_read(&inode->lock);
    return error;
}

void path_walk_enter(struct path_walk *walk, struct dentry *child)
{
    struct dentry *old = walk->path.dentry;

    walk->path.dentry = child;
    dentry_release(old);
    while (unlikely(atomic_load_explicit(&walk->path.dentry->mounts, memory_order_relaxed) != 0)) {
        struct mount *mount = mount_on(walk->path.mount, walk->path.dentry);

        if (!mount)
            return;
        walk_move(walk, &(struct path){ mount, mount->root });
        mount_release(mount);
    }
}

/* "..": not above the root, and from a mount's root to where it hangs. */
static int walk_up(struct path_walk *walk)
{
    char name[256];

    if (walk->flags & PATH_BENEATH && path_equal(&walk->path, &walk->start))
        return -EXDEV;
    if ((path_inode(&walk->path)->mode & MODE_TYPE) != MODE_DIRECTORY)
        return -ENOTDIR;

    int error = inode_permission(path_inode(&walk->path), walk->context->credentials, 1);

    while (!error && !path_equal(&walk->path, &walk->root)) {
        struct path point;

        if (walk->path.dentry != walk->path.mount->root) {
            struct dentry *parent;

            dentry_name(walk->path.dentry, name, &parent);
            if (parent) {
                struct dentry *old = walk->path.dentry;

                walk->path.dentry = parent;
                dentry_release(old);
            }
            break;
        }
        if (!mount_point(walk->path.mount, &point))
            break;
        if (walk->flags & PATH_NO_XDEV)
            error = -EXDEV;
        else
            walk_move(walk, &point);
        path_release(&point);
    }
    return error;
}

/* What is left is the link's text, then what was left. */
static int walk_push(struct path_walk *walk, const char *text, size_t length)
{
    size_t rest_length = strlen(walk->rest);
    char *joined = memory_allocate(length + 1 + rest_length + 1);

    if (!joined)
        return -ENOMEM;
    memcpy(joined, text, length);
    joined[length] = '/'; /* a link at the end of a name that asked for a directory keeps asking */
    memcpy(joined + length + 1, walk->rest, rest_length + 1);
    if (rest_length == 0 && !walk->trailing_slash)
        joined[length] = 0;
    memory_free(walk->text);
    walk->text = joined;
    walk->rest = joined;
    if (joined[0] != '/')
        return 0;
    if (walk->flags & PATH_BENEATH)
        return -EXDEV;
    walk_move(walk, &walk->root);
    return 0;
}

/* What the link says: a magic one leads straight to *target (referenced), others to *text (the caller's to free) of *length bytes. */
static int link_read(const struct path_walk *walk, struct inode *link, struct path *target, char **text, size_t *length)
{
    if (link->operations->follow) {
        if (walk->flags & (PATH_NO_MAGICLINKS | PATH_BENEATH | PATH_IN_ROOT))
            return walk->flags & PATH_NO_MAGICLINKS ? -ELOOP : -EXDEV;
        return link->operations->follow(link, target);
    }
    *text = memory_allocate(PATH_LENGTH_LIMIT);
    if (!*text)
        return -ENOMEM;

    long got = link->operations->read_link ? link->operations->read_link(link, *text, PATH_LENGTH_LIMIT - 1) : -EINVAL;

    *length = got > 0 ? (size_t)got : 0;
    return got < 0 ? (int)got : got == 0 ? -ENOENT : 0;
}

int path_walk_follow(struct path_walk *walk, struct dentry *child)
{
    struct path target = { NULL, NULL };
    char *text = NULL;
    size_t length = 0;
    int error = -ELOOP;

    if (!(walk->flags & PATH_NO_SYMLINKS) && ++walk->links <= LINKS_LIMIT)
        error = link_read(walk, dentry_inode(child), &target, &text, &length);
    dentry_release(child); /* before the walk leaves the mount, which may be the last to hold the link's file system */
    if (!error && target.mount) {
        walk_move(walk, &target);
        path_release(&target);
    } else if (!error) {
        error = walk_push(walk, text, length);
    }
    memory_free(text);
    return error;
}

/* Splits off the next component; false: nothing is left. Sets trailing_slash as of this component. */
static bool walk_next(struct path_walk *walk, const char **name, size_t *length)
{
    while (*walk->rest == '/')
        walk->rest++;
    if (*walk->rest == 0)
        return false;
    *name = walk->rest;
    while (*walk->rest != '/' && *walk->rest != 0)
        walk->rest++;
    *length = (size_t)(walk->rest - *name);
    walk->trailing_slash = *walk->rest == '/';
    while (*walk->rest == '/')
        walk->rest++;
    return true;
}

static enum path_last component_kind(const char *name, size_t length)
{
    if (name[0] != '.' || length > 2)
        return PATH_LAST_NAME;
    if (length == 1)
        return PATH_LAST_DOT;
    return name[1] == '.' ? PATH_LAST_DOTDOT : PATH_LAST_NAME;
}

/* An ordinary component that is not the parent walk's last. */
static int walk_name(struct path_walk *walk, const char *name, size_t length, bool last)
{
    struct dentry *child;
    int error = path_walk_child(walk, name, length, &child);

    if (error)
        return error;

    struct inode *inode = dentry_inode(child);

    if (!inode) {
        dentry_release(child);
        return -ENOENT;
    }
    if ((inode->mode & MODE_TYPE) == MODE_SYMLINK && (!last || (walk->flags & PATH_FOLLOW) || walk->trailing_slash))
        return path_walk_follow(walk, child);

    struct mount *before = walk->path.mount;

    path_walk_enter(walk, child);
    if ((walk->flags & PATH_NO_XDEV) && walk->path.mount != before)
        return -EXDEV;
    if (!last || walk->trailing_slash)
        return (path_inode(&walk->path)->mode & MODE_TYPE) == MODE_DIRECTORY ? 0 : -ENOTDIR;
    return 0;
}

int path_walk_run(struct path_walk *walk)
{
    const char *name;
    size_t length;

    walk->last_kind = PATH_LAST_ROOT;
    while (walk_next(walk, &name, &length)) {
        bool last = *walk->rest == 0;
        enum path_last kind = component_kind(name, length);
        int error = 0;

        if (last && (walk->flags & PATH_PARENT)) {
            if (length > NAME_LIMIT)
                return -ENAMETOOLONG;
            if ((path_inode(&walk->path)->mode & MODE_TYPE) != MODE_DIRECTORY)
                return -ENOTDIR;
            walk->last_kind = kind;
            walk->last = name;
            walk->last_length = length;
            return inode_permission(path_inode(&walk->path), walk->context->credentials, 1);
        }
        if (kind == PATH_LAST_DOTDOT)
            error = walk_up(walk);
        else if (kind == PATH_LAST_NAME)
            error = walk_name(walk, name, length, last);
        else if ((path_inode(&walk->path)->mode & MODE_TYPE) != MODE_DIRECTORY)
            error = -ENOTDIR;
        if (error)
            return error;
    }
    return 0;
}

int path_lookup(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags,
                struct path *path)
{
    struct path_walk walk;
    int error = path_walk_start(&walk, context, at, name, flags);

    if (!error)
        error = path_walk_run(&walk);
    if (!error && (flags & PATH_DIRECTORY) && (path_inode(&walk.path)->mode & MODE_TYPE) != MODE_DIRECTORY)
        error = -ENOTDIR;
    if (!error) {
        path_take(&walk.path);
        *path = walk.path;
    }
    path_walk_end(&walk);
    return error;
}
