/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers and structs of the calls on descriptors and names (open flags are kernel/vfs/file.h's FILE_*).
 */
#pragma once

#include "kernel/base/compiler.h"

#define LINUX_AT_FDCWD (-100)
#define LINUX_AT_SYMLINK_NOFOLLOW 0x100
#define LINUX_AT_EACCESS 0x200
#define LINUX_AT_REMOVEDIR 0x200
#define LINUX_AT_SYMLINK_FOLLOW 0x400
#define LINUX_AT_NO_AUTOMOUNT 0x800
#define LINUX_AT_EMPTY_PATH 0x1000
#define LINUX_AT_STATX_SYNC_TYPE 0x6000

#define LINUX_F_DUPFD 0
#define LINUX_F_GETFD 1
#define LINUX_F_SETFD 2
#define LINUX_F_GETFL 3
#define LINUX_F_SETFL 4
#define LINUX_F_GETLK 5
#define LINUX_F_SETLK 6
#define LINUX_F_SETLKW 7
#define LINUX_F_SETOWN 8
#define LINUX_F_GETOWN 9
#define LINUX_F_SETSIG 10
#define LINUX_F_GETSIG 11
#define LINUX_F_SETOWN_EX 15
#define LINUX_F_GETOWN_EX 16
#define LINUX_F_OFD_GETLK 36
#define LINUX_F_OFD_SETLK 37
#define LINUX_F_OFD_SETLKW 38
#define LINUX_F_SETLEASE 1024
#define LINUX_F_GETLEASE 1025
#define LINUX_F_NOTIFY 1026
#define LINUX_F_DUPFD_CLOEXEC 1030
#define LINUX_F_SETPIPE_SZ 1031
#define LINUX_F_GETPIPE_SZ 1032
#define LINUX_F_ADD_SEALS 1033
#define LINUX_F_GET_SEALS 1034
#define LINUX_FD_CLOEXEC 1

#define LINUX_F_RDLCK 0
#define LINUX_F_WRLCK 1
#define LINUX_F_UNLCK 2

#define LINUX_CLOSE_RANGE_UNSHARE 2u
#define LINUX_CLOSE_RANGE_CLOEXEC 4u

#define LINUX_RWF_HIPRI 1
#define LINUX_RWF_DSYNC 2
#define LINUX_RWF_SYNC 4
#define LINUX_RWF_NOWAIT 8
#define LINUX_RWF_APPEND 16

#define LINUX_IOV_LIMIT 1024
#define LINUX_TRANSFER_LIMIT 0x7ffff000ull /* bytes that one read or write moves at most */

struct linux_iovec {
    uint64_t address, length_bytes;
};
_Static_assert(sizeof(struct linux_iovec) == 16, "struct iovec");

struct linux_flock {
    int16_t type, whence;
    int32_t padding;
    int64_t start, length_bytes;
    int32_t pid, padding2;
};
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock");

struct linux_owner_ex {
    int32_t type, pid;
};

struct linux_open_how {
    uint64_t flags, mode, resolve;
};
_Static_assert(sizeof(struct linux_open_how) == 24, "struct open_how");

#define LINUX_RESOLVE_NO_XDEV 1u
#define LINUX_RESOLVE_NO_MAGICLINKS 2u
#define LINUX_RESOLVE_NO_SYMLINKS 4u
#define LINUX_RESOLVE_BENEATH 8u
#define LINUX_RESOLVE_IN_ROOT 16u
#define LINUX_RESOLVE_CACHED 32u

/* ioctls that are the descriptor's, not the file's. */
#define LINUX_FIONCLEX 0x5450u
#define LINUX_FIOCLEX 0x5451u
#define LINUX_FIONBIO 0x5421u
#define LINUX_FIOASYNC 0x5452u
#define LINUX_FIOQSIZE 0x5460u
#define LINUX_FIONREAD 0x541bu

/* Directory entries: name follows, NUL-ended, records 8-byte aligned; getdents (old) keeps the type in the last byte. */
struct linux_dirent64 {
    uint64_t inode;
    int64_t next_offset;
    uint16_t record_bytes;
    uint8_t type;
    char name[];
};
_Static_assert(offsetof(struct linux_dirent64, name) == 19, "struct linux_dirent64");

struct linux_dirent {
    uint64_t inode, next_offset;
    uint16_t record_bytes;
    char name[];
};
_Static_assert(offsetof(struct linux_dirent, name) == 18, "struct linux_dirent");
