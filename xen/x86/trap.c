/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All entries, in C: events to their handlers, page faults to the pager, other traps to the program or the panic, system
 * calls up; and the last steps before user mode.
 *
 * Event mask: events are masked at every entry (by Xen, or the gate's interrupt flag), which counts as one level of event_mask_depth. System calls, and traps
 * of code that had events deliverable, take that level back while they are served. The frame's interrupt flag brings the
 * interrupted mask back at the end.
 *
 * Back to user mode: upcall_return_to_user() runs with events deliverable; an event after it could bring new work (a
 * signal, the end of the slice), and would be taken while the frame is being loaded. So events are masked, and if any was
 * taken since, or the thread has moved to another CPU, it runs again. What comes after that look stays pending, and Xen
 * delivers it as soon as the program runs.
 */
#include "xen/x86/trap.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/event_deliver.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/exception_table.h"
#include "xen/x86/paging.h"
#include "xen/x86/trap_report.h"
#include "xen/x86/user_access.h"

#define SELECTOR_USER_CODE 0xe033u
#define SELECTOR_USER_STACK 0xe02bu
#define RFLAGS_FIXED 0x2u
#define FAULT_USER 4u

bool trap_frame_is_user(const struct trap_frame *frame)
{
    return (frame->cs & 3) == 3;
}

void trap_frame_init_user(struct trap_frame *frame, uint64_t rip, uint64_t rsp)
{
    *frame = (struct trap_frame){
        .original_rax = ~0ull,
        .rip = rip,
        .cs = SELECTOR_USER_CODE,
        .rflags = RFLAGS_FIXED | RFLAGS_INTERRUPT,
        .rsp = rsp,
        .ss = SELECTOR_USER_STACK,
    };
}

void entry_prepare_user(struct trap_frame *frame)
{
    struct cpu_machine *machine;
    uint64_t upcalls;

    do {
        cpu_events_unmask();
        machine = cpu_machine_current();
        upcalls = read_once(machine->upcalls);
        upcall_return_to_user(frame);
        /* Neither Xen nor the processor takes such an address, and the kernel's half is no program's. */
        while (unlikely(frame->rip > USER_ADDRESS_HIGH)) {
            upcall_user_trap(frame, TRAP_GENERAL_PROTECTION, 0);
            upcall_return_to_user(frame);
        }
        cpu_events_mask();
    } while (machine != cpu_machine_current() || upcalls != machine->upcalls);

    /* What a program, or a debugger, may have put there cannot reach beyond user mode. */
    frame->cs = SELECTOR_USER_CODE;
    frame->ss = SELECTOR_USER_STACK;
    frame->rflags = (frame->rflags & TRAP_FRAME_USER_RFLAGS) | RFLAGS_FIXED | RFLAGS_INTERRUPT;
    machine->cpu.event_mask_depth--;
}

void entry_system_call(struct trap_frame *frame)
{
    cpu_current()->event_mask_depth++;
    frame->cs = SELECTOR_USER_CODE; /* without the saved mask, which Xen keeps above the selector */
    cpu_events_unmask();
    upcall_system_call(frame);
    cpu_events_mask();
    entry_prepare_user(frame);
}

/* In kernel code; the frame is the kernel's. Goes on at the fix-up where there is one, else it is the end. */
static void kernel_trap(struct trap_frame *frame, uint64_t address)
{
    uint64_t fixup = exception_table_find(frame->rip);

    if (fixup == 0)
        trap_report_and_panic(frame, address);
    frame->rip = fixup;
}

static void page_fault(struct trap_frame *frame, uint64_t address)
{
    bool deliverable = frame->rflags & RFLAGS_INTERRUPT;
    bool from_user = trap_frame_is_user(frame);
    /* The processor's word for user mode, which ring 0's programs do not get from it. */
    uint64_t error = FRAME_ERROR(frame) | (from_user ? FAULT_USER : 0);
    bool in_user_half = user_range_valid(address, 1);

    if (from_user && !in_user_half) {
        /* The kernel's half is no program's, whatever the tables say: a fault there goes up as any other. */
        cpu_events_unmask();
        upcall_page_fault(frame, address, error);
        cpu_events_mask();
        return;
    }
    if (!from_user && (!in_user_half || !deliverable || exception_table_find(frame->rip) == 0)) {
        kernel_trap(frame, address);
        return;
    }
    cpu_events_unmask();
    bool handled = upcall_page_fault(frame, address, error);
    cpu_events_mask();
    if (!handled && !from_user)
        kernel_trap(frame, address);
}

void entry_trap(struct trap_frame *frame, uint64_t fault_address)
{
    struct cpu_machine *machine = cpu_machine_current();
    unsigned int vector = FRAME_VECTOR(frame);
    bool from_user = trap_frame_is_user(frame);

    machine->cpu.event_mask_depth++;
    if (from_user)
        frame->cs = SELECTOR_USER_CODE;
    if (vector == TRAP_EVENT) {
        event_channel_deliver();
    } else if (vector == TRAP_PAGE_FAULT) {
        page_fault(frame, fault_address);
    } else if (from_user) {
        cpu_events_unmask();
        upcall_user_trap(frame, vector, FRAME_ERROR(frame));
        cpu_events_mask();
    } else {
        kernel_trap(frame, 0);
    }

    if (from_user)
        entry_prepare_user(frame);
    else
        cpu_current()->event_mask_depth--;
}
