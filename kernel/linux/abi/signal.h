/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signal structs that cross and are not kernel/process/signal.h's.
 */
#pragma once

#include "kernel/base/compiler.h"

#define LINUX_SIGSET_BYTES 8

#define LINUX_SIG_BLOCK 0
#define LINUX_SIG_UNBLOCK 1
#define LINUX_SIG_SETMASK 2

#define LINUX_SS_ONSTACK 1u
#define LINUX_SS_DISABLE 2u
#define LINUX_SS_AUTODISARM 0x80000000u
#define LINUX_MINSIGSTKSZ 2048u

/* The kernel's struct sigaction. */
struct linux_sigaction {
    uint64_t handler, flags, restorer, mask;
};
_Static_assert(sizeof(struct linux_sigaction) == 32, "struct kernel_sigaction");

struct linux_stack {
    uint64_t address;
    uint32_t flags, padding;
    uint64_t length_bytes;
};
_Static_assert(sizeof(struct linux_stack) == 24, "stack_t");

#define LINUX_SIGEV_SIGNAL 0
#define LINUX_SIGEV_NONE 1
#define LINUX_SIGEV_THREAD 2
#define LINUX_SIGEV_THREAD_ID 4

struct linux_sigevent {
    uint64_t value;
    int32_t number, notify, thread_id;
    int32_t padding[11];
};
_Static_assert(sizeof(struct linux_sigevent) == 64, "struct sigevent");
