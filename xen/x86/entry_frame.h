/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For entry_pv.S and entry_pvh.S: how both lay out a struct trap_frame, and what they know of C's structures and numbers.
 */
#pragma once

/* Offsets in struct cpu (%gs) and struct context, which cpu_machine.h and context.c assert. */
#define CPU_CURRENT 16
#define CONTEXT_STACK_TOP 8

/* enum trap_vector in trap.h. */
#define VECTOR_EVENT 256
#define VECTOR_SYSTEM_CALL 257

/* The five words rip, cs, rflags, rsp, ss that lie at \from + \at, copied to the current stack. */
.macro push_words from, at
    pushq 32+\at(\from)
    pushq 24+\at(\from)
    pushq 16+\at(\from)
    pushq 8+\at(\from)
    pushq \at(\from)
.endm

/* From rdi down, as the frame has them. */
.macro push_registers
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro pop_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
.endm
