/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stat, statx and statfs fill: Linux x86-64's layouts.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/linux/abi/time.h"

struct linux_stat {
    uint64_t device, inode, links;
    uint32_t mode, uid, gid, padding;
    uint64_t device_number;
    int64_t size_bytes, block_bytes, blocks;
    struct linux_timespec access_time, modify_time, change_time;
    int64_t unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");
_Static_assert(offsetof(struct linux_stat, size_bytes) == 48, "struct stat");
_Static_assert(offsetof(struct linux_stat, access_time) == 72, "struct stat");

struct linux_statx_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};

#define LINUX_STATX_TYPE 0x1u
#define LINUX_STATX_BASIC 0x7ffu
#define LINUX_STATX_BIRTH_TIME 0x800u
#define LINUX_STATX_MOUNT_ID 0x1000u
#define LINUX_STATX_RESERVED 0x80000000u
#define LINUX_STATX_ATTRIBUTE_MOUNT_ROOT 0x2000u

struct linux_statx {
    uint32_t mask, block_bytes;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, padding;
    uint64_t inode, size_bytes, blocks, attributes_mask;
    struct linux_statx_time access_time, birth_time, change_time, modify_time;
    uint32_t device_number_major, device_number_minor, device_major, device_minor;
    uint64_t mount_id;
    uint32_t direct_memory_align, direct_offset_align;
    uint64_t reserved[12];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");
_Static_assert(offsetof(struct linux_statx, access_time) == 64, "struct statx");
_Static_assert(offsetof(struct linux_statx, device_number_major) == 128, "struct statx");
_Static_assert(offsetof(struct linux_statx, mount_id) == 144, "struct statx");

struct linux_statfs {
    int64_t type, block_bytes;
    uint64_t blocks, blocks_free, blocks_available, files, files_free;
    int32_t id[2];
    int64_t name_length, fragment_bytes, flags, spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

/* Device numbers: 12 bits of major, 20 of minor, as stat packs them. */
static inline uint32_t linux_device_major(uint64_t device)
{
    return (uint32_t)((device >> 8) & 0xfff) | (uint32_t)((device >> 32) & ~0xfffull);
}

static inline uint32_t linux_device_minor(uint64_t device)
{
    return (uint32_t)(device & 0xff) | (uint32_t)((device >> 12) & ~0xffull);
}
