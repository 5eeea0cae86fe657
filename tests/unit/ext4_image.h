/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext4 images for tests: made by the real mke2fs from a directory, held in memory, and shown to the kernel's files as
 * a disk.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernel/device/block_device.h"

struct test_disk {
    struct block_device device;
    uint8_t *bytes;
    size_t length_bytes;
    size_t reads;
};

/*
 * Runs mke2fs with `options` on a new file of that size filled from `directory` (NULL: empty) and reads it; the caller frees. With a hash
 * ("half_md4", "tea", "legacy"; NULL: none) the directories get hash trees, which mke2fs itself does not make, by e2fsck -D. Ends the program
 * on failure.
 */
uint8_t *ext4_image_create(const char *options, size_t length_bytes, const char *directory, const char *hash);

/* Registers `bytes` (kept by the caller) as disk `name`, and takes it away again. */
void test_disk_attach(struct test_disk *disk, const char *name, uint8_t *bytes, size_t length_bytes);
void test_disk_detach(struct test_disk *disk);
