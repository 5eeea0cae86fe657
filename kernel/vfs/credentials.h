/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asks: user and group ids and capabilities. A struct credentials is immutable once shared; a change makes a new
 * one. kernel/process hangs one on each task; kernel/vfs checks permissions against it.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/reference.h"

#define CREDENTIALS_GROUP_LIMIT 65536

/* Linux's capability numbers that we check. */
enum { CAPABILITY_CHOWN = 0, CAPABILITY_DAC_OVERRIDE = 1, CAPABILITY_DAC_READ_SEARCH = 2, CAPABILITY_FOWNER = 3,
       CAPABILITY_FSETID = 4, CAPABILITY_KILL = 5, CAPABILITY_SETGID = 6, CAPABILITY_SETUID = 7, CAPABILITY_SETPCAP = 8,
       CAPABILITY_NET_BIND_SERVICE = 10, CAPABILITY_NET_ADMIN = 12, CAPABILITY_NET_RAW = 13, CAPABILITY_IPC_LOCK = 14,
       CAPABILITY_IPC_OWNER = 15, CAPABILITY_SYS_CHROOT = 18, CAPABILITY_SYS_PTRACE = 19, CAPABILITY_SYS_ADMIN = 21,
       CAPABILITY_SYS_BOOT = 22, CAPABILITY_SYS_NICE = 23, CAPABILITY_SYS_RESOURCE = 24, CAPABILITY_SYS_TIME = 25,
       CAPABILITY_MKNOD = 27, CAPABILITY_LAST = 40 };
#define CAPABILITY_ALL ((1ull << (CAPABILITY_LAST + 1)) - 1)

struct credentials {
    struct reference reference;
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
    uint64_t permitted, effective, inheritable, bounding, ambient;
    uint32_t secure_bits;
    uint32_t group_count;
    uint32_t groups[]; /* sorted */
};

/* Root's, with all capabilities; or a copy with room for group_count groups (contents copied up to it). NULL: out of memory. */
struct credentials *credentials_create_root(void);
struct credentials *credentials_copy(const struct credentials *from, uint32_t group_count);
void credentials_take(struct credentials *credentials);
void credentials_release(struct credentials *credentials);
bool credentials_in_group(const struct credentials *credentials, uint32_t gid);
static inline bool credentials_capable(const struct credentials *credentials, unsigned int capability)
{
    return (credentials->effective >> capability) & 1;
}
