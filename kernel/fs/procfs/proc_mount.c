/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two file systems, and /proc's root: the tree's own files, "self" and "thread-self", then a directory for each process.
 */
#include "kernel/fs/procfs/procfs.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"

#define PROC_MAGIC 0x9fa0
#define SYSFS_MAGIC 0x62656572

const struct procfs_process_source *procfs_processes;

void procfs_set_process_source(const struct procfs_process_source *source)
{
    procfs_processes = source;
}

static int print_self(struct text_buffer *text, void *data)
{
    int pid = 0, tid = 0;

    if (procfs_processes)
        procfs_processes->current(&pid, &tid);
    if (pid == 0)
        return -ENOENT;
    if (data)
        text_print(text, "%d/task/%d", pid, tid);
    else
        text_print(text, "%d", pid);
    return 0;
}

static int print_mounts_link(struct text_buffer *text, void *data)
{
    text_print(text, "self/mounts");
    return 0;
}

static char thread_mark;

static const struct pseudo_file proc_links[] = {
    { .path = "self", .mode = MODE_SYMLINK | 0777, .print = print_self },
    { .path = "thread-self", .mode = MODE_SYMLINK | 0777, .print = print_self, .data = &thread_mark },
    { .path = "mounts", .mode = MODE_SYMLINK | 0777, .print = print_mounts_link },
};

int procfs_start(void)
{
    int error = pseudo_tree_add(&procfs_tree, proc_links, array_count(proc_links));

    if (!error)
        error = proc_system_start();
    if (!error)
        error = proc_settings_start();
    if (!error)
        error = sysfs_start();
    return error;
}

/* Processes stand in the directory behind the tree's files, at offsets PROC_PROCESS_BIT | pid. */
static int root_read_directory(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    char name[16];
    int pid = 0;

    if (!(offset & PROC_PROCESS_BIT)) {
        struct pseudo_node *node;

        while ((node = pseudo_tree_next(directory->data, offset))) {
            offset = node->number;
            if (!emit(context, node->name, node->name_length, node->number, node->file ? MODE_REGULAR : MODE_DIRECTORY, offset))
                return 0;
        }
    } else {
        pid = (int)(offset & ~PROC_PROCESS_BIT);
    }
    while (procfs_processes && (pid = procfs_processes->next_pid(pid)) > 0) {
        size_t length = (size_t)format_string(name, sizeof(name), "%d", pid);

        if (!emit(context, name, length, PROC_PROCESS_BIT | (uint64_t)pid << 42, MODE_DIRECTORY, (uint64_t)pid | PROC_PROCESS_BIT))
            return 0;
    }
    return 0;
}

static int root_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    uint64_t pid;

    if (name[0] >= '1' && name[0] <= '9' && parse_unsigned(name, length, 10, &pid) == 0 && pid < 1u << 22)
        return proc_process_inode(directory->file_system, (int)pid, 0, inode);
    return pseudo_directory_lookup(directory, name, length, inode);
}

static const struct inode_operations root_operations = {
    .lookup = root_lookup,
    .read_directory = root_read_directory,
};

static int proc_statistics(struct file_system *file_system, struct file_system_statistics *statistics)
{
    statistics->type = PROC_MAGIC;
    return 0;
}

static int sysfs_statistics(struct file_system *file_system, struct file_system_statistics *statistics)
{
    statistics->type = SYSFS_MAGIC;
    return 0;
}

static int nothing_to_synchronize(struct file_system *file_system)
{
    return 0; /* nothing of it is on any disk */
}

static void pseudo_unmount(struct file_system *file_system)
{
    file_system_destroy(file_system);
    memory_free(file_system);
}

static const struct file_system_operations proc_operations = {
    .statistics = proc_statistics,
    .synchronize = nothing_to_synchronize,
    .unmount = pseudo_unmount,
};

static const struct file_system_operations sysfs_operations = {
    .statistics = sysfs_statistics,
    .synchronize = nothing_to_synchronize,
    .unmount = pseudo_unmount,
};

static int mount_tree(const char *type, const struct file_system_operations *operations, struct pseudo_tree *tree,
                      const struct inode_operations *root_inode, struct file_system **out)
{
    struct file_system *file_system = memory_allocate(sizeof(*file_system));
    int error;

    if (!file_system)
        return -ENOMEM;
    error = file_system_init(file_system, type, operations, NULL);
    if (error) {
        memory_free(file_system);
        return error;
    }
    error = pseudo_inode_get(file_system, tree->root, &file_system->root);
    if (error) {
        pseudo_unmount(file_system);
        return error;
    }
    if (root_inode)
        file_system->root->operations = root_inode;
    *out = file_system;
    return 0;
}

static int proc_mount(const char *source, unsigned long flags, const char *options, struct file_system **file_system)
{
    int error = mount_tree("proc", &proc_operations, &procfs_tree, &root_operations, file_system);

    if (!error)
        (*file_system)->volatile_names = true;
    return error;
}

static int sysfs_mount(const char *source, unsigned long flags, const char *options, struct file_system **file_system)
{
    return mount_tree("sysfs", &sysfs_operations, &sysfs_tree, NULL, file_system);
}

const struct file_system_type procfs_type = { .name = "proc", .mount = proc_mount };
const struct file_system_type sysfs_type = { .name = "sysfs", .mount = sysfs_mount };
