/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands before PVH's start in the image of start.c: copies the start info and spoils the copy, as the letter behind `case=` in the
 * command line says, then goes on with the kernel's own first instructions, which do not know of it.
 *
 *   m  the magic is another                   M  the map of start.c's table: RAM is what it says
 *   v  a version that nobody knows            h  the map lies above 4 GiB
 *   z  version 0, and nonsense behind it      n  the map has more entries than memory has room for
 *   d  not the first domain (on Xen alone     c  the command line lies above 4 GiB
 *      there are no HVM parameters then)      l  the list of modules does
 *   s, e  Xen is told that xenstore's, the console's port is 0 (in a domU; see tests/lab/start.test)
 *
 * ebx = the start info; 32-bit protected mode, paging off, no stack.
 */

/* The kernel's, by another name: the note in the ELF names ours. */
#define start_pvh start_pvh_kernel
#include "kernel/boot/start_pvh.S"
#undef start_pvh

#define MAGIC 0
#define VERSION 4
#define FLAGS 8
#define MODULE_COUNT 12
#define MODULE_LIST 16
#define COMMAND_LINE 24
#define MAP 40
#define MAP_COUNT 48
#define COPY_BYTES 56

#define FLAG_FIRST_DOMAIN 2
#define CASE_WORD 0x65736163 /* "case" */

#define HYPERCALL_HVM_OP 34
#define SET_PARAMETER 0
#define PARAMETER_STORE_PORT 2
#define PARAMETER_CONSOLE_PORT 18
#define SELF 0x7ff0
#define VENDOR_AMD 0x68747541

    .section .text.start, "ax", @progbits
    .code32
    .globl start_pvh
    .type start_pvh, @function
start_pvh:
    cld
    mov %ebx, %esi
    mov $PHYSICAL(copy), %edi
    mov $COPY_BYTES / 4, %ecx
    rep movsl
    mov $PHYSICAL(copy), %ebx
    mov COMMAND_LINE(%ebx), %esi
    mov $1024, %ecx
1:  cmpl $CASE_WORD, (%esi)
    je 2f
    inc %esi
    loop 1b
    jmp go_on
2:  movzbl 5(%esi), %eax

.macro case letter
    cmp $\letter, %al
    jne 9f
.endm
.macro end_case
    jmp go_on
9:
.endm

    case 'm'
    movl $0x336ec579, MAGIC(%ebx)
    end_case
    case 'v'
    movl $2, VERSION(%ebx)
    end_case
    case 'z'
    movl $0, VERSION(%ebx)
    movl $-1, MAP(%ebx)
    movl $-1, MAP_COUNT(%ebx)
    end_case
    case 'd'
    andl $~FLAG_FIRST_DOMAIN, FLAGS(%ebx)
    end_case
    case 'M'
    movl $1, VERSION(%ebx)
    movl $PHYSICAL(start_map), MAP(%ebx)
    movl $0, MAP + 4(%ebx)
    movl $2, MAP_COUNT(%ebx)
    end_case
    case 'h'
    movl $1, VERSION(%ebx)
    movl $1, MAP + 4(%ebx)
    movl $2, MAP_COUNT(%ebx)
    end_case
    case 'n'
    movl $1, VERSION(%ebx)
    movl $PHYSICAL(start_map), MAP(%ebx)
    movl $0, MAP + 4(%ebx)
    movl $-1, MAP_COUNT(%ebx)
    end_case
    case 'c'
    movl $1, COMMAND_LINE + 4(%ebx)
    end_case
    case 'l'
    movl $1, MODULE_COUNT(%ebx)
    movl $1, MODULE_LIST + 4(%ebx)
    end_case
    case 's'
    movl $PARAMETER_STORE_PORT, PHYSICAL(parameter) + 4
    jmp parameter_clear
    end_case
    case 'e'
    movl $PARAMETER_CONSOLE_PORT, PHYSICAL(parameter) + 4
    jmp parameter_clear
    end_case
go_on:
    jmp start_pvh_kernel

parameter_clear:
    mov %ebx, %edi
    xor %eax, %eax
    cpuid
    mov %ebx, %edx
    mov $HYPERCALL_HVM_OP, %eax
    mov $SET_PARAMETER, %ebx
    mov $PHYSICAL(parameter), %ecx
    cmp $VENDOR_AMD, %edx
    je 3f
    vmcall
    jmp 4f
3:  vmmcall
4:  mov %edi, %ebx
    jmp start_pvh_kernel
    .size start_pvh, . - start_pvh

    .data
    .balign 8
copy:
    .fill COPY_BYTES
/* struct xen_hvm_param: domain, index, value. */
parameter:
    .word SELF, 0
    .long 0
    .quad 0
