/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext4 under damage: the input is a list of 4-byte patches (24-bit offset, byte) laid over a small image without
 * metadata checksums, which is then mounted and read whole: every directory, link, attribute and file. Nothing may
 * crash, loop for ever, or leak.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/log.h"
#include "kernel/fs/ext4/ext4.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/ext4_image.h"

#define IMAGE_BYTES (2ul << 20)
#define WALK_LIMIT 400 /* inodes: damaged directories can name each other */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
    struct inode *directory;
    unsigned int *visited;
    unsigned int depth;
};

static void walk_inode(struct inode *inode, unsigned int *visited, unsigned int depth);

static bool walk_entry(void *context, const char *name, size_t length, uint64_t number, unsigned int type, uint64_t next)
{
    struct walk *walk = context;
    struct inode *inode;

    if (++*walk->visited > WALK_LIMIT)
        return false;
    if (ext4_lookup(walk->directory, name, length, &inode) == 0) {
        walk_inode(inode, walk->visited, walk->depth + 1);
        inode_release(inode);
    }
    return true;
}

static void walk_inode(struct inode *inode, unsigned int *visited, unsigned int depth)
{
    static char buffer[64 << 10];
    struct io_segment segment;
    struct io_vector vector;
    struct walk walk = { inode, visited, depth };

    ext4_list_xattr(inode, buffer, sizeof(buffer));
    ext4_get_xattr(inode, "user.colour", buffer, sizeof(buffer));
    switch (inode->mode & MODE_TYPE) {
    case MODE_DIRECTORY:
        if (depth < 8)
            ext4_read_directory(inode, 0, walk_entry, &walk);
        break;
    case MODE_SYMLINK:
        inode->operations->read_link(inode, buffer, sizeof(buffer));
        break;
    case MODE_REGULAR:
        for (uint64_t offset = 0; offset < inode->size_bytes && offset < 4 * sizeof(buffer); offset += sizeof(buffer)) {
            io_vector_init_kernel(&vector, &segment, buffer, sizeof(buffer));
            if (page_cache_read(&inode->cache, offset, &vector) <= 0)
                break;
        }
        break;
    default:
        break;
    }
}

static uint8_t *base_image(void)
{
    static uint8_t *base;

    if (!base) {
        char directory[] = "/tmp/ext4-fuzz-XXXXXX";
        char command[512];

        if (!mkdtemp(directory))
            abort();
        snprintf(command, sizeof(command),
                 "cd %s && mkdir many && for i in $(seq 300); do echo $i > many/a-rather-long-name-$i; done && "
                 "seq 9000 > numbers && ln -s numbers link && ln -s $(seq -s x 60) long && "
                 "dd if=/dev/urandom of=sparse bs=700 seek=20 count=1 2>/dev/null",
                 directory);
        if (system(command) != 0)
            abort();
        base = ext4_image_create("-b 1024 -N 400 -O ^metadata_csum,^has_journal,^resize_inode", IMAGE_BYTES, directory, "half_md4");
        snprintf(command, sizeof(command), "rm -r %s", directory);
        if (system(command) != 0)
            abort();
        log_set_level(0);
        if (vfs_init() != 0)
            abort();
    }
    return base;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t length = IMAGE_BYTES;
    uint8_t *base = base_image();
    struct test_disk disk;
    struct file_system *file_system;
    unsigned int visited = 0;

    size -= size % 4;
    if (size > 4096)
        return 0;

    uint8_t *undo = malloc(size / 4 + 1);

    for (size_t i = 0; i < size; i += 4) {
        size_t offset = (data[i] | (size_t)data[i + 1] << 8 | (size_t)data[i + 2] << 16) % length;

        undo[i / 4] = base[offset];
        base[offset] = data[i + 3];
    }
    test_disk_attach(&disk, "xvda", base, length);
    if (ext4_type.mount("xvda", 0, "", &file_system) == 0) {
        walk_inode(file_system->root, &visited, 0);
        inode_release(file_system->root);
        file_system->operations->unmount(file_system);
    }
    test_disk_detach(&disk);
    for (size_t i = size; i >= 4; i -= 4) {
        const uint8_t *patch = data + i - 4;
        size_t offset = (patch[0] | (size_t)patch[1] << 8 | (size_t)patch[2] << 16) % length;

        base[offset] = undo[i / 4 - 1];
    }
    free(undo);
    return 0;
}
