/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext4: the mounted file system and what its files share. mount.c opens it, block.c reads and checks metadata blocks
 * through a page cache over the disk, inode.c fills vfs inodes, extent.c maps file blocks to disk blocks, data.c reads
 * file pages, directory.c and hash.c look names up, xattr.c reads extended attributes.
 *
 * Everything read from the disk is checked before it is believed: numbers against the geometry, structures against
 * their block, checksums where the file system has them. What fails is one line (ext4_corrupt) and -EUCLEAN.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/fs/ext4/format.h"
#include "kernel/vfs/inode.h"
#include "kernel/vm/page_cache.h"

struct block_device;

#define EXT4_NAME_LIMIT 255

/* Locks: all fixed after the mount, but for the cache, which has its own. */
struct ext4 {
    struct file_system file_system;
    struct block_device *device;
    struct page_cache metadata;   /* the whole disk by 4 KiB pages */
    uint32_t block_bytes;
    uint32_t block_shift;
    uint64_t block_count;
    uint32_t inodes_count, inodes_per_group, blocks_per_group, group_count;
    uint32_t first_data_block;
    uint32_t inode_bytes, descriptor_bytes;
    uint32_t feature_incompat;
    uint32_t first_meta_block_group;
    bool has_checksums;
    uint32_t checksum_seed;
    uint32_t hash_seed[4];
    bool unsigned_hash;
    uint64_t free_blocks, free_inodes;
    uint8_t uuid[16];
};

/* vfs inode's data. Fixed once the inode is ready. */
struct ext4_inode_data {
    uint32_t flags;
    uint32_t checksum_seed;       /* of this inode's metadata blocks */
    uint64_t xattr_block;
    uint8_t block[60];
    uint16_t xattr_bytes;         /* in-inode attributes, copied behind this struct */
    uint8_t xattrs[];
};

extern const struct file_system_type ext4_type;

static inline struct ext4 *ext4_of(const struct inode *inode)
{
    return inode->file_system->data;
}

/* One line about what is wrong with the disk; always -EUCLEAN. */
int ext4_corrupt(const struct ext4 *ext4, const char *format, ...) attribute_printf(2, 3);

/* ---- block.c ---- */

/* A metadata block in the cache, held until put. */
struct ext4_block {
    struct page *page;
    const uint8_t *bytes;
    uint64_t number;
    bool verified;                /* its checksum was found right before, since it was read */
};

int ext4_block_get(struct ext4 *ext4, uint64_t number, struct ext4_block *block);
void ext4_block_put(struct ext4_block *block);
/* Remembers that the block's checksum is right. */
void ext4_block_set_verified(struct ext4_block *block, const struct ext4 *ext4);
/* A page of the disk: 0, -EIO, -ENOMEM, -ENXIO. */
int ext4_metadata_page_get(struct ext4 *ext4, uint64_t index, struct page **page);
void ext4_metadata_open(struct ext4 *ext4);
void ext4_metadata_close(struct ext4 *ext4);
/* The descriptor of a group, checked. */
int ext4_group_descriptor_read(struct ext4 *ext4, uint32_t group, struct ext4_group_descriptor *descriptor);

/* ---- inode.c ---- */

int ext4_inode_read(struct ext4 *ext4, uint64_t number, struct inode **inode);
void ext4_inode_release(struct inode *inode);

/* ---- extent.c ---- */

/* A run of file blocks: on the disk from `start`, or a hole (start 0), which reads as zeroes. */
struct ext4_run {
    uint64_t start;
    uint64_t count;               /* at least 1, at most what was asked */
};

int ext4_map(struct inode *inode, uint64_t file_block, uint64_t count, struct ext4_run *run);

/* ---- data.c ---- */

extern const struct page_source ext4_page_source;
/* Reads one metadata block of the file (directories, long links). -EUCLEAN for a hole. */
int ext4_file_block_get(struct inode *inode, uint64_t file_block, struct ext4_block *block);

/* ---- hash.c ---- */

enum { EXT4_HASH_LEGACY = 0, EXT4_HASH_HALF_MD4 = 1, EXT4_HASH_TEA = 2 };

/* The major hash of a name (its lowest bit 0). False: a version we do not know. */
bool ext4_hash_name(unsigned int version, bool unsigned_characters, const uint32_t seed[4], const char *name,
                    size_t length, uint32_t *hash);

/* ---- directory.c, htree.c ---- */

int ext4_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode);
int ext4_read_directory(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context);
/* The record at `offset` of a directory block of block_bytes: NULL where it is malformed. Never runs past the block. */
const struct ext4_directory_entry *ext4_directory_record(const uint8_t *bytes, uint32_t block_bytes, uint32_t offset);
/* Checks a leaf block's checksum record. */
int ext4_directory_block_check(struct inode *directory, struct ext4_block *block);
/* Searches one leaf block: 0 and the number, -ENOENT, -EUCLEAN. */
int ext4_directory_block_search(struct inode *directory, struct ext4_block *block, const char *name, size_t length,
                                uint64_t *number);
/*
 * Looks the name up through the hash tree: 0 and the number, -ENOENT, -EUCLEAN; -EAGAIN: only a scan of the whole directory can tell
 * (a hash we do not know, or names of one hash spread over blocks).
 */
int ext4_htree_search(struct inode *directory, const char *name, size_t length, uint64_t *number);

/* ---- xattr.c ---- */

long ext4_get_xattr(struct inode *inode, const char *name, void *value, size_t size_bytes);
long ext4_list_xattr(struct inode *inode, char *list, size_t size_bytes);
