/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From file blocks to disk blocks: by the extent tree, or by the block map of ext2 and ext3 where an inode still has
 * one. The tree's nodes are sorted arrays; a descent keeps the upper bound of what it has seen, so that a hole is
 * answered with its whole length.
 */
#include "kernel/fs/ext4/ext4.h"

#include <string.h>

#include "kernel/base/crc32c.h"
#include "kernel/base/error.h"

#define BLOCK_MAP_DIRECT 12
#define BLOCK_MAP_LEVELS 3

static int node_check(struct inode *inode, const struct ext4_extent_header *header, size_t node_bytes,
                      unsigned int depth)
{
    size_t room = (node_bytes - sizeof(*header)) / sizeof(struct ext4_extent);

    if (header->magic == EXT4_EXTENT_MAGIC && header->depth == depth && header->limit <= room &&
        header->entries <= header->limit && (depth == 0 || header->entries > 0))
        return 0;
    return ext4_corrupt(ext4_of(inode), "extent tree of inode %llu is malformed", (unsigned long long)inode->number);
}

static int node_checksum_check(struct inode *inode, struct ext4_block *block)
{
    struct ext4 *ext4 = ext4_of(inode);
    const struct ext4_extent_header *header = (const void *)block->bytes;
    const struct ext4_inode_data *data = inode->data;

    if (!ext4->has_checksums || block->verified)
        return 0;

    size_t tail = sizeof(*header) + header->limit * sizeof(struct ext4_extent);
    uint32_t stored;

    if (tail + sizeof(stored) > ext4->block_bytes)
        return ext4_corrupt(ext4, "extent block %llu has no room for its checksum", (unsigned long long)block->number);
    memcpy(&stored, block->bytes + tail, sizeof(stored));
    if (crc32c(data->checksum_seed, block->bytes, tail) != stored)
        return ext4_corrupt(ext4, "checksum of extent block %llu is wrong", (unsigned long long)block->number);
    ext4_block_set_verified(block, ext4);
    return 0;
}

