/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where all entries meet: the C side of entry_pv.S and entry_pvh.S.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "xen/x86/trap_frame.h"

/* The processor's own, 0..31, and two of ours. The entry code knows the numbers. */
enum trap_vector {
    TRAP_DIVIDE = 0,
    TRAP_DEBUG = 1,
    TRAP_BREAKPOINT = 3,
    TRAP_OVERFLOW = 4,
    TRAP_BOUND = 5,
    TRAP_INVALID_OPCODE = 6,
    TRAP_NO_DEVICE = 7,
    TRAP_DOUBLE_FAULT = 8, /* PVH: also what an overflow of the kernel's stack comes as */
    TRAP_INVALID_TSS = 10,
    TRAP_NO_SEGMENT = 11,
    TRAP_STACK = 12,
    TRAP_GENERAL_PROTECTION = 13,
    TRAP_PAGE_FAULT = 14,
    TRAP_FLOATING_POINT = 16,
    TRAP_ALIGNMENT = 17,
    TRAP_SIMD = 19,
    TRAP_EVENT = 256,
    TRAP_SYSTEM_CALL = 257,
};

#define RFLAGS_INTERRUPT 0x200u

/* Registers this CPU's entries with Xen. Events masked. */
void trap_start_pv(void);
/* The same with the processor, and with Xen for all CPUs; then for each other CPU. */
void trap_start_pvh(void);
void trap_start_cpu_pvh(void);

/* Called by the entry code on the thread's kernel stack (or the interrupted kernel's): a system call with events deliverable, a trap
 * with events masked. They come back with events masked. The address is what page faults are about. */
void entry_system_call(struct trap_frame *frame);
void entry_trap(struct trap_frame *frame, uint64_t fault_address);
/* Events deliverable: runs what is due before user mode, then masks events for good. */
void entry_prepare_user(struct trap_frame *frame);
/* System calls that came by a `syscall` instruction, on all CPUs. */
uint64_t trap_system_calls(void);
/* Where the door of this mode begins, where it stands on the thread's stack, and where it is on its way back. */
void trap_set_door(const char *entry, const char *inside, const char *leave, const char *leave_end);
/* Reloads the frame. Events masked. */
void entry_leave_to(struct trap_frame *frame) attribute_noreturn;
