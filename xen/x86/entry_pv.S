/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PV's ways into the kernel and out of it.
 *
 * Xen enters every handler with its own frame on the stack (upwards: rcx, r11, [error code], rip, cs, rflags, rsp, ss)
 * and events masked, as all of them were registered so; rcx and r11 themselves hold garbage. From user mode that stack is
 * the CPU's entry stack, from kernel mode the current one. Here the frame becomes a struct trap_frame: from user mode on
 * top of the thread's own kernel stack, which leaves the entry stack free again; from kernel mode in place. entry_trap()
 * or entry_system_call() then does the work in C, and the frame goes back to Xen by the iret hypercall, which reloads
 * everything and sets the event mask to the inverse of the frame's interrupt flag.
 *
 * An entry does not rely on flags: the direction flag is the program's (facts: Xen does not clear it).
 */

#include "xen/x86/entry_frame.h"

/* In struct cpu_machine (%gs), which asserts it; and in Xen's struct vcpu_info. */
#define CPU_VCPU_INFO 568
#define VCPU_INFO_PENDING 0
#define VCPU_INFO_MASK 1
#define VCPU_INFO_CR2 16
#define HYPERVISOR_xen_version 17

/* enum trap_vector in trap.h. */
#define VECTOR_GENERAL_PROTECTION 13

/* rdi = the stack top of the current thread: struct cpu -> current -> context. */
.macro thread_stack register
    mov %gs:CPU_CURRENT, \register
    mov CONTEXT_STACK_TOP(\register), \register
.endm

/* From rdi down; rcx and r11 are the interrupted ones by now. A frame pointer of 0 ends the chain for back traces. */
.macro push_interrupted
    push_registers
    xor %ebp, %ebp
.endm

    .text

/* ---- System calls: always from user mode -------------------------------------------------------------------------- */

    .globl entry_system_call_pv
    .type entry_system_call_pv, @function
entry_system_call_pv:
    cld
    mov %rsp, %rcx
    thread_stack %rsp
    push_words %rcx, 16
    pushq $VECTOR_SYSTEM_CALL
    push %rax
    mov 8(%rcx), %r11
    mov (%rcx), %rcx
    push_interrupted
    /* Events are deliverable from here; what came since the entry takes any hypercall to be delivered (cpu_pv.c). */
    mov %gs:CPU_VCPU_INFO, %rsi
    movb $0, VCPU_INFO_MASK(%rsi)
    cmpb $0, VCPU_INFO_PENDING(%rsi)
    jne 2f
1:  mov %rsp, %rdi
    call entry_system_call
    jmp entry_return
2:  mov $HYPERVISOR_xen_version, %edi
    xor %esi, %esi
    xor %edx, %edx
    call hypercall_2
    jmp 1b
    .size entry_system_call_pv, . - entry_system_call_pv

/* ---- Traps and events --------------------------------------------------------------------------------------------- */

/* With an error code: it goes into the upper half of rcx, and the frame becomes one without. rcx = vector. */
    .type entry_with_error, @function
entry_with_error:
    mov 16(%rsp), %r11
    shl $32, %r11
    or %r11, %rcx
    mov 8(%rsp), %r11
    mov %r11, 16(%rsp)
    mov (%rsp), %r11
    mov %r11, 8(%rsp)
    add $8, %rsp

/* rcx = vector and error; Xen's seven words on the stack. */
entry_without_error:
    cld
    testb $3, 24(%rsp)
    jz 1f
    /* From user mode: move over to the thread's stack. */
    mov %rsp, %r11
    thread_stack %rsp
    push_words %r11, 16
    pushq 8(%r11)
    pushq (%r11)
1:  /* r11's and rcx's words become vector_and_error and original_rax. */
    mov 8(%rsp), %r11
    mov %rcx, 8(%rsp)
    mov (%rsp), %rcx
    movq $-1, (%rsp)
    push_interrupted
    mov %gs:CPU_VCPU_INFO, %rsi
    mov VCPU_INFO_CR2(%rsi), %rsi
    mov %rsp, %rdi
    call entry_trap
    .size entry_with_error, . - entry_with_error

/* rsp = a struct trap_frame, events masked. */
    .globl entry_return
    .type entry_return, @function
entry_return:
    pop_registers
    /* original_rax and vector_and_error make room for Xen's four words below rip. */
    movq $0, 8(%rsp)
    mov %rcx, (%rsp)
    push %r11
    push %rax
    jmp hypercall_iret
    .size entry_return, . - entry_return

    .globl entry_event_pv
    .type entry_event_pv, @function
entry_event_pv:
    mov $VECTOR_EVENT, %ecx
    jmp entry_without_error
    .size entry_event_pv, . - entry_event_pv

/*
 * Xen could not return to the frame we gave it (a non-canonical rip or a bad selector). Its words here: rcx, r11, ds, es,
 * fs, gs, rip, cs, rflags, rsp, ss. The program gets it as a general protection fault at that rip.
 */
    .globl entry_failsafe_pv
    .type entry_failsafe_pv, @function
entry_failsafe_pv:
    mov 8(%rsp), %rcx
    mov %rcx, 40(%rsp)
    mov (%rsp), %rcx
    mov %rcx, 32(%rsp)
    add $32, %rsp
    mov $VECTOR_GENERAL_PROTECTION, %ecx
    jmp entry_without_error
    .size entry_failsafe_pv, . - entry_failsafe_pv

.macro trap_entry vector, tail
    .globl entry_trap_\vector
    .type entry_trap_\vector, @function
entry_trap_\vector:
    mov $\vector, %ecx
    jmp \tail
    .size entry_trap_\vector, . - entry_trap_\vector
.endm

    trap_entry 0, entry_without_error
    trap_entry 1, entry_without_error
    trap_entry 3, entry_without_error
    trap_entry 4, entry_without_error
    trap_entry 5, entry_without_error
    trap_entry 6, entry_without_error
    trap_entry 7, entry_without_error
    trap_entry 10, entry_with_error
    trap_entry 11, entry_with_error
    trap_entry 12, entry_with_error
    trap_entry 13, entry_with_error
    trap_entry 14, entry_with_error
    trap_entry 16, entry_without_error
    trap_entry 17, entry_with_error
    trap_entry 19, entry_without_error

/* ---- First way to user mode --------------------------------------------------------------------------------------- */

/* entry_leave_to(frame): rsp = frame, and out. Events masked. */
    .globl entry_leave_to_pv
    .type entry_leave_to_pv, @function
entry_leave_to_pv:
    mov %rdi, %rsp
    jmp entry_return
    .size entry_leave_to_pv, . - entry_leave_to_pv
