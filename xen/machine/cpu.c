/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-CPU blocks, the event mask, idling, and the kick.
 *
 * The mask under PV is the byte evtchn_upcall_mask in vcpu_info: Xen looks at it only when it returns to the guest, so
 * after clearing it one must look for events that came meanwhile and enter Xen once to have them delivered (any
 * hypercall does). The byte is written by its own CPU only; compiler barriers are enough.
 */
#include "xen/machine/cpu.h"

#include <stdatomic.h>

#include <stdint.h>

#include <xen/sched.h>
#include <xen/vcpu.h>

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/event_channel.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/shared_info.h"
#include "xen/machine/vdso_page.h"
#include "xen/x86/frames.h"
#include "xen/x86/paging.h"

struct cpu_machine cpu_boot_block attribute_aligned(64);

/* Written as CPUs come up, before anybody can name them. */
static struct cpu_machine *cpu_blocks[CPU_LIMIT];
static atomic_uint cpu_count;
static event_port_t kick_ports[CPU_LIMIT];

void cpu_block_init(struct cpu_machine *machine, unsigned int number)
{
    struct cpu *cpu = &machine->cpu;

    cpu->self = cpu;
    cpu->number = number;
    cpu->event_mask_depth = 1; /* Xen starts a vCPU masked */
    cpu->entry_stack_top = machine->entry_stack + CPU_ENTRY_STACK_BYTES;
    cpu->machine = machine;
    machine->vcpu_info = &shared_info_page.info.vcpu_info[number];
    cpu_blocks[number] = machine;
    atomic_fetch_add(&cpu_count, 1);
}

void cpu_place_vcpu_info(void)
{
    struct cpu_machine *machine = cpu_machine_current();
    struct vcpu_info *place = vdso_page_vcpu_info(machine->cpu.number);

    if (place == NULL)
        return;
    struct vcpu_register_vcpu_info request = {
        .mfn = frames_gfn(frames_pfn_of_image(place)).number,
        .offset = (uint32_t)((uint64_t)place & PAGE_MASK),
    };
    if (hypercall_3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, machine->cpu.number, (uint64_t)&request) == 0)
        machine->vcpu_info = place; /* Xen copied it, masked, and flagged everything pending */
}

struct cpu *cpu_by_number(unsigned int number)
{
    return number < CPU_LIMIT && cpu_blocks[number] ? &cpu_blocks[number]->cpu : NULL;
}

unsigned int cpu_online_count(void)
{
    return atomic_load_explicit(&cpu_count, memory_order_relaxed);
}

void cpu_events_mask(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    write_once(machine->vcpu_info->evtchn_upcall_mask, 1);
    compiler_barrier();
    machine->cpu.event_mask_depth++;
}

void cpu_events_unmask(void)
{
    struct cpu_machine *machine = cpu_machine_current();
    struct vcpu_info *vcpu_info = machine->vcpu_info;

    assert(machine->cpu.event_mask_depth > 0);
    if (--machine->cpu.event_mask_depth > 0)
        return;
    compiler_barrier();
    write_once(vcpu_info->evtchn_upcall_mask, 0);
    compiler_barrier(); /* an event after this look finds the mask clear and is delivered by Xen itself */
    if (unlikely(read_once(vcpu_info->evtchn_upcall_pending)))
        hypercall_2(__HYPERVISOR_xen_version, 0, 0);
}

bool cpu_events_masked(void)
{
    return cpu_current()->event_mask_depth > 0;
}

void cpu_wait_for_event(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    assert(machine->cpu.event_mask_depth == 1);
    /* Unmasks and sleeps in one step, so no event is lost; what woke us has been delivered when it returns. */
    hypercall_2(__HYPERVISOR_sched_op, SCHEDOP_block, 0);
    write_once(machine->vcpu_info->evtchn_upcall_mask, 1);
    compiler_barrier();
}

/* The kick's other work is done by the entry itself: whoever leaves the kernel looks at the reschedule flag. */
static void kick_receive(event_port_t port, void *data)
{
    (void)port;
    (void)data;
    paging_leave_dying();
}

void cpu_kick(unsigned int number)
{
    if (number == cpu_current()->number || number >= CPU_LIMIT || !cpu_blocks[number])
        return;
    event_port_t port = read_once(kick_ports[number]);
    if (port == 0) {
        int error = event_channel_bind_ipi(number, kick_receive, NULL, &port);
        if (error != 0)
            panic("no event channel to kick CPU %u: error %d", number, error);
        write_once(kick_ports[number], port);
    }
    event_channel_send(port);
}
