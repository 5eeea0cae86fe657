/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of unix sockets: paths, where the socket hangs on the inode that bind() makes, and abstract names, in a table. A bound
 * socket holds its path, so that the file system stays mounted.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/hash.h"
#include "kernel/device/random.h"
#include "kernel/net/unix.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/path.h"

#define BUCKETS 64u
#define PATH_OFFSET offsetof(struct sockaddr_un, path)

static struct mutex names_mutex;
static struct list abstract_names[BUCKETS]; /* names_mutex */

void unix_names_start(void)
{
    mutex_init(&names_mutex, "unix names", 0);
    for (unsigned int i = 0; i < BUCKETS; i++)
        list_init(&abstract_names[i]);
}

static struct list *bucket_of(const struct sockaddr_un *name, size_t name_bytes)
{
    return &abstract_names[hash_bytes(name->path, name_bytes - PATH_OFFSET, 0) % BUCKETS];
}

/* names_mutex held. */
static struct unix_socket *abstract_find(const struct sockaddr_un *name, size_t name_bytes)
{
    struct unix_socket *other;
    list_for_each (other, bucket_of(name, name_bytes), name_link)
        if (other->name_bytes == name_bytes && memcmp(other->name.path, name->path, name_bytes - PATH_OFFSET) == 0)
            return other;
    return NULL;
}

/* Copies and checks an address. A path is terminated, in a buffer with room for the NUL that programs leave out. */
static int name_parse(const void *address, size_t address_bytes, struct sockaddr_un *name, char path[UNIX_PATH_BYTES + 1])
{
    if (address_bytes > sizeof(*name) || address_bytes <= PATH_OFFSET)
        return -EINVAL;
    memset(name, 0, sizeof(*name));
    memcpy(name, address, address_bytes);
    if (name->family != AF_UNIX)
        return -EINVAL;
    memcpy(path, name->path, address_bytes - PATH_OFFSET);
    path[address_bytes - PATH_OFFSET] = '\0';
    return 0;
}

/* ---- bind ---- */

static int bind_abstract(struct unix_socket *end, const struct sockaddr_un *name, size_t name_bytes)
{
    if (abstract_find(name, name_bytes) != NULL)
        return -EADDRINUSE;
    end->name = *name;
    end->name_bytes = name_bytes;
    list_add_last(bucket_of(name, name_bytes), &end->name_link);
    return 0;
}

/* A name of five hexadecimal digits, as Linux gives those who ask for none. */
static int bind_automatic(struct unix_socket *end)
{
    struct sockaddr_un name = {.family = AF_UNIX};

    for (unsigned int tries = 0; tries < 4096; tries++) {
        char digits[6];
        format_string(digits, sizeof(digits), "%05x", (unsigned int)random_below(0x100000));
        memcpy(name.path + 1, digits, 5);
        if (bind_abstract(end, &name, PATH_OFFSET + 6) == 0)
            return 0;
    }
    return -ENOSPC;
}

static int bind_path(struct unix_socket *end, const struct fs_context *context, const struct sockaddr_un *name, const char *path_text)
{
    struct path path;

    int error = path_make_node(context, NULL, path_text, MODE_SOCKET | 0777, 0);
    if (error != 0)
        return error == -EEXIST ? -EADDRINUSE : error;
    error = path_lookup(context, NULL, path_text, 0, &path);
    if (error != 0)
        return error;
    struct inode *inode = path_inode(&path);
    rw_lock_write(&inode->lock);
    bool free = (inode->mode & MODE_TYPE) == MODE_SOCKET && inode->endpoint == NULL;
    if (free)
        inode->endpoint = end;
    rw_unlock_write(&inode->lock);
    if (!free) {
        path_release(&path);
        return -EADDRINUSE;
    }
    end->path = path;
    end->name = *name;
    end->name_bytes = minimum(PATH_OFFSET + strlen(path_text) + 1, sizeof(*name));
    return 0;
}

int unix_bind(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct unix_socket *end = unix_socket(socket);
    char path[UNIX_PATH_BYTES + 1];
    struct sockaddr_un name;
    uint16_t family;
    int error = 0;

    if (address_bytes < sizeof(family))
        return -EINVAL;
    memcpy(&family, address, sizeof(family));
    bool automatic = address_bytes == sizeof(family) && family == AF_UNIX;
    if (!automatic)
        error = name_parse(address, address_bytes, &name, path);
    if (error != 0)
        return error;
    mutex_lock(&end->connect_mutex);
    if (end->name_bytes != 0) {
        error = automatic ? 0 : -EINVAL;
    } else if (!automatic && name.path[0] != '\0') {
        error = context != NULL ? bind_path(end, context, &name, path) : -EINVAL;
    } else {
        mutex_lock(&names_mutex);
        error = automatic ? bind_automatic(end) : bind_abstract(end, &name, address_bytes);
        mutex_unlock(&names_mutex);
    }
    mutex_unlock(&end->connect_mutex);
    return error;
}

void unix_unbind(struct unix_socket *end)
{
    if (end->path.dentry != NULL) {
        struct inode *inode = path_inode(&end->path);
        rw_lock_write(&inode->lock);
        inode->endpoint = NULL;
        rw_unlock_write(&inode->lock);
        path_release(&end->path);
    }
    mutex_lock(&names_mutex);
    list_remove(&end->name_link);
    mutex_unlock(&names_mutex);
}

/* ---- Looking up ---- */

static int find_path(const struct fs_context *context, const char *path_text, struct unix_socket **found)
{
    struct path path;

    if (context == NULL)
        return -EINVAL;
    int error = path_lookup(context, NULL, path_text, PATH_FOLLOW, &path);
    if (error != 0)
        return error;
    struct inode *inode = path_inode(&path);
    error = inode_permission(inode, context->credentials, 2);
    if (error == 0) {
        error = -ECONNREFUSED;
        rw_lock_read(&inode->lock);
        struct unix_socket *bound = (inode->mode & MODE_TYPE) == MODE_SOCKET ? inode->endpoint : NULL;
        /* A socket takes itself off the inode, under this lock, before its last reference can go. */
        if (bound != NULL && reference_take_if_alive(&bound->reference)) {
            *found = bound;
            error = 0;
        }
        rw_unlock_read(&inode->lock);
    }
    path_release(&path);
    return error;
}

int unix_find(const struct fs_context *context, const void *address, size_t address_bytes, int type, struct unix_socket **found)
{
    char path[UNIX_PATH_BYTES + 1];
    struct sockaddr_un name;
    int error = name_parse(address, address_bytes, &name, path);

    if (error != 0)
        return error;
    if (name.path[0] != '\0') {
        error = find_path(context, path, found);
    } else {
        mutex_lock(&names_mutex);
        *found = abstract_find(&name, address_bytes);
        error = *found != NULL && reference_take_if_alive(&(*found)->reference) ? 0 : -ECONNREFUSED;
        mutex_unlock(&names_mutex);
    }
    if (error == 0 && (*found)->socket.type != type) {
        unix_release_reference(*found);
        error = -EPROTOTYPE;
    }
    return error;
}
