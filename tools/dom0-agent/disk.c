/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that the tool plugs into the lab's QEMU for one guest: SCSI disks known by their serial number.
 *
 * disk_await() waits until the kernel has found one and makes the name that the guest's configuration uses,
 * /dev/xenolith/SERIAL. disk_forget() takes it out of the kernel before it is unplugged.
 */
#include "tools/dom0-agent/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/base/text.h"

#define AWAIT_MS 10000

/* The /sys/block directory of the disk with this serial number (page 0x80 of its vital product data), or NULL. */
static char *disk_find(const char *serial)
{
    char *directory = NULL;
    glob_t found = {0};

    if (glob("/sys/block/sd*/device/vpd_pg80", 0, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc && directory == NULL; i++) {
        struct text page = {0};
        if (file_read(found.gl_pathv[i], &page) == 0 && page.length >= 4 + strlen(serial) &&
            memcmp(page.bytes + 4, serial, strlen(serial)) == 0)
            directory = text_join("%.*s", (int)(strlen(found.gl_pathv[i]) - strlen("/device/vpd_pg80")), found.gl_pathv[i]);
        text_free(&page);
    }
    globfree(&found);
    return directory;
}

int disk_await(const char *serial)
{
    char *directory = NULL;

    for (int waited_ms = 0; waited_ms < AWAIT_MS && (directory = disk_find(serial)) == NULL; waited_ms += 10)
        usleep(10 * 1000);
    if (directory == NULL)
        return report_error(0, "dom0 does not find the disk %s that was plugged in", serial);
    char *name = text_join("/dev/xenolith/%s", serial);
    char *device = text_join("/dev/%s", path_name(directory));
    mkdir("/dev/xenolith", 0755);
    unlink(name);
    int error = symlink(device, name) < 0 ? report_error(-errno, "cannot make %s", name) : 0;
    free(device);
    free(name);
    free(directory);
    return error;
}

void disk_forget(const char *serial)
{
    char *directory = disk_find(serial);
    char *name = text_join("/dev/xenolith/%s", serial);

    unlink(name);
    if (directory != NULL) {
        char *switch_file = text_join("%s/device/delete", directory);
        int fd = open(switch_file, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "1", 1) != 1)
            report_error(-errno, "cannot take the disk %s out of dom0", serial);
        if (fd >= 0)
            close(fd);
        free(switch_file);
    }
    free(name);
    free(directory);
}
