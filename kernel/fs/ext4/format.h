/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext4 on the disk. All numbers are little-endian, as is x86-64. Source: Linux's documentation of the format
 * (Documentation/filesystems/ext4) and images made by mke2fs.
 */
#pragma once

#include "kernel/base/compiler.h"

#define EXT4_SUPER_OFFSET 1024
#define EXT4_MAGIC 0xef53
#define EXT4_ROOT_INODE 2

/* s_feature_compat */
#define EXT4_COMPAT_HAS_JOURNAL 0x0004u
#define EXT4_COMPAT_DIR_INDEX 0x0020u
/* s_feature_incompat */
#define EXT4_INCOMPAT_FILETYPE 0x0002u
#define EXT4_INCOMPAT_RECOVER 0x0004u
#define EXT4_INCOMPAT_META_BG 0x0010u
#define EXT4_INCOMPAT_EXTENTS 0x0040u
#define EXT4_INCOMPAT_64BIT 0x0080u
#define EXT4_INCOMPAT_MMP 0x0100u
#define EXT4_INCOMPAT_FLEX_BG 0x0200u
#define EXT4_INCOMPAT_EA_INODE 0x0400u
#define EXT4_INCOMPAT_CSUM_SEED 0x2000u
#define EXT4_INCOMPAT_LARGEDIR 0x4000u
/* s_feature_ro_compat */
#define EXT4_RO_COMPAT_METADATA_CSUM 0x0400u

#define EXT4_STATE_CLEAN 1u
#define EXT4_STATE_ERRORS 2u

#define EXT4_FLAGS_UNSIGNED_HASH 2u

struct ext4_super_block {
    uint32_t inodes_count, blocks_count_low, reserved_blocks_count_low, free_blocks_count_low;
    uint32_t free_inodes_count, first_data_block, log_block_size, log_cluster_size;
    uint32_t blocks_per_group, clusters_per_group, inodes_per_group, mount_time;
    uint32_t write_time;
    uint16_t mount_count, mount_count_limit, magic, state, errors, minor_revision;
    uint32_t last_check, check_interval, creator_os, revision;
    uint16_t default_uid, default_gid;
    uint32_t first_inode;
    uint16_t inode_size, block_group;
    uint32_t feature_compat, feature_incompat, feature_ro_compat;
    uint8_t uuid[16];
    char volume_name[16], last_mounted[64];
    uint32_t algorithm_bitmap;
    uint8_t preallocate_blocks, preallocate_directory_blocks;
    uint16_t reserved_gdt_blocks;
    uint8_t journal_uuid[16];
    uint32_t journal_inode, journal_device, last_orphan;
    uint32_t hash_seed[4];
    uint8_t default_hash_version, journal_backup_type;
    uint16_t descriptor_size;
    uint32_t default_mount_options, first_meta_block_group, make_time;
    uint32_t journal_blocks[17];
    uint32_t blocks_count_high, reserved_blocks_count_high, free_blocks_count_high;
    uint16_t minimum_extra_inode_size, wanted_extra_inode_size;
    uint32_t flags;
    uint8_t unused[268];
    uint32_t checksum_seed;      /* 0x270 */
    uint8_t unused_tail[392];
    uint32_t checksum;           /* 0x3fc: crc32c(~0, all before it) */
} attribute_packed;
_Static_assert(sizeof(struct ext4_super_block) == 1024, "super block");
_Static_assert(offsetof(struct ext4_super_block, feature_incompat) == 0x60, "super block");
_Static_assert(offsetof(struct ext4_super_block, hash_seed) == 0xec, "super block");
_Static_assert(offsetof(struct ext4_super_block, blocks_count_high) == 0x150, "super block");
_Static_assert(offsetof(struct ext4_super_block, flags) == 0x160, "super block");
_Static_assert(offsetof(struct ext4_super_block, checksum_seed) == 0x270, "super block");

