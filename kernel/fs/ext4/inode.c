/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inodes: from the inode table to vfs's struct inode. What later calls need of the disk's inode (extent root, flags,
 * attributes kept inside it) is copied into struct ext4_inode_data, so that the table's block is not held.
 */
#include "kernel/fs/ext4/ext4.h"

#include <string.h>

#include "kernel/base/crc32c.h"
#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"

static long ext4_read_link(struct inode *inode, char *buffer, size_t size_bytes)
{
    const struct ext4_inode_data *data = inode->data;

    /* Short links lie where the extent root would. */
    if (!(data->flags & EXT4_INODE_EXTENTS) && inode->size_bytes < sizeof(data->block)) {
        size_t length = minimum((size_t)inode->size_bytes, size_bytes);

        memcpy(buffer, data->block, length);
        return (long)length;
    }
    if (inode->size_bytes >= ext4_of(inode)->block_bytes)
        return ext4_corrupt(ext4_of(inode), "symbolic link %llu is too long", (unsigned long long)inode->number);

    struct ext4_block block;
    int error = ext4_file_block_get(inode, 0, &block);

    if (error)
        return error;

    size_t length = minimum((size_t)inode->size_bytes, size_bytes);

    memcpy(buffer, block.bytes, length);
    ext4_block_put(&block);
    return (long)length;
}

/* vfs refuses changes of a read-only file system before it comes here, so the changing operations are missing. */
static const struct inode_operations ext4_directory_operations = {
    .lookup = ext4_lookup,
    .read_directory = ext4_read_directory,
    .get_xattr = ext4_get_xattr,
    .list_xattr = ext4_list_xattr,
};

static const struct inode_operations ext4_file_operations = {
    .read_link = ext4_read_link,
    .get_xattr = ext4_get_xattr,
    .list_xattr = ext4_list_xattr,
};

/* Where the inode lies in the table of its group. */
static int inode_block_get(struct ext4 *ext4, uint64_t number, struct ext4_block *block, const uint8_t **raw)
{
    if (number == 0 || number > ext4->inodes_count)
        return ext4_corrupt(ext4, "inode %llu does not exist", (unsigned long long)number);

    uint32_t group = (uint32_t)((number - 1) / ext4->inodes_per_group);
    uint64_t byte = (number - 1) % ext4->inodes_per_group * ext4->inode_bytes;
    struct ext4_group_descriptor descriptor;
    int error = ext4_group_descriptor_read(ext4, group, &descriptor);

    if (error)
        return error;

    uint64_t table = descriptor.inode_table_low | (uint64_t)descriptor.inode_table_high << 32;

    error = ext4_block_get(ext4, table + (byte >> ext4->block_shift), block);
    if (!error)
        *raw = block->bytes + (byte & (ext4->block_bytes - 1));
    return error;
}

static bool inode_checksum_right(const struct ext4 *ext4, uint32_t seed, const uint8_t *raw, size_t extra_bytes)
{
    const struct ext4_inode *disk = (const void *)raw;
    bool has_high = extra_bytes >= 4;
    uint16_t zero = 0;
    uint32_t crc = crc32c(seed, raw, EXT4_INODE_CHECKSUM_LOW_OFFSET);
    size_t at = EXT4_INODE_CHECKSUM_LOW_OFFSET + 2;

    crc = crc32c(crc, &zero, 2);
    if (has_high) {
        crc = crc32c(crc, raw + at, EXT4_INODE_CHECKSUM_HIGH_OFFSET - at);
        crc = crc32c(crc, &zero, 2);
        at = EXT4_INODE_CHECKSUM_HIGH_OFFSET + 2;
    }
    crc = crc32c(crc, raw + at, ext4->inode_bytes - at);
    if (has_high)
        return crc == (disk->checksum_low | (uint32_t)disk->checksum_high << 16);
    return (uint16_t)crc == disk->checksum_low;
}

/* The extra word holds nanoseconds above two bits that extend the signed 32-bit seconds. */
static struct inode_time inode_time(uint32_t seconds, uint32_t extra)
{
    return (struct inode_time){ .seconds = (int32_t)seconds + ((int64_t)(extra & 3) << 32), .nanoseconds = minimum(extra >> 2, 999999999u) };
}

static uint64_t device_number(const struct ext4_inode *disk)
{
    uint32_t old, new;

    memcpy(&old, disk->block, sizeof(old));
    memcpy(&new, disk->block + 4, sizeof(new));
    return old ? old & 0xffff : new; /* for majors and minors up to 255 the encodings agree */
}

static void fill_times(struct inode *inode, const struct ext4_inode *disk, size_t extra_bytes)
{
    bool has_extra = extra_bytes >= offsetof(struct ext4_inode, birth_time) - EXT4_INODE_OLD_BYTES;

    inode->access_time = inode_time(disk->access_time, has_extra ? disk->access_time_extra : 0);
    inode->modify_time = inode_time(disk->modify_time, has_extra ? disk->modify_time_extra : 0);
    inode->change_time = inode_time(disk->change_time, has_extra ? disk->change_time_extra : 0);
    if (extra_bytes >= offsetof(struct ext4_inode, version_high) - EXT4_INODE_OLD_BYTES)
        inode->birth_time = inode_time(disk->birth_time, disk->birth_time_extra);
}

