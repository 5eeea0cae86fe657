/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event mask under PVH: the processor's interrupt flag, as events come as an interrupt. Xen keeps no mask of its own
 * there (evtchn_upcall_mask means nothing), and what is pending is delivered by sti itself.
 */
#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/cpu_mode.h"

void cpu_events_mask_pvh(void)
{
    __asm__ volatile("cli" : : : "memory");
    cpu_current()->event_mask_depth++;
}

void cpu_events_unmask_pvh(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    assert(machine->cpu.event_mask_depth > 0);
    if (cpu_mask_take_back(machine))
        __asm__ volatile("sti" : : : "memory");
}

void cpu_wait_for_event_pvh(void)
{
    cpu_send_kicks(cpu_machine_current());
    assert(cpu_current()->event_mask_depth == 1);
    /* Nothing is delivered between sti and the instruction behind it, so no event is lost. */
    __asm__ volatile("sti\n hlt\n cli" : : : "memory");
}
