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
 *
 * Doors: a patched call site (door.c) comes to entry_door_pv (entry_frame.h) by a jump, and then the kernel's C runs in guest-user mode, as
 * long as it needs no hypercall. %gs:CPU_KERNEL_MODE tells the modes apart: every way in that goes through Xen sets it, every way out
 * clears it. The kernel interrupted in guest-user mode goes on in guest-kernel mode: its frame moves below its own stack
 * pointer and gets the other selector. So does one that makes a hypercall (promote), and on its way out it then takes Xen's.
 */

#include "xen/x86/entry_frame.h"

/* In struct cpu_machine (%gs), which asserts it; and in Xen's struct vcpu_info. */
#define CPU_VCPU_INFO 568
#define VCPU_INFO_PENDING 0
#define VCPU_INFO_MASK 1
#define VCPU_INFO_CR2 16
#define HYPERVISOR_xen_version 17
#define SYSCALL_BYTES 2
#define PRIVILEGE_MASK 3

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
    movb $1, %gs:CPU_KERNEL_MODE
    cmpq $(hypercall_gate + SYSCALL_BYTES), 16(%rsp)
    je promote
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

/* A hypercall in guest-user mode has come here. It is made again in guest-kernel mode, with the event mask as it was, which Xen has put
 * above cs. rcx and r11 are a hypercall's to lose. */
    .type promote, @function
promote:
    mov 24(%rsp), %rcx
    mov 40(%rsp), %rsp
    shr $32, %rcx
    mov %gs:CPU_VCPU_INFO, %r11
    mov %cl, VCPU_INFO_MASK(%r11)
    jmp hypercall_gate
    .size promote, . - promote

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
    testb $PRIVILEGE_MASK, 24(%rsp)
    jz 1f
    /* From guest-user mode: move over, from the program to the thread's stack, from the kernel to below its own words there. */
    movb $1, %gs:CPU_KERNEL_MODE
    mov 16(%rsp), %r11
    and 40(%rsp), %r11
    js 3f
    mov %rsp, %r11
    thread_stack %rsp
2:  push_words %r11, 16
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
    jmp entry_return
3:  mov 16(%rsp), %r11
    sub $leave_door_pv, %r11
    cmp $(leave_user_end - leave_door_pv), %r11
    jb 4f
    andb $~PRIVILEGE_MASK, 24(%rsp)
    mov %rsp, %r11
    mov 40(%rsp), %rsp
    and $-16, %rsp
    jmp 2b
4:  /* Nearly out: as if it had come one instruction later. */
    thread_stack %rsp
    sub $FRAME_BYTES, %rsp
    mov %rcx, FRAME_VECTOR(%rsp)
    movq $-1, FRAME_ORIGINAL_RAX(%rsp)
    mov %gs:CPU_VCPU_INFO, %rsi
    mov VCPU_INFO_CR2(%rsi), %rsi
    xor %ebp, %ebp
    mov %rsp, %rdi
    call entry_trap
    .size entry_with_error, . - entry_with_error

/* rsp = a struct trap_frame, events masked. */
    .globl entry_return
    .type entry_return, @function
entry_return:
    testb $PRIVILEGE_MASK, FRAME_CS(%rsp)
    jz leave_to_kernel
    cmpb $0, %gs:CPU_KERNEL_MODE
    je leave_user
    movb $0, %gs:CPU_KERNEL_MODE
leave_by_xen:
    pop_registers
    /* original_rax and vector_and_error make room for Xen's four words below rip. */
    movq $0, 8(%rsp)
    mov %rcx, (%rsp)
    push %r11
    push %rax
    jmp hypercall_iret
    .size entry_return, . - entry_return

/*
 * The kernel's frame, in whatever mode the CPU is by now (a trap's handler may have slept, and come back behind a thread in guest-user mode): the
 * kernel goes on in that mode, and Xen is not asked, unless an event has come meanwhile. It then takes the frame off the stack before it
 * delivers the event, so that a storm of them does not fill the stack.
 */
    .type leave_to_kernel, @function
leave_to_kernel:
    testl $RFLAGS_INTERRUPT, FRAME_RFLAGS(%rsp)
    jz 1f
    mov %gs:CPU_VCPU_INFO, %rcx
    movb $0, VCPU_INFO_MASK(%rcx)
    cmpb $0, VCPU_INFO_PENDING(%rcx)
    jne 2f
1:  pop_registers
    add $16, %rsp
    movq $MARK_USER_CODE, 8(%rsp)
    iretq
2:  movb $1, VCPU_INFO_MASK(%rcx)
    cmpb $0, %gs:CPU_KERNEL_MODE
    jne leave_by_xen
    mov $HYPERVISOR_xen_version, %edi
    xor %esi, %esi
    xor %edx, %edx
    call hypercall_2
    jmp leave_by_xen
    .size leave_to_kernel, . - leave_to_kernel

    door pv, cmpw, entry_return

/* The program's frame in guest-user mode: no Xen. What has come meanwhile takes the way through it after all; what comes from here on is as in the
 * door's last part, which lies just before. */
    .type leave_user, @function
leave_user:
    mov %gs:CPU_VCPU_INFO, %rcx
    movb $0, VCPU_INFO_MASK(%rcx)
    cmpb $0, VCPU_INFO_PENDING(%rcx)
    jne 2f
    /* As a system call left them, and no single step: the quick way. */
    unless_as_called 1f
    pop_registers
    add $32, %rsp
    popf
    mov (%rsp), %rsp
    jmp *%rcx
1:  pop_registers
    add $16, %rsp
    iretq
2:  movb $1, VCPU_INFO_MASK(%rcx)
    .globl leave_user_end
leave_user_end:
    mov $HYPERVISOR_xen_version, %edi
    xor %esi, %esi
    xor %edx, %edx
    call hypercall_2
    jmp entry_return
    .size leave_user, . - leave_user

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
