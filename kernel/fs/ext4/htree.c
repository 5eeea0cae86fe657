/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hash-tree directories: the way from a name's hash to the one leaf block that can hold it.
 *
 * The root block (block 0) and inner nodes hold sorted {hash, block} entries; the first stands for hash 0 and its hash
 * field holds {limit, count}. An odd hash in an entry says that names of the same hash began in the block before.
 */
#include "kernel/fs/ext4/ext4.h"

#include <string.h>

#include "kernel/base/crc32c.h"
#include "kernel/base/error.h"

#define INDEX_ROOT_OFFSET 24u   /* "." and ".." records of 12 bytes */
#define INDEX_NODE_OFFSET 8u    /* one empty record's header */
#define INDEX_LEVELS_LIMIT 2u   /* 3 with large_dir */

struct index_counts { /* in place of the first entry's hash */
    uint16_t limit, count;
} attribute_packed;

struct index_tail {
    uint32_t reserved, checksum;
} attribute_packed;

/* The entries of a node that begin at `offset`, checked. NULL: malformed (said so). */
static const struct ext4_index_entry *node_entries(struct inode *directory, struct ext4_block *block, uint32_t offset,
                                                   unsigned int *count)
{
    struct ext4 *ext4 = ext4_of(directory);
    const struct ext4_inode_data *data = directory->data;
    struct index_counts counts;
    size_t tail_bytes = ext4->has_checksums ? sizeof(struct index_tail) : 0;

    memcpy(&counts, block->bytes + offset, sizeof(counts));
    if (counts.count == 0 || counts.count > counts.limit ||
        offset + counts.limit * sizeof(struct ext4_index_entry) + tail_bytes > ext4->block_bytes) {
        ext4_corrupt(ext4, "hash tree of directory %llu is malformed", (unsigned long long)directory->number);
        return NULL;
    }
    if (ext4->has_checksums && !block->verified) {
        struct index_tail tail;
        uint32_t zero = 0;
        uint32_t crc = crc32c(data->checksum_seed, block->bytes, offset + counts.count * sizeof(struct ext4_index_entry));

        memcpy(&tail, block->bytes + offset + counts.limit * sizeof(struct ext4_index_entry), sizeof(tail));
        crc = crc32c(crc32c(crc, &tail.reserved, 4), &zero, 4);
        if (crc != tail.checksum) {
            ext4_corrupt(ext4, "checksum of hash tree block %llu is wrong", (unsigned long long)block->number);
            return NULL;
        }
        ext4_block_set_verified(block, ext4);
    }
    *count = counts.count;
    return (const void *)(block->bytes + offset);
}

/* The last entry whose hash is at or below `hash`; the first counts as 0. */
static unsigned int entry_search(const struct ext4_index_entry *entries, unsigned int count, uint32_t hash)
{
    unsigned int low = 1, high = count;

    while (low < high) {
        unsigned int middle = (low + high) / 2;

        if (entries[middle].hash <= hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* Reads the root and hashes the name as it asks. -EAGAIN for what we do not know. */
static int root_open(struct inode *directory, const char *name, size_t length, struct ext4_block *block,
                     uint32_t *hash, unsigned int *levels)
{
    struct ext4 *ext4 = ext4_of(directory);
    struct ext4_index_root_info info;
    int error = ext4_file_block_get(directory, 0, block);

    if (error)
        return error;
    memcpy(&info, block->bytes + INDEX_ROOT_OFFSET, sizeof(info));

    unsigned int limit = INDEX_LEVELS_LIMIT + (ext4->feature_incompat & EXT4_INCOMPAT_LARGEDIR ? 1 : 0);
    bool unsigned_characters = ext4->unsigned_hash;
    unsigned int version = info.hash_version;

    if (version >= 3 && version <= 5) { /* the same three, with unsigned characters */
        version -= 3;
        unsigned_characters = true;
    }
    if (info.info_bytes != sizeof(info) || info.indirect_levels > limit ||
        !ext4_hash_name(version, unsigned_characters, ext4->hash_seed, name, length, hash)) {
        ext4_block_put(block);
        return -EAGAIN;
    }
    *levels = info.indirect_levels;
    return 0;
}

int ext4_htree_search(struct inode *directory, const char *name, size_t length, uint64_t *number)
{
    struct ext4_block block;
    uint32_t offset = INDEX_ROOT_OFFSET + sizeof(struct ext4_index_root_info);
    uint32_t hash;
    unsigned int levels;
    bool spreads = false; /* names of this hash may go on in the next block */
    int error = root_open(directory, name, length, &block, &hash, &levels);

    if (error)
        return error;
    for (;;) {
        unsigned int count;
        const struct ext4_index_entry *entries = node_entries(directory, &block, offset, &count);

        if (!entries) {
            ext4_block_put(&block);
            return -EUCLEAN;
        }

        unsigned int at = entry_search(entries, count, hash);
        uint64_t next = entries[at].block & 0x0fffffff;

        spreads |= at + 1 < count && entries[at + 1].hash == (hash | 1);
        ext4_block_put(&block);
        if (next == 0)
            return ext4_corrupt(ext4_of(directory), "hash tree of directory %llu has a loop",
                                (unsigned long long)directory->number);
        error = ext4_file_block_get(directory, next, &block);
        if (error)
            return error;
        if (levels-- == 0)
            break;
        offset = INDEX_NODE_OFFSET;
    }
    error = ext4_directory_block_check(directory, &block);
    if (!error)
        error = ext4_directory_block_search(directory, &block, name, length, number);
    ext4_block_put(&block);
    return error == -ENOENT && spreads ? -EAGAIN : error;
}
