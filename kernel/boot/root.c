/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting at boot: the table of file system types; the root by the word root= (a disk's ext4, or the ramdisk unpacked into a
 * tmpfs, which is also what happens without the word when there is a ramdisk); then /dev, /proc, /sys, /run, /tmp, /dev/shm.
 */
#include "kernel/boot/root.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/boot/command_line.h"
#include "kernel/boot/devices.h"
#include "kernel/boot/guest_report.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/fs/ext4/ext4.h"
#include "kernel/fs/procfs/procfs.h"
#include "kernel/fs/tmpfs/cpio.h"
#include "kernel/fs/tmpfs/tmpfs.h"
#include "kernel/memory/page_start.h"
#include "kernel/linux/proc_files.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/terminal.h"
#include "kernel/vfs/vfs.h"
#include "xen/machine/boot_info.h"
#include "xen/x86/frames.h"

static const struct file_system_type *const types[] = { &ext4_type, &procfs_type, &sysfs_type, &tmpfs_type, &devfs_type, &devpts_type };

static const struct {
    const char *target;
    const char *type;
    unsigned long flags;
    const char *options;
} mounts[] = {
    { "/dev", "devtmpfs", MOUNT_NO_SUID, "mode=755" },
    { "/dev/shm", "tmpfs", MOUNT_NO_SUID | MOUNT_NO_DEVICES, "mode=1777" },
    { "/proc", "proc", MOUNT_NO_SUID | MOUNT_NO_DEVICES | MOUNT_NO_EXECUTE, "" },
    { "/sys", "sysfs", MOUNT_NO_SUID | MOUNT_NO_DEVICES | MOUNT_NO_EXECUTE, "" },
    { "/run", "tmpfs", MOUNT_NO_SUID | MOUNT_NO_DEVICES, "mode=755" },
    { "/tmp", "tmpfs", MOUNT_NO_SUID | MOUNT_NO_DEVICES, "mode=1777" },
};

static int type_mount(const char *name, const char *source, unsigned long flags, const char *options, struct path *root)
{
    const struct file_system_type *type = file_system_find_type(name);
    struct file_system *file_system;

    if (type == NULL)
        return -ENODEV;
    int error = type->mount(source, flags, options, &file_system);
    return error != 0 ? error : mount_root(file_system, flags, root);
}

/* Its pages become its files', or ordinary memory. */
static int ramdisk_unpack(struct fs_context *context)
{
    page_take_reserved(frames_pfn(boot_info.ramdisk), PAGE_ROUND_UP(boot_info.ramdisk_bytes) >> PAGE_SHIFT, PAGE_CACHE);
    int error = cpio_unpack(context, boot_info.ramdisk, boot_info.ramdisk_bytes, true);
    boot_info.ramdisk = NULL;
    boot_info.ramdisk_bytes = 0;
    return error;
}

static int root_from_ramdisk(struct fs_context *context)
{
    if (boot_info.ramdisk_bytes == 0) {
        log_error("root: no root= on the command line, and no ramdisk");
        return -ENODEV;
    }
    /* Its files are in memory already, and may be most of it. */
    int error = type_mount("tmpfs", "rootfs", 0, "size=100%", &context->root);
    if (error != 0)
        return error;
    context->working_directory = context->root;
    path_take(&context->working_directory);
    error = ramdisk_unpack(context);
    if (error == 0 && command_line_value("ro"))
        error = mount_create(context, NULL, "/", NULL, MOUNT_REMOUNT | MOUNT_READ_ONLY, NULL);
    return error;
}

static int root_from_disk(struct fs_context *context, const char *disk)
{
    unsigned long flags = command_line_value("rw") ? 0 : MOUNT_READ_ONLY;

    devices_await_disk(strncmp(disk, "/dev/", 5) == 0 ? disk + 5 : disk);
    guest_report_step("disk");
    int error = type_mount("ext4", disk, flags, "", &context->root);
    if (error != 0) {
        log_error("root: %s cannot be mounted: error %d", disk, error);
        return error;
    }
    context->working_directory = context->root;
    path_take(&context->working_directory);
    return 0;
}

/* A mount point that the image lacks is made where the root can be written, and passed over where not. */
static void mount_rest(const struct fs_context *context)
{
    for (size_t i = 0; i < array_count(mounts); i++) {
        int error = path_make_directory(context, NULL, mounts[i].target, 0755);
        if (error == 0 || error == -EEXIST || error == -EROFS)
            error = mount_create(context, mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].options);
        if (error != 0)
            log_notice("root: nothing is mounted on %s: error %d", mounts[i].target, error);
    }
    int error = devfs_start(context);
    if (error != 0)
        log_notice("root: nothing is mounted on /dev/pts: error %d", error);
}

int root_mount(struct fs_context *context)
{
    const char *root = command_line_value("root");

    int error = file_system_register_types(types, array_count(types));
    if (error == 0)
        error = procfs_start();
    if (error == 0)
        error = proc_files_start();
    if (error == 0)
        error = devfs_init();
    if (error != 0)
        return error;
    terminal_console_start();
    *context = (struct fs_context){ .umask = 022, .credentials = credentials_create_root() };
    if (context->credentials == NULL)
        return -ENOMEM;
    if (root == NULL || strcmp(root, "ramdisk") == 0)
        error = root_from_ramdisk(context);
    else
        error = root_from_disk(context, root);
    if (error == 0)
        mount_rest(context);
    return error;
}
