/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting: the super block is read, checked against its checksum and against the disk, and turned into struct ext4.
 * What we cannot serve is refused by name. The file system is mounted read-only; one whose journal holds changes that
 * must be replayed first is refused.
 */
#include "kernel/fs/ext4/ext4.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/crc32c.h"
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/device/block_device.h"
#include "kernel/memory/object_cache.h"

#define EXT4_INCOMPAT_SUPPORTED                                                                                        \
    (EXT4_INCOMPAT_FILETYPE | EXT4_INCOMPAT_META_BG | EXT4_INCOMPAT_EXTENTS | EXT4_INCOMPAT_64BIT | EXT4_INCOMPAT_MMP | \
     EXT4_INCOMPAT_FLEX_BG | EXT4_INCOMPAT_CSUM_SEED | EXT4_INCOMPAT_LARGEDIR)

int ext4_corrupt(const struct ext4 *ext4, const char *format, ...)
{
    char text[160];
    va_list list;

    va_start(list, format);
    format_string_list(text, sizeof(text), format, list);
    va_end(list);
    log_error("ext4 on %s: %s; run e2fsck on it", ext4->device->name, text);
    return -EUCLEAN;
}

static int refuse(const struct ext4 *ext4, int error, const char *why)
{
    log_error("ext4 on %s: not mounted: %s", ext4->device->name, why);
    return error;
}

static int check_features(const struct ext4 *ext4, const struct ext4_super_block *super)
{
    uint32_t unknown = super->feature_incompat & ~(EXT4_INCOMPAT_SUPPORTED | EXT4_INCOMPAT_RECOVER);

    if (unknown) {
        log_error("ext4 on %s: not mounted: features 0x%x are not supported (make it with mke2fs's defaults)",
                  ext4->device->name, unknown);
        return -EINVAL;
    }
    if (super->feature_incompat & EXT4_INCOMPAT_RECOVER)
        return refuse(ext4, -EROFS, "needs_recovery: its journal holds changes not yet applied; run e2fsck on it first");
    return 0;
}

/* Fills ext4's geometry from the super block; every later bound depends on it. */
static int take_geometry(struct ext4 *ext4, const struct ext4_super_block *super)
{
    bool is_64bit = super->feature_incompat & EXT4_INCOMPAT_64BIT;

    if (super->log_block_size > 2)
        return refuse(ext4, -EINVAL, "its blocks are larger than 4096 bytes");
    ext4->block_shift = 10 + super->log_block_size;
    ext4->block_bytes = 1u << ext4->block_shift;
    ext4->block_count = super->blocks_count_low | (is_64bit ? (uint64_t)super->blocks_count_high << 32 : 0);
    ext4->first_data_block = super->first_data_block;
    ext4->blocks_per_group = super->blocks_per_group;
    ext4->inodes_per_group = super->inodes_per_group;
    ext4->inodes_count = super->inodes_count;
    ext4->inode_bytes = super->revision == 0 ? EXT4_INODE_OLD_BYTES : super->inode_size;
    ext4->descriptor_bytes = is_64bit ? super->descriptor_size : 32;
    ext4->feature_incompat = super->feature_incompat;
    ext4->first_meta_block_group = super->first_meta_block_group;

    if (ext4->block_count > (ext4->device->sector_count * BLOCK_SECTOR_BYTES) >> ext4->block_shift)
        return refuse(ext4, -EINVAL, "it is larger than its disk");
    if (ext4->first_data_block != (ext4->block_bytes == 1024 ? 1u : 0u) || ext4->block_count <= ext4->first_data_block)
        return refuse(ext4, -EUCLEAN, "its first data block is impossible");
    if (ext4->blocks_per_group == 0 || ext4->blocks_per_group > 65528 || ext4->inodes_per_group == 0 ||
        ext4->inodes_per_group > ext4->block_bytes * 8)
        return refuse(ext4, -EUCLEAN, "its group sizes are impossible");
    if (ext4->inode_bytes < EXT4_INODE_OLD_BYTES || ext4->inode_bytes > ext4->block_bytes ||
        !bits_is_power_of_two(ext4->inode_bytes))
        return refuse(ext4, -EUCLEAN, "its inode size is impossible");
    if (ext4->descriptor_bytes < 32 || ext4->descriptor_bytes > 1024 || !bits_is_power_of_two(ext4->descriptor_bytes))
        return refuse(ext4, -EUCLEAN, "its descriptor size is impossible");

    uint64_t groups = (ext4->block_count - ext4->first_data_block + ext4->blocks_per_group - 1) / ext4->blocks_per_group;

    if (groups > UINT32_MAX || ext4->inodes_count > groups * ext4->inodes_per_group)
        return refuse(ext4, -EUCLEAN, "its group count is impossible");
    ext4->group_count = (uint32_t)groups;
    return 0;
}

