/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * devpts: the open ptys as device nodes. Nothing is stored here: names are looked up each time, attributes are asked of the
 * pty and set there.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/terminal.h"

#define DEVPTS_MAGIC 0x1cd1
#define ROOT_NUMBER 1
#define PTMX_NUMBER 2
#define FIRST_NUMBER 3 /* of pty 0 */
#define PTMX_MINOR 2

static const struct inode_operations node_operations, root_operations;

static int pts_get_attributes(struct inode *inode)
{
    uint32_t uid, gid, mode;

    if (inode->number < FIRST_NUMBER || pty_attributes((int)(inode->number - FIRST_NUMBER), &uid, &gid, &mode) != 0)
        return 0; /* ptmx; or a node still open whose pty is gone */
    rw_lock_write(&inode->lock);
    inode->uid = uid;
    inode->gid = gid;
    inode->mode = MODE_CHARACTER | mode;
    rw_unlock_write(&inode->lock);
    return 0;
}

static int pts_set_attributes(struct inode *inode, const struct inode_attributes *attributes)
{
    inode_apply_attributes(inode, attributes);
    if (inode->number >= FIRST_NUMBER)
        pty_set_attributes((int)(inode->number - FIRST_NUMBER), inode->uid, inode->gid, inode->mode);
    return 0;
}

static int pts_inode(struct file_system *file_system, uint64_t number, struct inode **inode)
{
    bool fresh;
    int error = inode_get(file_system, number, inode, &fresh);

    if (error)
        return error;
    if (fresh) {
        (*inode)->links = number == ROOT_NUMBER ? 2 : 1;
        (*inode)->mode = number == ROOT_NUMBER ? MODE_DIRECTORY | 0755 : MODE_CHARACTER | 0666;
        (*inode)->device = number == PTMX_NUMBER  ? DEVICE_NUMBER(TERMINAL_MAJOR, PTMX_MINOR)
                           : number != ROOT_NUMBER ? DEVICE_NUMBER(PTY_MAJOR, (unsigned int)(number - FIRST_NUMBER))
                                                   : 0;
        (*inode)->operations = number == ROOT_NUMBER ? &root_operations : &node_operations;
        (*inode)->access_time = (*inode)->modify_time = (*inode)->change_time = (*inode)->birth_time = inode_now();
        inode_ready(*inode);
    }
    return pts_get_attributes(*inode);
}

static int pts_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    uint64_t number;
    uint32_t unused;

    if (length == 4 && memcmp(name, "ptmx", 4) == 0)
        return pts_inode(directory->file_system, PTMX_NUMBER, inode);
    if (length > 4 || parse_unsigned(name, length, 10, &number) != 0 || (length > 1 && name[0] == '0') ||
        pty_attributes((int)number, &unused, &unused, &unused) != 0)
        return -ENOENT;
    return pts_inode(directory->file_system, FIRST_NUMBER + number, inode);
}

static int pts_read_directory(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    char name[12];

    if (offset == 0 && !emit(context, "ptmx", 4, PTMX_NUMBER, MODE_CHARACTER, 1))
        return 0;
    for (int number = pty_next(offset > 1 ? (int)(offset - 1) : 0); number >= 0; number = pty_next(number + 1)) {
        int length = format_string(name, sizeof(name), "%d", number);

        if (!emit(context, name, (size_t)length, FIRST_NUMBER + (uint64_t)number, MODE_CHARACTER, (uint64_t)number + 2))
            break;
    }
    return 0;
}

static const struct inode_operations root_operations = {.lookup = pts_lookup, .read_directory = pts_read_directory};
static const struct inode_operations node_operations = {.get_attributes = pts_get_attributes, .set_attributes = pts_set_attributes};

static int pts_statistics(struct file_system *file_system, struct file_system_statistics *statistics)
{
    statistics->type = DEVPTS_MAGIC;
    return 0;
}

static void pts_unmount(struct file_system *file_system)
{
    file_system_destroy(file_system);
    memory_free(file_system);
}

static const struct file_system_operations devpts_operations = {.statistics = pts_statistics, .unmount = pts_unmount};

/* Linux's options (gid=5,mode=620,ptmxmode=666) say what is so here anyway. */
static int devpts_mount(const char *source, unsigned long flags, const char *options, struct file_system **result)
{
    struct file_system *file_system = memory_allocate_zeroed(sizeof(*file_system));

    if (!file_system)
        return -ENOMEM;
    int error = file_system_init(file_system, "devpts", &devpts_operations, NULL);
    if (error) {
        memory_free(file_system);
        return error;
    }
    file_system->volatile_names = true;
    error = pts_inode(file_system, ROOT_NUMBER, &file_system->root);
    if (error) {
        pts_unmount(file_system);
        return error;
    }
    *result = file_system;
    return 0;
}

const struct file_system_type devpts_type = {.name = "devpts", .needs_device = false, .mount = devpts_mount};
