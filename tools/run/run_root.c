/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a guest's root is. A disk is read as it is needed, but has to be connected first, which takes dom0 longer than a small guest
 * its whole start; a ramdisk comes with the kernel, and takes its files' size of the guest's memory. Read-only either way.
 */
#include "tools/run/run_root.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/base/report.h"

#define MIB (1ull << 20)
/* What is small: by itself, and beside the guest's memory. */
#define SMALL_BYTES (4 * MIB)
#define SMALL_PART 16
/* What the kernel itself takes, and for the names of a root's files, beside its bytes. Linux has the bytes twice, while it unpacks them. */
#define KERNEL_BYTES (3 * MIB)
#define NAMES_PART 8

static int in_memory_by_itself(const struct run_options *options, bool *out)
{
    uint64_t memory_bytes = (uint64_t)options->guest.memory_mib * MIB;
    uint64_t bytes;

    *out = false;
    if (options->image.packages.count > 0 || options->guest.disks.count > 0)
        return 0; /* packages bring tens of MiB; and where there is another disk, the root's costs no time */
    int error = image_measure(&options->image, &bytes);
    *out = error == 0 && bytes <= SMALL_BYTES && bytes <= memory_bytes / SMALL_PART;
    return error;
}

/* Sets the image's form, by --root; without it a ramdisk where the root is small and that is wanted (small_in_memory), else a disk. */
int run_root_choose(struct run_options *options, bool small_in_memory)
{
    bool in_memory = false;
    int error = 0;

    if (options->root != NULL && strcmp(options->root, "ramdisk") == 0)
        in_memory = true;
    else if (options->root != NULL && strcmp(options->root, "disk") != 0)
        error = report_error(0, "--root %s: it is disk or ramdisk", options->root);
    else if (options->root == NULL && small_in_memory)
        error = in_memory_by_itself(options, &in_memory);
    options->image.form = !in_memory ? IMAGE_DISK : options->ramdisk == NULL ? IMAGE_RAMDISK
                                                                            : IMAGE_LINUX_RAMDISK;
    return error;
}

static int ramdisk_check(const struct run_options *options, const char *image)
{
    uint64_t memory_bytes = (uint64_t)options->guest.memory_mib * MIB;
    struct stat status;

    if (stat(image, &status) < 0)
        return report_error(-errno, "%s", image);
    uint64_t bytes = (uint64_t)status.st_size;
    uint64_t more = options->ramdisk != NULL ? bytes : bytes / NAMES_PART;
    if (bytes + more + KERNEL_BYTES <= memory_bytes)
        return 0;
    return report_error(0, "--root ramdisk: the root has %llu MiB, which lie in the guest's memory, too much for --memory %ldM; give more, or --root disk",
                        (unsigned long long)((bytes + MIB - 1) / MIB), options->guest.memory_mib);
}

/* Puts the image into the request: as the first disk, or as the ramdisk, behind Linux's own where Linux is the kernel. */
int run_root_give(const struct run_options *options, const char *image, struct guest_request *guest)
{
    if (options->image.form == IMAGE_DISK) {
        text_list_format(&guest->disks, "%s:r", image);
        return 0;
    }
    int error = ramdisk_check(options, image);
    if (options->ramdisk == NULL)
        guest->ramdisk = image;
    else
        guest->ramdisk_more = image;
    guest->first_disk = 1; /* further disks have the names that they have beside a root disk */
    return error;
}
