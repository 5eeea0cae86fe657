/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of interrupted code, as every entry leaves them: at the top of the thread's kernel stack when it came
 * from user mode, on the current stack when the kernel itself was interrupted.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Entry code in assembly knows this order. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t original_rax;   /* the system call's number, or -1: not in a system call */
    uint64_t vector_and_error; /* vector in the low 32 bits, the processor's error code above */
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(sizeof(struct trap_frame) == 22 * 8, "entry code counts on it");

/* True where the frame is the program's, false where the kernel was interrupted. */
bool trap_frame_is_user(const struct trap_frame *frame);

/* cs and ss tell a program's frame; under PVH they are only that mark, its way out loads ring 0's. */
void trap_frame_init_user(struct trap_frame *frame, uint64_t rip, uint64_t rsp);

/* rflags bits a program may set for itself (sigreturn, ptrace): CF PF AF ZF SF TF DF OF NT? RF AC ID. */
#define TRAP_FRAME_USER_RFLAGS 0x00250dd5ull

#define FRAME_VECTOR(frame) ((unsigned int)((frame)->vector_and_error & 0xffffffffu))
#define FRAME_ERROR(frame) ((frame)->vector_and_error >> 32)
