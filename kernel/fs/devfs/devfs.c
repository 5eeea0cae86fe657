/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of /dev, and the nodes of disks as they come and go.
 */
#include "kernel/fs/devfs/devfs.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/device/block_device.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/path.h"
#include "kernel/vfs/terminal.h"

#define MEMORY_MAJOR 1u
#define GROUP_TTY 5
#define GROUP_DISK 6

/* Block majors that Xen's disks have: xvd, sd, hd. */
static const unsigned int block_majors[] = {202, 8, 3, 22};

struct node {
    const char *name;
    uint32_t mode;            /* with type; a directory, a device or a symbolic link */
    unsigned int major, minor;
    uint32_t gid;
    const char *target;
};

static const struct node nodes[] = {
    {"null", MODE_CHARACTER | 0666, MEMORY_MAJOR, 3, 0, NULL},
    {"zero", MODE_CHARACTER | 0666, MEMORY_MAJOR, 5, 0, NULL},
    {"full", MODE_CHARACTER | 0666, MEMORY_MAJOR, 7, 0, NULL},
    {"random", MODE_CHARACTER | 0666, MEMORY_MAJOR, 8, 0, NULL},
    {"urandom", MODE_CHARACTER | 0666, MEMORY_MAJOR, 9, 0, NULL},
    {"kmsg", MODE_CHARACTER | 0644, MEMORY_MAJOR, 11, 0, NULL},
    {"tty", MODE_CHARACTER | 0666, TERMINAL_MAJOR, 0, GROUP_TTY, NULL},
    {"console", MODE_CHARACTER | 0620, TERMINAL_MAJOR, 1, GROUP_TTY, NULL},
    {"ptmx", MODE_CHARACTER | 0666, TERMINAL_MAJOR, 2, GROUP_TTY, NULL},
    {"pts", MODE_DIRECTORY | 0755, 0, 0, 0, NULL},
    {"shm", MODE_DIRECTORY | MODE_STICKY | 0777, 0, 0, 0, NULL},
    {"mqueue", MODE_DIRECTORY | MODE_STICKY | 0777, 0, 0, 0, NULL},
    {"hvc0", MODE_SYMLINK | 0777, 0, 0, 0, "console"},
    {"fd", MODE_SYMLINK | 0777, 0, 0, 0, "/proc/self/fd"},
    {"stdin", MODE_SYMLINK | 0777, 0, 0, 0, "/proc/self/fd/0"},
    {"stdout", MODE_SYMLINK | 0777, 0, 0, 0, "/proc/self/fd/1"},
    {"stderr", MODE_SYMLINK | 0777, 0, 0, 0, "/proc/self/fd/2"},
};

static struct fs_context block_context;
static struct block_watcher block_watcher;

static int make_node(struct inode *root, const struct node *node, const struct credentials *credentials)
{
    size_t length = strlen(node->name);
    struct inode *inode;
    int error;

    if (node->target)
        error = root->operations->symlink(root, node->name, length, node->target, credentials, &inode);
    else
        error = root->operations->create(root, node->name, length, node->mode, DEVICE_NUMBER(node->major, node->minor),
                                         credentials, &inode);
    if (error)
        return error;
    inode->gid = node->gid;
    inode_release(inode);
    return 0;
}

static int devfs_mount(const char *source, unsigned long flags, const char *options, struct file_system **file_system)
{
    const struct file_system_type *tmpfs = file_system_find_type("tmpfs");
    struct credentials *credentials = credentials_create_root();
    int error = -ENODEV;

    if (!credentials)
        return -ENOMEM;
    if (tmpfs)
        error = tmpfs->mount(source, flags, options, file_system);
    if (!error) {
        struct inode *root = (*file_system)->root;

        (*file_system)->type = "devtmpfs";
        rw_lock_write(&root->lock);
        for (size_t i = 0; i < array_count(nodes) && !error; i++)
            error = make_node(root, &nodes[i], credentials);
        rw_unlock_write(&root->lock);
        if (error)
            file_system_end(*file_system);
    }
    credentials_release(credentials);
    return error;
}

const struct file_system_type devfs_type = {.name = "devtmpfs", .needs_device = false, .mount = devfs_mount};

/* Device numbers of disks are given as Linux's of old: major << 8 | minor; extended Xen disks in the 28-bit form. */
static uint64_t block_number(const struct block_device *device)
{
    return DEVICE_NUMBER((device->number >> 8) & 0xfff, device->number & 0xff);
}

static void block_changed(struct block_watcher *watcher, struct block_device *device, enum block_change change)
{
    char name[BLOCK_NAME_BYTES + 8];
    int error = 0;

    format_string(name, sizeof(name), "/dev/%s", device->name);
    if (change == BLOCK_ADDED)
        error = path_make_node(&block_context, NULL, name, MODE_BLOCK | 0660, block_number(device));
    else if (change == BLOCK_REMOVED)
        error = path_remove(&block_context, NULL, name, false);
    if (error && error != -EEXIST && error != -ENOENT)
        log_warning("devfs: %s: error %d", name, -error);
}

int devfs_start(const struct fs_context *context)
{
    int error = mount_create(context, "devpts", "/dev/pts", "devpts", 0, "");

    block_context = *context;
    block_context.umask = 0;
    path_take(&block_context.root);
    path_take(&block_context.working_directory);
    credentials_take(block_context.credentials);
    block_watcher.changed = block_changed;
    list_init(&block_watcher.link);
    block_watch(&block_watcher);
    return error;
}

int devfs_init(void)
{
    int error = device_file_register(false, MEMORY_MAJOR, memory_device_open);

    for (size_t i = 0; i < array_count(block_majors) && !error; i++)
        error = device_file_register(true, block_majors[i], block_file_open);
    return error;
}
