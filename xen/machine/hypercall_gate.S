/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place where the kernel calls Xen. A hypercall's number is in eax, its arguments in rdi, rsi, rdx, r10, r8, its
 * result in rax; Xen keeps rbx, rbp, r12-r15, the rest is lost. The C functions shift their arguments by one register.
 */

/* offsetof(struct cpu_machine, hypercall_counts); cpu_machine.h asserts it. */
#define CPU_HYPERCALL_COUNTS_OFFSET 56
#define HYPERVISOR_iret 23

    .section .text.hypercall_gate, "ax", @progbits
    .globl hypercall_0
    .globl hypercall_1
    .globl hypercall_2
    .globl hypercall_3
    .globl hypercall_4
    .globl hypercall_5
    .type hypercall_5, @function
hypercall_0:
hypercall_1:
hypercall_2:
hypercall_3:
hypercall_4:
hypercall_5:
    mov %edi, %eax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    incq %gs:CPU_HYPERCALL_COUNTS_OFFSET(, %rax, 8)
    /* Three bytes, which the PVH start replaces by vmcall or vmmcall. */
    .globl hypercall_gate
hypercall_gate:
    syscall
    nop
    ret
    .size hypercall_5, . - hypercall_5

/* The way out of the kernel: the stack holds rax, r11, rcx, flags, rip, cs, rflags, rsp, ss. */
    .globl hypercall_iret
    .type hypercall_iret, @function
hypercall_iret:
    mov $HYPERVISOR_iret, %eax
    syscall
    ud2
    .size hypercall_iret, . - hypercall_iret
