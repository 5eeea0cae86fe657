/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All entries, in C: events to their handlers, page faults to the pager, other traps to the program or the panic, system
 * calls up; and the last steps before user mode.
 *
 * Event mask: events are masked at every entry (by Xen, or the gate's interrupt flag). That counts as one level of event_mask_depth,
 * which traps of code that had events deliverable take back while they are served; for system calls the entry code has done so. The
 * frame's interrupt flag brings the interrupted mask back at the end.
 *
 * Back to user mode: an event after the last look at what is due could bring new work (a signal, the end of the slice), and
 * would be taken while the frame is being loaded. So upcall_return_to_user() looks with events masked. What comes after that look stays
 * pending, and Xen delivers it as soon as the program runs.
 */
#include "xen/x86/trap.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/event_deliver.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/context.h"
#include "xen/x86/descriptors_pvh.h"
#include "xen/x86/door.h"
#include "xen/x86/exception_table.h"
#include "xen/x86/paging.h"
#include "xen/x86/trap_report.h"
#include "xen/x86/user_access.h"

#define SELECTOR_USER_CODE 0xe033u
#define SELECTOR_USER_STACK 0xe02bu
#define RFLAGS_FIXED 0x2u
#define FAULT_USER 4u
#define OPCODE_INT 0xcdu

/* The door that this machine's entry code has; fixed at the start. */
static struct {
    uint64_t entry, inside;    /* from here to there, one has not come in yet */
    uint64_t leave, leave_end; /* and here one who has the program's stack again only has to jump */
} door;

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

/* Neither Xen nor the processor takes such an address, and the kernel's half is no program's. */
static attribute_noinline void frame_refuse(struct trap_frame *frame)
{
    do {
        cpu_events_unmask();
        upcall_user_trap(frame, TRAP_GENERAL_PROTECTION, 0);
        cpu_events_mask();
        upcall_return_to_user(frame);
    } while (frame->rip > USER_ADDRESS_HIGH);
}

void entry_prepare_user(struct trap_frame *frame)
{
    cpu_events_mask();
    upcall_return_to_user(frame);
    if (unlikely(frame->rip > USER_ADDRESS_HIGH))
        frame_refuse(frame);

    /* What a program, or a debugger, may have put there cannot reach beyond user mode. */
    frame->cs = SELECTOR_USER_CODE;
    frame->ss = SELECTOR_USER_STACK;
    frame->rflags = (frame->rflags & TRAP_FRAME_USER_RFLAGS) | RFLAGS_FIXED | RFLAGS_INTERRUPT;
    cpu_current()->event_mask_depth--;
}

void entry_system_call(struct trap_frame *frame)
{
    frame->cs = SELECTOR_USER_CODE; /* without the saved mask, which Xen keeps above the selector */
    cpu_machine_current()->system_call_traps++;
    upcall_call_site(frame);
    upcall_system_call(frame);
    entry_prepare_user(frame);
}

uint64_t trap_system_calls(void)
{
    uint64_t count = 0;

    for (unsigned int number = 0; number < CPU_LIMIT; number++) {
        const struct cpu_machine *machine = cpu_machine_by_number(number);
        count += machine ? read_once(machine->system_call_traps) : 0;
    }
    return count;
}

void trap_set_door(const char *entry, const char *inside, const char *leave, const char *leave_end)
{
    door.entry = (uint64_t)entry;
    door.inside = (uint64_t)inside;
    door.leave = (uint64_t)leave;
    door.leave_end = (uint64_t)leave_end;
}

uint64_t door_entry_address(void)
{
    return door.entry;
}

/*
 * The program, in the kernel's code: before the door, where it is as at its `syscall`, or at the jump back. A page fault before the door is one by
 * %gs, of a program that has loaded the selector (true): the base is set anew, and the call is made by `syscall`.
 */
static bool door_leave(struct trap_frame *frame, unsigned int vector)
{
    if (frame->rip >= door.entry && frame->rip < door.inside) {
        frame->rip = frame->rcx - SYSCALL_BYTES;
        if (vector != TRAP_PAGE_FAULT)
            return false;
        context_reload_gs_base();
        return true;
    }
    if (frame->rip >= door.leave && frame->rip < door.leave_end)
        frame->rip = frame->rcx;
    return false;
}

/* In kernel code; the frame is the kernel's. Goes on at the fix-up where there is one, else it is the end. */
static void kernel_trap(struct trap_frame *frame, uint64_t address)
{
    uint64_t fixup = exception_table_find(frame->rip);

    if (fixup == 0)
        trap_report_and_panic(frame, address);
    frame->rip = fixup;
}

/* In the kernel's own code. */
static void page_fault(struct trap_frame *frame, uint64_t address)
{
    bool deliverable = frame->rflags & RFLAGS_INTERRUPT;
    bool handled = false;

    if (deliverable && user_range_valid(address, 1) && exception_table_find(frame->rip) != 0) {
        cpu_events_unmask();
        handled = upcall_page_fault(frame, address, FRAME_ERROR(frame));
        cpu_events_mask();
    }
    if (!handled)
        kernel_trap(frame, address);
}

/*
 * PVH, where events have an error code: a program's `int` of the event's vector comes as an event does, but with nothing pending. It
 * ends as any `int` that is not for programs: at the instruction, which a gate that is present has passed. Without an `int` it is
 * an event after all.
 */
static bool is_event_instruction(struct trap_frame *frame)
{
    uint64_t start = frame->rip - (FRAME_ERROR(frame) == GATE_ERROR_EXTERNAL ? 2 : 0);
    uint8_t code[2];

    if (user_copy_in(code, start, sizeof(code)) != 0 || code[0] != OPCODE_INT || code[1] != GATE_EVENT)
        return false;
    frame->rip = start;
    return true;
}

static void user_trap(struct trap_frame *frame, unsigned int vector, uint64_t fault_address)
{
    bool nothing_pending = false, served = false;

    frame->cs = SELECTOR_USER_CODE;
    if (unlikely(frame->rip > USER_ADDRESS_HIGH))
        served = door_leave(frame, vector);
    if (vector == TRAP_EVENT) {
        nothing_pending = FRAME_ERROR(frame) != 0 && !read_once(cpu_machine_current()->vcpu_info->evtchn_upcall_pending);
        event_channel_deliver();
    }
    cpu_events_unmask();
    if (unlikely(nothing_pending) && is_event_instruction(frame))
        vector = TRAP_GENERAL_PROTECTION;
    /* A fault in the kernel's half, which is no program's whatever the tables say, goes up as any other. The processor's word
     * for user mode is not what it gives to ring 0's programs. */
    if (served)
        vector = TRAP_EVENT; /* nothing more to do */
    if (vector == TRAP_PAGE_FAULT)
        upcall_page_fault(frame, fault_address, FRAME_ERROR(frame) | FAULT_USER);
    else if (vector != TRAP_EVENT)
        upcall_user_trap(frame, vector, FRAME_ERROR(frame));
    entry_prepare_user(frame);
}

void entry_trap(struct trap_frame *frame, uint64_t fault_address)
{
    struct cpu *cpu = cpu_current();
    unsigned int vector = FRAME_VECTOR(frame);

    cpu->event_mask_depth++;
    if (trap_frame_is_user(frame)) {
        user_trap(frame, vector, fault_address);
        return;
    }
    if (vector == TRAP_EVENT)
        event_channel_deliver();
    else if (vector == TRAP_PAGE_FAULT)
        page_fault(frame, fault_address);
    else
        kernel_trap(frame, 0);
    cpu_current()->event_mask_depth--;
}
