/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions of a PV guest. Xen enters with rsi = start_info, rsp on the loader's boot stack, everything of
 * the initial region mapped, events masked. Takes our own boot stack (later CPU 0's idle thread's) and per-CPU block.
 */

#define HYPERVISOR_set_segment_base 25
#define SEGBASE_GS_KERNEL 2

    .section .text.start, "ax", @progbits
    .globl start_pv
    .type start_pv, @function
start_pv:
    cld
    lea boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    mov %rsi, %rbx
    /* The hypercall gate counts in the per-CPU block: find it by GS before the first use of the gate. */
    mov $SEGBASE_GS_KERNEL, %edi
    mov $cpu_boot_block, %rsi
    mov $HYPERVISOR_set_segment_base, %eax
    syscall
    mov %rbx, %rdi
    call boot_start_pv
    ud2
    .size start_pv, . - start_pv

    .section .bss.page_aligned, "aw", @nobits
    .balign 4096
    .globl boot_stack
boot_stack:
    .skip 16384
    .globl boot_stack_top
boot_stack_top:
