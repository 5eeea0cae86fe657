/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling Xen our entries, for the calling CPU: trap table, callbacks, and the stack for frames from user mode. All mask
 * events, so that none nests on the entry stack. Sources: Xen, public/arch-x86/xen.h (trap_info), public/callback.h.
 */
#include <stdint.h>

#include <xen/callback.h>
#include <xen/xen.h>

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/segment_base.h"
#include "xen/x86/trap.h"

#define SELECTOR_KERNEL_CODE 0xe033
#define SELECTOR_KERNEL_STACK 0xe02b
#define TRAP_FLAG_MASK_EVENTS 4

#define ENTRY(number, privilege)                                                                     \
    { .vector = (number), .flags = (privilege) | TRAP_FLAG_MASK_EVENTS, .cs = SELECTOR_KERNEL_CODE, \
      .address = (unsigned long)entry_trap_##number }

extern char entry_trap_0[], entry_trap_1[], entry_trap_3[], entry_trap_4[], entry_trap_5[], entry_trap_6[],
    entry_trap_7[], entry_trap_10[], entry_trap_11[], entry_trap_12[], entry_trap_13[], entry_trap_14[],
    entry_trap_16[], entry_trap_17[], entry_trap_19[];
extern char entry_event_pv[], entry_failsafe_pv[], entry_system_call_pv[];
extern char entry_door_pv[], entry_door_pv_inside[], leave_door_pv[], leave_user_end[];

static void callback_register(uint16_t type, const char *entry)
{
    struct callback_register request = { .type = type, .flags = CALLBACKF_mask_events, .address = (unsigned long)entry };

    if (hypercall_2(__HYPERVISOR_callback_op, CALLBACKOP_register, (uint64_t)&request) != 0)
        panic("Xen refuses callback %u", type);
}

void trap_start_pv(void)
{
    struct trap_info table[] = {
        ENTRY(0, 0),  ENTRY(1, 3),  ENTRY(3, 3),  ENTRY(4, 3),  ENTRY(5, 3),  ENTRY(6, 0),  ENTRY(7, 0),  ENTRY(10, 0),
        ENTRY(11, 0), ENTRY(12, 0), ENTRY(13, 0), ENTRY(14, 0), ENTRY(16, 0), ENTRY(17, 0), ENTRY(19, 0), { .address = 0 },
    };

    if (hypercall_1(__HYPERVISOR_set_trap_table, (uint64_t)table) != 0)
        panic("Xen refuses the trap table");
    callback_register(CALLBACKTYPE_event, entry_event_pv);
    callback_register(CALLBACKTYPE_failsafe, entry_failsafe_pv);
    callback_register(CALLBACKTYPE_syscall, entry_system_call_pv);
    if (hypercall_2(__HYPERVISOR_stack_switch, SELECTOR_KERNEL_STACK, (uint64_t)cpu_current()->entry_stack_top) != 0)
        panic("Xen refuses the entry stack");
    segment_base_set_user_gs_pv(0);
    trap_set_door(entry_door_pv, entry_door_pv_inside, leave_door_pv, leave_user_end);
}
