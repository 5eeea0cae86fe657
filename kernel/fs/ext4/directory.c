/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories: blocks of variable-length records, searched through their hash tree where they have one, else in turn.
 * Reading goes through the blocks in order; inner nodes of a hash tree look like blocks of one empty record.
 */
#include "kernel/fs/ext4/ext4.h"

#include <string.h>

#include "kernel/base/crc32c.h"
#include "kernel/base/error.h"

#define RECORD_HEADER_BYTES 8u

/* Fewer blocks than this are scanned: the tree would cost as many reads. */
#define DIRECTORY_SCAN_BLOCKS 2

const struct ext4_directory_entry *ext4_directory_record(const uint8_t *bytes, uint32_t block_bytes, uint32_t offset)
{
    if (offset + RECORD_HEADER_BYTES > block_bytes)
        return NULL;

    const struct ext4_directory_entry *entry = (const void *)(bytes + offset);

    if (entry->record_bytes < RECORD_HEADER_BYTES || entry->record_bytes % 4 != 0 ||
        entry->record_bytes > block_bytes - offset || entry->name_bytes + RECORD_HEADER_BYTES > entry->record_bytes)
        return NULL;
    return entry;
}

/* True where the block is an inner node of the hash tree: one empty record over all of it. */
static bool is_index_node(const struct ext4 *ext4, const struct ext4_block *block)
{
    const struct ext4_directory_entry *entry = (const void *)block->bytes;

    return entry->inode == 0 && entry->record_bytes == ext4->block_bytes;
}

/* The tree's root keeps "." and ".." in front, the second over the rest of the block. */
static bool is_index_root(const struct ext4 *ext4, const struct ext4_block *block)
{
    const struct ext4_directory_entry *dot = (const void *)block->bytes;
    const struct ext4_directory_entry *dotdot = (const void *)(block->bytes + 12);

    return dot->record_bytes == 12 && dotdot->record_bytes == ext4->block_bytes - 12;
}

int ext4_directory_block_check(struct inode *directory, struct ext4_block *block)
{
    struct ext4 *ext4 = ext4_of(directory);
    const struct ext4_inode_data *data = directory->data;

    if (!ext4->has_checksums || block->verified)
        return 0;

    uint32_t end = ext4->block_bytes - EXT4_DIRECTORY_TAIL_BYTES;
    const struct ext4_directory_entry *tail = (const void *)(block->bytes + end);
    uint32_t stored;

    memcpy(&stored, tail->name, sizeof(stored));
    if (tail->inode != 0 || tail->record_bytes != EXT4_DIRECTORY_TAIL_BYTES || tail->name_bytes != 0 ||
        tail->file_type != EXT4_DIRECTORY_TAIL_TYPE || crc32c(data->checksum_seed, block->bytes, end) != stored)
        return ext4_corrupt(ext4, "checksum of directory block %llu is wrong", (unsigned long long)block->number);
    ext4_block_set_verified(block, ext4);
    return 0;
}

int ext4_directory_block_search(struct inode *directory, struct ext4_block *block, const char *name, size_t length,
                                uint64_t *number)
{
    struct ext4 *ext4 = ext4_of(directory);

    for (uint32_t offset = 0; offset < ext4->block_bytes;) {
        const struct ext4_directory_entry *entry = ext4_directory_record(block->bytes, ext4->block_bytes, offset);

        if (!entry)
            return ext4_corrupt(ext4, "directory %llu has a malformed record", (unsigned long long)directory->number);
        if (entry->inode != 0 && entry->name_bytes == length && memcmp(entry->name, name, length) == 0) {
            *number = entry->inode;
            return 0;
        }
        offset += entry->record_bytes;
    }
    return -ENOENT;
}

/* Reads block `index` of the directory and checks it where it is a leaf. *leaf false: nothing to read in it but "." and "..". */
static int directory_block_get(struct inode *directory, uint64_t index, struct ext4_block *block, bool *leaf)
{
    struct ext4 *ext4 = ext4_of(directory);
    const struct ext4_inode_data *data = directory->data;
    int error = ext4_file_block_get(directory, index, block);

    if (error)
        return error;
    *leaf = !(data->flags & EXT4_INODE_INDEX) ||
            !(is_index_node(ext4, block) || (index == 0 && is_index_root(ext4, block)));
    if (!*leaf)
        return 0;
    error = ext4_directory_block_check(directory, block);
    if (error)
        ext4_block_put(block);
    return error;
}