/* The attributes kept in the inode, behind its fields; NULL when out of memory. */
static struct ext4_inode_data *inode_data_create(const struct ext4 *ext4, const struct ext4_inode *disk,
                                                 const uint8_t *raw, size_t extra_bytes, uint32_t seed)
{
    size_t start = EXT4_INODE_OLD_BYTES + extra_bytes;
    uint32_t magic = 0;
    size_t bytes = 0;

    if (start + sizeof(magic) <= ext4->inode_bytes)
        memcpy(&magic, raw + start, sizeof(magic));
    if (magic == EXT4_XATTR_MAGIC)
        bytes = ext4->inode_bytes - start - sizeof(magic);

    struct ext4_inode_data *data = memory_allocate(sizeof(*data) + bytes);

    if (!data)
        return NULL;
    data->flags = disk->flags;
    data->checksum_seed = seed;
    data->xattr_block = disk->xattr_block_low | (uint64_t)disk->xattr_block_high << 32;
    memcpy(data->block, disk->block, sizeof(data->block));
    data->xattr_bytes = (uint16_t)bytes;
    memcpy(data->xattrs, raw + start + sizeof(magic), bytes);
    return data;
}

static int inode_fill(struct ext4 *ext4, struct inode *inode, const uint8_t *raw)
{
    struct ext4_inode disk = { 0 };
    unsigned long long number = inode->number;

    memcpy(&disk, raw, minimum((size_t)ext4->inode_bytes, sizeof(disk)));

    size_t extra_bytes = ext4->inode_bytes > EXT4_INODE_OLD_BYTES ? disk.extra_size : 0;
    uint32_t number32 = (uint32_t)number;
    uint32_t seed = crc32c(crc32c(ext4->checksum_seed, &number32, 4), &disk.generation, 4);

    if (EXT4_INODE_OLD_BYTES + extra_bytes > ext4->inode_bytes || extra_bytes % 4 != 0)
        return ext4_corrupt(ext4, "inode %llu has an impossible size", number);
    if (ext4->has_checksums && !inode_checksum_right(ext4, seed, raw, extra_bytes))
        return ext4_corrupt(ext4, "checksum of inode %llu is wrong", number);
    if (disk.links == 0 || disk.mode == 0)
        return ext4_corrupt(ext4, "inode %llu is named but not in use", number);
    if (disk.flags & (EXT4_INODE_ENCRYPT | EXT4_INODE_EA_INODE | EXT4_INODE_INLINE_DATA))
        return ext4_corrupt(ext4, "inode %llu has flags 0x%x, which are not supported", number, disk.flags);

    uint32_t type = disk.mode & MODE_TYPE;
    uint64_t size_bytes = disk.size_low;

    if (type == MODE_REGULAR || type == MODE_DIRECTORY)
        size_bytes |= (uint64_t)disk.size_high << 32;
    if (size_bytes >> 48)
        return ext4_corrupt(ext4, "inode %llu has an impossible length", number);

    struct ext4_inode_data *data = inode_data_create(ext4, &disk, raw, extra_bytes, seed);

    if (!data)
        return -ENOMEM;
    inode->data = data;
    inode->mode = disk.mode;
    inode->uid = disk.uid_low | (uint32_t)disk.uid_high << 16;
    inode->gid = disk.gid_low | (uint32_t)disk.gid_high << 16;
    inode->links = disk.links;
    inode->size_bytes = size_bytes;
    inode->blocks = disk.blocks_low | (uint64_t)disk.blocks_high << 32;
    fill_times(inode, &disk, extra_bytes);
    inode->operations = type == MODE_DIRECTORY ? &ext4_directory_operations : &ext4_file_operations;
    if (type == MODE_CHARACTER || type == MODE_BLOCK)
        inode->device = device_number(&disk);
    if (type == MODE_REGULAR)
        inode_init_cache(inode, &ext4_page_source);
    return 0;
}

/* The inode of that number, referenced. 0, -EUCLEAN, -EIO, -ENOMEM. May sleep. */
int ext4_inode_read(struct ext4 *ext4, uint64_t number, struct inode **inode)
{
    bool fresh;
    int error = inode_get(&ext4->file_system, number, inode, &fresh);

    if (error || !fresh)
        return error;

    struct ext4_block block;
    const uint8_t *raw = NULL;

    error = inode_block_get(ext4, number, &block, &raw);
    if (!error) {
        error = inode_fill(ext4, *inode, raw);
        ext4_block_put(&block);
    }
    if (error)
        inode_discard(*inode);
    else
        inode_ready(*inode);
    return error;
}

/* Contract: file_system_operations.release_inode. */
void ext4_inode_release(struct inode *inode)
{
    memory_free(inode->data);
    inode->data = NULL;
}
