/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's root image: what is to be in it, and the cached file (image.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tools/base/text.h"
#include "tools/image/batch.h"

enum image_form {
    IMAGE_DISK, /* ext4 */
    IMAGE_RAMDISK, /* cpio */
    IMAGE_LINUX_RAMDISK, /* the same below root/, to be added to an initramfs with an init of its own */
};

struct image_request {
    enum image_form form;
    struct text_list packages;
    struct text_list rootfs; /* directories, laid over each other and over the packages */
    struct text_list adds; /* SRC:DST */
    struct text_list environment;
    const char *user; /* UID[:GID], or a name of the image's /etc/passwd; NULL: root */
    const char *directory; /* NULL: / */
    const char *hostname;
    const char *const *program; /* NULL-terminated; NULL where there is a batch */
    const struct batch *batch;
    size_t batch_from; /* the first record to run */
};

int image_measure(const struct image_request *request, uint64_t *bytes);
int image_provide(const struct image_request *request, char **path);
void image_request_free(struct image_request *request);
