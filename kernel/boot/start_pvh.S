/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions of a PVH guest: 32-bit protected mode, paging off, no stack, ebx = hvm_start_info. This build
 * runs PV guests only: the entry says so, on Xen's debug port 0xe9 (xl dmesg) and by CONSOLEIO_write where Xen permits
 * it, and ends the domain with reason crash.
 */

#define HYPERVISOR_console_io 18
#define HYPERVISOR_sched_op 29
#define CONSOLEIO_write 0
#define SCHEDOP_shutdown 2
#define SHUTDOWN_crash 3

#define PHYSICAL(symbol) (symbol - 0xffffffff80000000)

    .section .text.start, "ax", @progbits
    .code32
    .globl start_pvh
    .type start_pvh, @function
start_pvh:
    cld
    /* AMD's and Hygon's processors ("Auth", "Hygo") call Xen by vmmcall, others by vmcall. */
    xor %eax, %eax
    cpuid
    xor %ebp, %ebp
    cmp $0x68747541, %ebx
    je 1f
    cmp $0x6f677948, %ebx
    jne 2f
1:  inc %ebp
2:
    mov $PHYSICAL(pvh_message), %esi
    mov $(pvh_message_end - pvh_message), %ecx
    mov $0xe9, %edx
    rep outsb

    mov $HYPERVISOR_console_io, %eax
    mov $CONSOLEIO_write, %ebx
    mov $(pvh_message_end - pvh_message), %ecx
    mov $PHYSICAL(pvh_message), %edx
    mov $PHYSICAL(3f), %edi
    jmp pvh_hypercall
3:
    mov $HYPERVISOR_sched_op, %eax
    mov $SCHEDOP_shutdown, %ebx
    mov $PHYSICAL(pvh_reason), %ecx
    mov $PHYSICAL(4f), %edi
    jmp pvh_hypercall
4:  hlt
    jmp 4b

/* Returns to edi, as there is no stack. */
pvh_hypercall:
    test %ebp, %ebp
    jz 5f
    vmmcall
    jmp *%edi
5:  vmcall
    jmp *%edi
    .size start_pvh, . - start_pvh
    .code64

    .section .rodata.start_pvh, "a", @progbits
pvh_message:
    .ascii "Xenolith: PVH entry: not yet supported by this build; use type=\"pv\"\n"
pvh_message_end:
    .balign 4
pvh_reason:
    .long SHUTDOWN_crash