static int take_super_block(struct ext4 *ext4, const struct ext4_super_block *super)
{
    if (super->magic != EXT4_MAGIC)
        return refuse(ext4, -EINVAL, "there is no ext4 super block on it (wrong magic number)");

    int error = check_features(ext4, super);

    if (!error)
        error = take_geometry(ext4, super);
    if (error)
        return error;

    ext4->has_checksums = super->feature_ro_compat & EXT4_RO_COMPAT_METADATA_CSUM;
    if (ext4->has_checksums && crc32c(~0u, super, offsetof(struct ext4_super_block, checksum)) != super->checksum)
        return refuse(ext4, -EUCLEAN, "the checksum of its super block is wrong");
    ext4->checksum_seed = super->feature_incompat & EXT4_INCOMPAT_CSUM_SEED
                              ? super->checksum_seed
                              : crc32c(~0u, super->uuid, sizeof(super->uuid));
    memcpy(ext4->hash_seed, super->hash_seed, sizeof(ext4->hash_seed));
    memcpy(ext4->uuid, super->uuid, sizeof(ext4->uuid));
    ext4->unsigned_hash = super->flags & EXT4_FLAGS_UNSIGNED_HASH;
    ext4->free_blocks = super->free_blocks_count_low |
                        (ext4->feature_incompat & EXT4_INCOMPAT_64BIT ? (uint64_t)super->free_blocks_count_high << 32 : 0);
    ext4->free_inodes = super->free_inodes_count;
    if (super->state & EXT4_STATE_ERRORS)
        log_warning("ext4 on %s: marked as having errors; run e2fsck on it", ext4->device->name);
    return 0;
}

static int ext4_statistics(struct file_system *file_system, struct file_system_statistics *statistics)
{
    const struct ext4 *ext4 = file_system->data;

    memset(statistics, 0, sizeof(*statistics));
    statistics->type = EXT4_MAGIC;
    statistics->block_size = ext4->block_bytes;
    statistics->blocks = ext4->block_count;
    statistics->blocks_free = statistics->blocks_available = ext4->free_blocks;
    statistics->files = ext4->inodes_count;
    statistics->files_free = ext4->free_inodes;
    statistics->name_length = EXT4_NAME_LIMIT;
    memcpy(&statistics->id, ext4->uuid, sizeof(statistics->id));
    return 0;
}

static int ext4_synchronize(struct file_system *file_system)
{
    return block_device_flush(((struct ext4 *)file_system->data)->device);
}

static void ext4_unmount(struct file_system *file_system)
{
    struct ext4 *ext4 = file_system->data;

    ext4_metadata_close(ext4);
    file_system_destroy(file_system);
    block_device_release(ext4->device);
    memory_free(ext4);
}

static const struct file_system_operations ext4_operations = {
    .release_inode = ext4_inode_release,
    .statistics = ext4_statistics,
    .synchronize = ext4_synchronize,
    .unmount = ext4_unmount,
};

/* The first page of the disk has it, with any size of blocks; what is read with it has the first group descriptors. */
static int read_super_block(struct ext4 *ext4)
{
    struct page *page;

    _Static_assert(EXT4_SUPER_OFFSET + sizeof(struct ext4_super_block) <= PAGE_SIZE, "in the first page");
    int error = ext4->device->sector_count * BLOCK_SECTOR_BYTES < PAGE_SIZE ? -EIO : ext4_metadata_page_get(ext4, 0, &page);
    if (error) {
        log_error("ext4 on %s: not mounted: its super block cannot be read (error %d)", ext4->device->name, -error);
        return error;
    }
    error = take_super_block(ext4, (const void *)((const char *)page_address(page) + EXT4_SUPER_OFFSET));
    page_release(page);
    return error;
}

/* Everything past the device: on failure nothing is left open but the device. */
static int mount_device(struct ext4 *ext4)
{
    ext4_metadata_open(ext4);

    int error = read_super_block(ext4);

    if (!error)
        error = file_system_init(&ext4->file_system, "ext4", &ext4_operations, ext4);
    if (error) {
        ext4_metadata_close(ext4);
        return error;
    }
    ext4->file_system.device = ext4->device->number;
    ext4->file_system.read_only = true;
    error = ext4_inode_read(ext4, EXT4_ROOT_INODE, &ext4->file_system.root);
    if (!error && (ext4->file_system.root->mode & MODE_TYPE) != MODE_DIRECTORY) {
        inode_release(ext4->file_system.root);
        error = refuse(ext4, -EUCLEAN, "its root is not a directory");
    }
    if (error) {
        ext4_metadata_close(ext4);
        file_system_destroy(&ext4->file_system);
    }
    return error;
}

/* Contract: struct file_system_type. `source` is "xvda" or "/dev/xvda"; there are no options. */
static int ext4_mount(const char *source, unsigned long flags, const char *options, struct file_system **file_system)
{
    const char *name = strncmp(source, "/dev/", 5) == 0 ? source + 5 : source;
    struct block_device *device = block_device_find(name);

    if (!device) {
        log_error("ext4: no disk %s", name);
        return -ENXIO;
    }

    struct ext4 *ext4 = memory_allocate_zeroed(sizeof(*ext4));

    if (!ext4) {
        block_device_release(device);
        return -ENOMEM;
    }
    ext4->device = device;

    int error = mount_device(ext4);

    if (error) {
        block_device_release(device);
        memory_free(ext4);
        return error;
    }
    *file_system = &ext4->file_system;
    return 0;
}

const struct file_system_type ext4_type = { .name = "ext4", .needs_device = true, .mount = ext4_mount };
