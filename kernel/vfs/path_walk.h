/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk itself, for path_lookup(), the calls that change names, and open.
 *
 * A walk goes component by component from its start. With PATH_PARENT it stops before the last one, which is then in
 * last/last_length, and path is the directory it lies in.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/vfs/path.h"

#define PATH_PARENT 0x10000u /* internal: stop before the last component */

enum path_last { PATH_LAST_NAME, PATH_LAST_DOT, PATH_LAST_DOTDOT, PATH_LAST_ROOT };

/* Used by one thread. */
struct path_walk {
    const struct fs_context *context;
    struct path root;            /* borrowed from the context, or the start of a walk that may not leave it */
    struct path start;           /* referenced with PATH_IN_ROOT and PATH_BENEATH */
    struct path path;            /* referenced: where we are */
    unsigned int flags;          /* PATH_* */
    unsigned int links;          /* symbolic links followed so far */
    char *text;                  /* owned: what the links left to walk, or NULL */
    const char *rest;
    enum path_last last_kind;
    const char *last;
    size_t last_length;
    bool trailing_slash;         /* the last component must be a directory */
};

/* 0 or -Exxx; path_walk_end() in either case. */
int path_walk_start(struct path_walk *walk, const struct fs_context *context, const struct path *at, const char *name,
                    unsigned int flags);
int path_walk_run(struct path_walk *walk);
void path_walk_end(struct path_walk *walk);

/* From the directory walk->path to the dentry of a name in it (maybe negative), referenced; search permission is checked. */
int path_walk_child(struct path_walk *walk, const char *name, size_t length, struct dentry **child);
/* The same with the directory's inode already locked by the caller for writing, without the permission check. */
int path_child_locked(struct dentry *directory, const char *name, size_t length, struct dentry **child);
/* walk->path is a directory, child a symbolic link in it, whose reference is taken over: puts its text in front of what is left and goes
 * on from the directory (or root). */
int path_walk_follow(struct path_walk *walk, struct dentry *child);
/* walk->path moves to the child, through mounts on it. Takes over the reference. */
void path_walk_enter(struct path_walk *walk, struct dentry *child);
