/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ext4_image.h. The disk completes requests at once, in the submitter's context.
 */
#include "tests/unit/ext4_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/base/error.h"

static void fail(const char *what)
{
    fprintf(stderr, "ext4 image: %s failed\n", what);
    exit(2);
}

uint8_t *ext4_image_create(const char *options, size_t length_bytes, const char *directory, const char *hash)
{
    char name[] = "/tmp/ext4-image-XXXXXX";
    char command[1024];
    int fd = mkstemp(name);

    if (fd < 0 || ftruncate(fd, (off_t)length_bytes) != 0)
        fail("making a temporary file");
    snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext4 %s %s %s %s", options,
             directory ? "-d" : "", directory ? directory : "", name);
    if (system(command) != 0)
        fail(command);
    snprintf(command, sizeof(command),
             "PATH=$PATH:/usr/sbin:/sbin; tune2fs -E hash_alg=%s %s >/dev/null && e2fsck -fyD %s >/dev/null; [ $? -le 1 ]",
             hash, name, name);
    if (hash && system(command) != 0)
        fail(command);

    uint8_t *bytes = malloc(length_bytes);

    if (!bytes || pread(fd, bytes, length_bytes, 0) != (ssize_t)length_bytes)
        fail("reading the image");
    close(fd);
    unlink(name);
    return bytes;
}

static void test_disk_submit(struct block_device *device, struct block_request *request)
{
    struct test_disk *disk = container_of(device, struct test_disk, device);
    uint64_t byte = request->sector * BLOCK_SECTOR_BYTES;

    if (request->operation != BLOCK_READ) {
        block_request_complete(request, request->operation == BLOCK_FLUSH ? 0 : -EROFS);
        return;
    }
    for (uint32_t i = 0; i < request->segment_count; i++) {
        const struct block_segment *segment = &request->segments[i];

        if (byte + segment->length_bytes > disk->length_bytes) {
            block_request_complete(request, -EIO);
            return;
        }
        memcpy((char *)page_address(segment->page) + segment->offset_bytes, disk->bytes + byte, segment->length_bytes);
        byte += segment->length_bytes;
    }
    disk->reads++;
    block_request_complete(request, 0);
}

static void test_disk_destroy(struct block_device *device)
{
    memset(device->name, 0, sizeof(device->name));
}

static const struct block_device_ops test_disk_ops = { .submit = test_disk_submit, .destroy = test_disk_destroy };

void test_disk_attach(struct test_disk *disk, const char *name, uint8_t *bytes, size_t length_bytes)
{
    memset(disk, 0, sizeof(*disk));
    snprintf(disk->device.name, sizeof(disk->device.name), "%s", name);
    disk->device.ops = &test_disk_ops;
    disk->device.number = 202 << 8;
    disk->device.sector_count = length_bytes / BLOCK_SECTOR_BYTES;
    disk->device.logical_block_bytes = disk->device.physical_block_bytes = BLOCK_SECTOR_BYTES;
    disk->device.read_only = true;
    disk->device.segments_per_request = 11;
    disk->device.bytes_per_request = 11 * 4096;
    disk->bytes = bytes;
    disk->length_bytes = length_bytes;
    reference_init(&disk->device.reference);
    list_init(&disk->device.link);
    if (block_device_register(&disk->device) != 0)
        fail("registering the disk");
}

void test_disk_detach(struct test_disk *disk)
{
    block_device_unregister(&disk->device);
    if (disk->device.name[0])
        fail("giving the disk back: somebody still holds it");
}