/* Index of the last entry whose first block is at or below file_block, -1: none. Entries and index entries both begin with it. */
static int node_search(const struct ext4_extent_header *header, uint64_t file_block)
{
    const struct ext4_extent *entries = (const void *)(header + 1);
    int low = 0, high = header->entries;

    while (low < high) {
        int middle = (low + high) / 2;

        if (entries[middle].block <= file_block)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* A leaf's answer; `bound` is the first file block that other leaves may hold. */
static int leaf_answer(struct inode *inode, const struct ext4_extent_header *header, uint64_t file_block,
                       uint64_t bound, struct ext4_run *run)
{
    struct ext4 *ext4 = ext4_of(inode);
    const struct ext4_extent *entries = (const void *)(header + 1);
    int at = node_search(header, file_block);

    if (at + 1 < header->entries)
        bound = minimum(bound, (uint64_t)entries[at + 1].block);
    if (at >= 0) {
        const struct ext4_extent *extent = &entries[at];
        bool unwritten = extent->length > EXT4_EXTENT_UNWRITTEN;
        uint64_t length = unwritten ? extent->length - EXT4_EXTENT_UNWRITTEN : extent->length;
        uint64_t start = extent->start_low | (uint64_t)extent->start_high << 32;
        uint64_t within = file_block - extent->block;

        if (length == 0 || start <= ext4->first_data_block || start + length > ext4->block_count)
            return ext4_corrupt(ext4, "extent of inode %llu lies outside the disk", (unsigned long long)inode->number);
        if (within < length) {
            run->start = unwritten ? 0 : start + within;
            run->count = length - within;
            return 0;
        }
    }
    run->start = 0;
    run->count = bound > file_block ? bound - file_block : 1;
    return 0;
}

static int extent_map(struct inode *inode, uint64_t file_block, struct ext4_run *run)
{
    struct ext4 *ext4 = ext4_of(inode);
    const struct ext4_inode_data *data = inode->data;
    const struct ext4_extent_header *header = (const void *)data->block;
    struct ext4_block block = { .page = NULL };
    unsigned int depth = header->depth;
    uint64_t bound = UINT64_MAX;
    int error = depth > EXT4_EXTENT_DEPTH_LIMIT
                    ? ext4_corrupt(ext4, "extent tree of inode %llu is too deep", (unsigned long long)inode->number)
                    : node_check(inode, header, sizeof(data->block), depth);

    while (!error && depth > 0) {
        const struct ext4_extent_index *entries = (const void *)(header + 1);
        int at = node_search(header, file_block);

        if (at + 1 < header->entries)
            bound = minimum(bound, (uint64_t)entries[at + 1].block);
        if (at < 0) {
            *run = (struct ext4_run){ .start = 0, .count = bound > file_block ? bound - file_block : 1 };
            ext4_block_put(&block);
            return 0;
        }

        uint64_t child = entries[at].leaf_low | (uint64_t)entries[at].leaf_high << 32;

        ext4_block_put(&block);
        error = ext4_block_get(ext4, child, &block);
        if (error)
            break;
        header = (const void *)block.bytes;
        depth--;
        error = node_check(inode, header, ext4->block_bytes, depth);
        if (!error)
            error = node_checksum_check(inode, &block);
    }
    if (!error)
        error = leaf_answer(inode, header, file_block, bound, run);
    ext4_block_put(&block);
    return error;
}

/* One table of the block map: the entry and how many after it go on consecutively (holes count together). */
static int table_answer(struct inode *inode, const uint32_t *table, uint64_t index, uint64_t limit,
                        struct ext4_run *run)
{
    struct ext4 *ext4 = ext4_of(inode);

    run->start = table[index];
    run->count = 1;
    while (index + run->count < limit && table[index + run->count] == (run->start ? run->start + run->count : 0))
        run->count++;
    if (run->start && (run->start <= ext4->first_data_block || run->start + run->count > ext4->block_count))
        return ext4_corrupt(ext4, "block map of inode %llu points outside the disk", (unsigned long long)inode->number);
    return 0;
}

static int block_map(struct inode *inode, uint64_t file_block, struct ext4_run *run)
{
    struct ext4 *ext4 = ext4_of(inode);
    const struct ext4_inode_data *data = inode->data;
    uint32_t root[15];
    unsigned int shift = ext4->block_shift - 2; /* 4-byte entries */
    uint64_t per_table = 1ull << shift;

    memcpy(root, data->block, sizeof(root));
    if (file_block < BLOCK_MAP_DIRECT)
        return table_answer(inode, root, file_block, BLOCK_MAP_DIRECT, run);

    uint64_t index = file_block - BLOCK_MAP_DIRECT;
    unsigned int level = 1;

    while (level <= BLOCK_MAP_LEVELS && index >= 1ull << (shift * level)) {
        index -= 1ull << (shift * level);
        level++;
    }
    if (level > BLOCK_MAP_LEVELS)
        return -EFBIG;

    uint64_t table = root[BLOCK_MAP_DIRECT + level - 1];

    for (; level > 0 && table != 0; level--) {
        struct ext4_block block;
        int error = ext4_block_get(ext4, table, &block);

        if (error)
            return error;

        const uint32_t *entries = (const void *)block.bytes;
        uint64_t at = (index >> (shift * (level - 1))) & (per_table - 1);

        if (level == 1) {
            error = table_answer(inode, entries, at, per_table, run);
            ext4_block_put(&block);
            return error;
        }
        table = entries[at];
        ext4_block_put(&block);
    }
    /* A missing table: a hole at least to its end. */
    uint64_t span = 1ull << (shift * level);

    *run = (struct ext4_run){ .start = 0, .count = span - (index & (span - 1)) };
    return 0;
}

/* Maps at most `count` blocks from file_block on. 0, -EUCLEAN, -EIO, -ENOMEM, -EFBIG. May sleep. */
int ext4_map(struct inode *inode, uint64_t file_block, uint64_t count, struct ext4_run *run)
{
    const struct ext4_inode_data *data = inode->data;
    int error = data->flags & EXT4_INODE_EXTENTS ? extent_map(inode, file_block, run)
                                                 : block_map(inode, file_block, run);

    if (!error)
        run->count = minimum(run->count, count);
    return error;
}
