/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flags of clone, clone3 and unshare.
 */
#pragma once

#define CLONE_SIGNAL_MASK 0xffull
#define CLONE_VM 0x100ull
#define CLONE_FS 0x200ull
#define CLONE_FILES 0x400ull
#define CLONE_SIGHAND 0x800ull
#define CLONE_PIDFD 0x1000ull
#define CLONE_VFORK 0x4000ull
#define CLONE_PARENT 0x8000ull
#define CLONE_THREAD 0x10000ull
#define CLONE_SYSVSEM 0x40000ull
#define CLONE_SETTLS 0x80000ull
#define CLONE_PARENT_SETTID 0x100000ull
#define CLONE_CHILD_CLEARTID 0x200000ull
#define CLONE_DETACHED 0x400000ull
#define CLONE_CHILD_SETTID 0x1000000ull
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#define CLONE_INTO_CGROUP 0x200000000ull
/* NEWTIME (clone3 only), NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
#define CLONE_NEW_SPACES 0x7e020080ull
/* All that clone() has, without the signal's byte; NEWTIME lies in that byte. */
#define CLONE_LEGACY_FLAGS 0xffffff80ull

#define CLONE_ARGS_FIRST_BYTES 64
