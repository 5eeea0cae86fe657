/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control guest: Debian's own kernel, with an initramfs that does with an image what our kernel does.
 *
 * The lab's image (lab_image.c) has the kernel, and an archive with busybox and Xen's frontends. Our /init is appended to it as
 * a second cpio archive, which Linux unpacks over the first: so a changed init needs no new image.
 */
#include "tools/guest/linux_guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/digest.h"
#include "tools/base/file.h"
#include "tools/base/install.h"
#include "tools/base/report.h"
#include "tools/base/text.h"
#include "tools/lab/lab_image.h"

static void pad(struct text *archive, size_t from)
{
    while ((archive->length - from) % 4 != 0)
        text_add(archive, "", 1);
}

/* One member in cpio's "newc" form (cpio(5)). */
static void member_add(struct text *archive, const char *name, unsigned mode, const void *bytes, size_t length)
{
    size_t from = archive->length;

    text_format(archive, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1, mode, 0, 0, 1, 0, length, 0, 0, 0, 0,
        strlen(name) + 1, 0);
    text_add(archive, name, strlen(name) + 1);
    pad(archive, from);
    text_add(archive, bytes, length);
    pad(archive, from);
}

static int ramdisk_make(const char *base, const char *ramdisk)
{
    struct text archive = {0};
    struct text init = {0};

    char *program = install_program("linux-guest", "xenolith-linux-init");
    int error = file_read(program, &init);
    if (error < 0)
        report_error(error, "%s, a part of this tool", program);
    if (error == 0 && (error = file_read(base, &archive)) < 0)
        report_error(error, "%s", base);
    if (error == 0) {
        pad(&archive, 0);
        member_add(&archive, "init", 0100755, init.bytes, init.length);
        member_add(&archive, "TRAILER!!!", 0, "", 0);
        error = file_write(ramdisk, archive.bytes, archive.length);
        if (error < 0)
            report_error(error, "cannot write %s", ramdisk);
    }
    text_free(&archive);
    text_free(&init);
    free(program);
    return error;
}

/* Gives the paths of kernel and initramfs; the caller frees them. */
int linux_guest_provide(char **kernel, char **ramdisk)
{
    char key[DIGEST_HEX_SIZE];
    struct digest digest;
    char *image = NULL;

    int error = lab_image_provide(lab_xen_find(NULL), &image);
    if (error < 0)
        return error;
    char *program = install_program("linux-guest", "xenolith-linux-init");
    digest_start(&digest);
    digest_add_file(&digest, program);
    digest_end(&digest, key);
    *kernel = text_join("%s/linux-guest.elf", image);
    *ramdisk = text_join("%s/linux-guest-%.16s", image, key);
    char *base = text_join("%s/linux-guest.cpio", image);
    if (!file_exists(*ramdisk))
        error = ramdisk_make(base, *ramdisk);
    free(base);
    free(program);
    free(image);
    return error;
}
