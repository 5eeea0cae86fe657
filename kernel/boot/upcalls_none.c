/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The upcalls (xen/machine/upcalls.h) of rooms that this build does not have. Whoever brings such a room takes its
 * functions out of here.
 */
#include "xen/machine/upcalls.h"

#include "kernel/base/panic.h"

void upcall_system_call(struct trap_frame *frame)
{
    (void)frame;
    panic("a system call, and no kernel/linux in this build");
}

bool upcall_page_fault(struct trap_frame *frame, uint64_t address, uint64_t error)
{
    (void)frame;
    panic("a page fault at 0x%llx (error 0x%llx), and no kernel/process in this build", (unsigned long long)address,
          (unsigned long long)error);
}

void upcall_user_trap(struct trap_frame *frame, unsigned int vector, uint64_t error)
{
    (void)frame;
    panic("trap %u (error 0x%llx) of a program, and no kernel/process in this build", vector,
          (unsigned long long)error);
}

void upcall_return_to_user(struct trap_frame *frame)
{
    (void)frame;
    panic("a return to user mode, and no kernel/process in this build");
}
