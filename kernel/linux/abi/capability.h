/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capget, capset and the secure bits.
 */
#pragma once

#include "kernel/base/compiler.h"

#define LINUX_CAPABILITY_VERSION_1 0x19980330u
#define LINUX_CAPABILITY_VERSION_2 0x20071026u
#define LINUX_CAPABILITY_VERSION_3 0x20080522u

struct linux_capability_header {
    uint32_t version;
    int32_t pid;
};
_Static_assert(sizeof(struct linux_capability_header) == 8, "cap_user_header_t");

struct linux_capability_data {
    uint32_t effective, permitted, inheritable;
};
_Static_assert(sizeof(struct linux_capability_data) == 12, "cap_user_data_t");

#define SECURE_NO_ROOT 0x01u
#define SECURE_NO_SETUID_FIXUP 0x04u
#define SECURE_KEEP_CAPS 0x10u
#define SECURE_KEEP_CAPS_LOCKED 0x20u
#define SECURE_NO_CAP_AMBIENT_RAISE 0x40u
#define SECURE_ALL_BITS 0x55u
#define SECURE_ALL_LOCKS 0xaau

/* Those that go with fsuid 0: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE. */
#define CAPABILITY_FILE_SET ((1ull << 0) | (1ull << 1) | (1ull << 2) | (1ull << 3) | (1ull << 4) | (1ull << 9) | (1ull << 27) | (1ull << 32))
