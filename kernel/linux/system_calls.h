/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handlers of Linux's system calls, sys_NAME, declared from syscalls.def. A handler answers a count or -Exxx; all
 * addresses are the program's and go through xen/x86/user_access.h. Numbers have their Linux meaning.
 *
 * Dispatch (dispatch.c) calls them on the thread's own kernel stack, with no lock held and events deliverable.
 */
#pragma once

#include "kernel/base/compiler.h"

#define CALL(number, name, status, prototype, kinds, missing) long sys_##name prototype;
#define REFUSED(number, name, error, kinds, reason)
#define UNUSED(first, last)
#include "kernel/linux/syscalls.def"
#undef CALL
#undef REFUSED
#undef UNUSED

#define SYSTEM_CALL_LIMIT 463

struct trap_frame;

/* The frame of the current thread's system call: for the few calls that change it. */
struct trap_frame *system_call_frame(void);
