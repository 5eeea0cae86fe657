/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch itself: callee-saved registers on the old stack, the new stack's back.
 */

    .text

/* context_switch_stack(void **from_stack_pointer, void *to_stack_pointer) */
    .globl context_switch_stack
    .type context_switch_stack, @function
context_switch_stack:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size context_switch_stack, . - context_switch_stack

/* Where a fresh context's first switch returns to: r12 = entry, r13 = its argument. */
    .globl context_begin
    .type context_begin, @function
context_begin:
    xor %ebp, %ebp
    mov %r13, %rdi
    call *%r12
    ud2
    .size context_begin, . - context_begin
