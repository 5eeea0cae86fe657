/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets as programs speak of them: addresses, message headers, control messages.
 */
#pragma once

#include "kernel/base/compiler.h"

#define LINUX_AF_UNIX 1
#define LINUX_AF_INET 2
#define LINUX_AF_INET6 10
#define LINUX_AF_NETLINK 16
#define LINUX_AF_PACKET 17

#define LINUX_SOCK_TYPE_MASK 0xf
#define LINUX_SOCK_NONBLOCK 04000
#define LINUX_SOCK_CLOEXEC 02000000

#define LINUX_SOL_SOCKET 1
#define LINUX_SCM_RIGHTS 1
#define LINUX_SCM_CREDENTIALS 2

#define LINUX_MSG_OOB 1u
#define LINUX_MSG_PEEK 2u
#define LINUX_MSG_CONTROL_TRUNCATED 8u
#define LINUX_MSG_TRUNCATED 0x20u
#define LINUX_MSG_DONTWAIT 0x40u
#define LINUX_MSG_ERRQUEUE 0x2000u
#define LINUX_MSG_NOSIGNAL 0x4000u
#define LINUX_MSG_WAITFORONE 0x10000u
#define LINUX_MSG_CMSG_CLOEXEC 0x40000000u

struct linux_sockaddr_in {
    uint16_t family, port;
    uint8_t address[4], zero[8];
};
_Static_assert(sizeof(struct linux_sockaddr_in) == 16, "struct sockaddr_in");

struct linux_sockaddr_in6 {
    uint16_t family, port;
    uint32_t flow;
    uint8_t address[16];
    uint32_t scope;
};
_Static_assert(sizeof(struct linux_sockaddr_in6) == 28, "struct sockaddr_in6");

struct linux_msghdr {
    uint64_t name;
    int32_t name_bytes, padding;
    uint64_t vector, vector_count, control, control_bytes;
    uint32_t flags, padding2;
};
_Static_assert(sizeof(struct linux_msghdr) == 56, "struct msghdr");

struct linux_mmsghdr {
    struct linux_msghdr header;
    uint32_t length_bytes, padding;
};
_Static_assert(sizeof(struct linux_mmsghdr) == 64, "struct mmsghdr");

struct linux_cmsghdr {
    uint64_t length_bytes; /* with this header */
    int32_t level, type;
};
_Static_assert(sizeof(struct linux_cmsghdr) == 16, "struct cmsghdr");
#define LINUX_CMSG_ALIGN(bytes) (((bytes) + 7) & ~7ull)

struct linux_ucred {
    int32_t pid;
    uint32_t uid, gid;
};
_Static_assert(sizeof(struct linux_ucred) == 12, "struct ucred");