static uint64_t directory_blocks(struct inode *directory)
{
    return directory->size_bytes >> ext4_of(directory)->block_shift;
}

static int directory_scan(struct inode *directory, const char *name, size_t length, uint64_t *number)
{
    for (uint64_t index = 0; index < directory_blocks(directory); index++) {
        struct ext4_block block;
        bool leaf;
        int error = directory_block_get(directory, index, &block, &leaf);

        if (error)
            return error;
        error = leaf ? ext4_directory_block_search(directory, &block, name, length, number) : -ENOENT;
        ext4_block_put(&block);
        if (error != -ENOENT)
            return error;
    }
    return -ENOENT;
}

/* Contract: inode_operations.lookup. */
int ext4_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    const struct ext4_inode_data *data = directory->data;
    uint64_t number;
    int error = -EAGAIN;

    if (length > EXT4_NAME_LIMIT)
        return -ENAMETOOLONG;
    if ((data->flags & EXT4_INODE_INDEX) && directory_blocks(directory) > DIRECTORY_SCAN_BLOCKS)
        error = ext4_htree_search(directory, name, length, &number);
    if (error == -EAGAIN)
        error = directory_scan(directory, name, length, &number);
    if (error)
        return error;
    return ext4_inode_read(ext4_of(directory), number, inode);
}

static unsigned int entry_mode_type(uint8_t file_type)
{
    static const uint16_t types[] = { 0, MODE_REGULAR, MODE_DIRECTORY, MODE_CHARACTER,
                                      MODE_BLOCK, MODE_FIFO, MODE_SOCKET, MODE_SYMLINK };

    return file_type < array_count(types) ? types[file_type] : 0;
}

static bool is_dot_or_dotdot(const struct ext4_directory_entry *entry)
{
    return entry->name[0] == '.' && (entry->name_bytes == 1 || (entry->name_bytes == 2 && entry->name[1] == '.'));
}

/* Emits the records of a leaf at or after `offset` (in bytes of the directory). 1: the reader is full. */
static int block_emit(struct inode *directory, const struct ext4_block *block, uint64_t block_offset, uint64_t offset,
                      directory_emit_t emit, void *context)
{
    struct ext4 *ext4 = ext4_of(directory);

    for (uint32_t at = 0; at < ext4->block_bytes;) {
        const struct ext4_directory_entry *entry = ext4_directory_record(block->bytes, ext4->block_bytes, at);

        if (!entry)
            return ext4_corrupt(ext4, "directory %llu has a malformed record", (unsigned long long)directory->number);

        uint64_t next = block_offset + at + entry->record_bytes;

        if (block_offset + at >= offset && entry->inode != 0 && entry->name_bytes != 0 && !is_dot_or_dotdot(entry)) {
            if (memchr(entry->name, '/', entry->name_bytes) || memchr(entry->name, 0, entry->name_bytes))
                return ext4_corrupt(ext4, "directory %llu has an impossible name", (unsigned long long)directory->number);
            if (!emit(context, entry->name, entry->name_bytes, entry->inode, entry_mode_type(entry->file_type), next))
                return 1;
        }
        at += entry->record_bytes;
    }
    return 0;
}

/* Contract: inode_operations.read_directory; an offset is the byte position of a record. */
int ext4_read_directory(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    unsigned int shift = ext4_of(directory)->block_shift;

    for (uint64_t index = offset >> shift; index < directory_blocks(directory); index++) {
        struct ext4_block block;
        bool leaf;
        int error = directory_block_get(directory, index, &block, &leaf);

        if (error)
            return error;
        if (leaf)
            error = block_emit(directory, &block, index << shift, offset, emit, context);
        ext4_block_put(&block);
        if (error)
            return error < 0 ? error : 0;
    }
    return 0;
}
