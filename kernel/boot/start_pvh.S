/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions of a PVH guest: 32-bit protected mode, paging off, no stack, ebx = hvm_start_info. Maps the first
 * 4 GiB by pages of 2 MiB, at their own addresses (for this code), in the direct map and, the first GiB, at the image; goes
 * over to long mode and to the image's addresses; takes the boot stack and the per-CPU block.
 *
 * The tables are xen/x86/start_tables.S's; direct_map_pvh.c makes the final ones of them.
 * Source: Xen, docs/misc/pvh.pandoc.
 */

#include "xen/x86/descriptors_pvh.h"

#define PHYSICAL(symbol) (symbol - 0xffffffff80000000)

#define ENTRY_LINK 0x67                 /* present, writable, user, accessed, dirty */
#define ENTRY_HUGE 0xe7                 /* the same, a page */
#define TABLE_BYTES 4096
#define ROOT_DIRECT_MAP 272
#define ROOT_IMAGE 511
#define L3_IMAGE 510

#define CR0_WANTED 0x80010023           /* PG, WP, NE, MP, PE */
#define CR0_UNWANTED 0x4000c            /* AM, TS, EM */
#define CR4_WANTED 0x620                /* OSXMMEXCPT, OSFXSR, PAE */
#define MSR_EFER 0xc0000080
#define MSR_GS_BASE 0xc0000101
#define EFER_LONG_MODE 0x100

    .section .text.start, "ax", @progbits
    .code32
    .globl start_pvh
    .type start_pvh, @function
start_pvh:
    cli
    cld
    mov %ebx, %edi
    lgdt PHYSICAL(start_gdt_pointer)

    mov $PHYSICAL(start_l2), %ecx
    mov $ENTRY_HUGE, %eax
1:  mov %eax, (%ecx)
    add $8, %ecx
    add $0x200000, %eax
    jnc 1b
    mov $PHYSICAL(start_l2) + ENTRY_LINK, %eax
    mov %eax, PHYSICAL(start_l3_image) + L3_IMAGE * 8
    mov $PHYSICAL(start_l3), %ecx
2:  mov %eax, (%ecx)
    add $8, %ecx
    add $TABLE_BYTES, %eax
    cmp $PHYSICAL(start_l3) + 4 * 8, %ecx
    jne 2b
    movl $PHYSICAL(start_l3) + ENTRY_LINK, PHYSICAL(start_l4)
    movl $PHYSICAL(start_l3) + ENTRY_LINK, PHYSICAL(start_l4) + ROOT_DIRECT_MAP * 8
    movl $PHYSICAL(start_l3_image) + ENTRY_LINK, PHYSICAL(start_l4) + ROOT_IMAGE * 8

    mov %cr4, %eax
    or $CR4_WANTED, %eax
    mov %eax, %cr4
    mov $PHYSICAL(start_l4), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LONG_MODE, %eax
    wrmsr
    mov %cr0, %eax
    and $~CR0_UNWANTED, %eax
    or $CR0_WANTED, %eax
    mov %eax, %cr0
    ljmp $SELECTOR_CODE, $PHYSICAL(3f)

    .code64
3:  mov $4f, %rax
    jmp *%rax
4:  xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    /* The hypercall gate counts in the per-CPU block, which GS finds. */
    mov $MSR_GS_BASE, %ecx
    mov $cpu_boot_block, %rax
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    lea boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    mov %edi, %edi
    call boot_start_pvh
    ud2
    .size start_pvh, . - start_pvh

    .section .rodata.start_pvh, "a", @progbits
    .balign 8
start_gdt:
    .quad 0
    .quad 0x00af9a000000ffff
start_gdt_pointer:
    .word . - start_gdt - 1
    .long PHYSICAL(start_gdt)