struct ext4_group_descriptor {
    uint32_t block_bitmap_low, inode_bitmap_low, inode_table_low;
    uint16_t free_blocks_low, free_inodes_low, used_directories_low, flags;
    uint32_t exclude_bitmap_low;
    uint16_t block_bitmap_checksum_low, inode_bitmap_checksum_low, unused_inodes_low, checksum;
    /* with 64BIT and descriptor_size >= 64 */
    uint32_t block_bitmap_high, inode_bitmap_high, inode_table_high;
    uint16_t free_blocks_high, free_inodes_high, used_directories_high, unused_inodes_high;
    uint32_t exclude_bitmap_high;
    uint16_t block_bitmap_checksum_high, inode_bitmap_checksum_high;
    uint32_t reserved;
} attribute_packed;
_Static_assert(sizeof(struct ext4_group_descriptor) == 64, "group descriptor");
#define EXT4_DESCRIPTOR_CHECKSUM_OFFSET 0x1e

/* i_flags */
#define EXT4_INODE_EXTENTS 0x00080000u
#define EXT4_INODE_INDEX 0x00001000u
#define EXT4_INODE_ENCRYPT 0x00000800u
#define EXT4_INODE_EA_INODE 0x00200000u
#define EXT4_INODE_INLINE_DATA 0x10000000u

struct ext4_inode {
    uint16_t mode, uid_low;
    uint32_t size_low, access_time, change_time, modify_time, deletion_time;
    uint16_t gid_low, links;
    uint32_t blocks_low, flags, version;
    uint8_t block[60];           /* extent tree root, block map, or short link text */
    uint32_t generation, xattr_block_low, size_high, fragment_address;
    uint16_t blocks_high, xattr_block_high, uid_high, gid_high, checksum_low, reserved;
    /* past 128 bytes, as far as extra_size says */
    uint16_t extra_size, checksum_high;
    uint32_t change_time_extra, modify_time_extra, access_time_extra, birth_time, birth_time_extra;
    uint32_t version_high, project;
} attribute_packed;
_Static_assert(sizeof(struct ext4_inode) == 160, "inode");
#define EXT4_INODE_OLD_BYTES 128
#define EXT4_INODE_CHECKSUM_LOW_OFFSET 0x7c
#define EXT4_INODE_CHECKSUM_HIGH_OFFSET 0x82

#define EXT4_EXTENT_MAGIC 0xf30a
#define EXT4_EXTENT_DEPTH_LIMIT 5
#define EXT4_EXTENT_UNWRITTEN 32768u /* lengths above it: that many more blocks, allocated but never written */

struct ext4_extent_header {
    uint16_t magic, entries, limit, depth;
    uint32_t generation;
} attribute_packed;

struct ext4_extent {
    uint32_t block;
    uint16_t length, start_high;
    uint32_t start_low;
} attribute_packed;

struct ext4_extent_index {
    uint32_t block, leaf_low;
    uint16_t leaf_high, unused;
} attribute_packed;
_Static_assert(sizeof(struct ext4_extent) == 12 && sizeof(struct ext4_extent_index) == 12, "extents");

struct ext4_directory_entry {
    uint32_t inode;
    uint16_t record_bytes;
    uint8_t name_bytes, file_type;
    char name[];
} attribute_packed;
#define EXT4_DIRECTORY_TAIL_TYPE 0xde /* file_type of the checksum record that ends a block */
#define EXT4_DIRECTORY_TAIL_BYTES 12

/* Hash-tree directories: the root block after "." and "..", then entries; inner nodes after one empty record. */
struct ext4_index_root_info {
    uint32_t reserved;
    uint8_t hash_version, info_bytes, indirect_levels, unused_flags;
} attribute_packed;

struct ext4_index_entry { /* the first of a block holds {limit, count} in place of its hash */
    uint32_t hash, block;
} attribute_packed;

#define EXT4_XATTR_MAGIC 0xea020000u

struct ext4_xattr_entry {
    uint8_t name_bytes, name_index;
    uint16_t value_offset;
    uint32_t value_inode, value_bytes, hash;
    char name[];
} attribute_packed;
_Static_assert(sizeof(struct ext4_xattr_entry) == 16, "xattr entry");

struct ext4_xattr_header {
    uint32_t magic, reference_count, blocks, hash, checksum;
    uint32_t reserved[3];
} attribute_packed;
