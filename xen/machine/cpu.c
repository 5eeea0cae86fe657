/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-CPU blocks and the kick. The event mask and idling are cpu_pv.c's or cpu_pvh.c's.
 */
#include "xen/machine/cpu.h"

#include <stdatomic.h>

#include <stdint.h>

#include <xen/sched.h>
#include <xen/vcpu.h>

#include "kernel/base/bits.h"
#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/event_channel.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/shared_info.h"
#include "xen/machine/vdso_page.h"
#include "xen/x86/frames.h"
#include "xen/x86/paging.h"

struct cpu_machine cpu_boot_block attribute_aligned(64);

_Atomic uint64_t cpu_started_mask;

/* Written as CPUs are started, before anybody can name them. */
static struct cpu_machine *_Atomic cpu_blocks[CPU_LIMIT];
static _Atomic uint64_t online_mask = 1;
static uint64_t placed_mask;          /* vcpu_infos that have moved, which cannot be done twice */
static struct vcpu_info last_vcpu_info attribute_aligned(64); /* of the CPU for which clock.c's page has no room */

void cpu_block_init(struct cpu_machine *machine, unsigned int number)
{
    struct cpu *cpu = &machine->cpu;

    cpu->self = cpu;
    cpu->number = number;
    cpu->event_mask_depth = 1; /* Xen starts a vCPU masked */
    cpu->kernel_mode = true;
    cpu->entry_stack_top = machine->entry_stack + CPU_ENTRY_STACK_BYTES;
    if (number < XEN_LEGACY_MAX_VCPUS)
        machine->vcpu_info = &shared_info_page.info.vcpu_info[number];
    atomic_store(&cpu_blocks[number], machine);
    atomic_fetch_or(&cpu_started_mask, 1ull << number);
}

void cpu_block_forget(const struct cpu_machine *machine)
{
    atomic_fetch_and(&cpu_started_mask, ~(1ull << machine->cpu.number));
    atomic_store(&cpu_blocks[machine->cpu.number], NULL);
}

bool cpu_place_vcpu_info(struct cpu_machine *machine)
{
    uint64_t bit = 1ull << machine->cpu.number;
    struct vcpu_info *place = vdso_page_vcpu_info(machine->cpu.number);

    if (place == NULL)
        place = &last_vcpu_info;
    struct vcpu_register_vcpu_info request = {
        .mfn = frames_gfn(frames_pfn_of_image(place)).number,
        .offset = (uint32_t)((uint64_t)place & PAGE_MASK),
    };
    /* Xen copies what was there, or starts it masked, and flags everything pending. */
    if ((placed_mask & bit) ||
        hypercall_3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, machine->cpu.number, (uint64_t)&request) == 0) {
        placed_mask |= bit;
        machine->vcpu_info = place;
    }
    return machine->vcpu_info != NULL;
}

struct cpu *cpu_by_number(unsigned int number)
{
    struct cpu_machine *machine = number < CPU_LIMIT ? atomic_load_explicit(&cpu_blocks[number], memory_order_acquire) : NULL;

    return machine ? &machine->cpu : NULL;
}

uint64_t cpu_online_mask(void)
{
    return atomic_load_explicit(&online_mask, memory_order_relaxed);
}

unsigned int cpu_online_count(void)
{
    return bits_count(cpu_online_mask());
}

void cpu_set_online(unsigned int number, bool online)
{
    if (online)
        atomic_fetch_or(&online_mask, 1ull << number);
    else
        atomic_fetch_and(&online_mask, ~(1ull << number));
}

bool cpu_events_masked(void)
{
    return cpu_current()->event_mask_depth > 0;
}

void cpu_yield(void)
{
    hypercall_2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

/* The kick's other work is done by the entry itself: whoever leaves the kernel looks at the reschedule flag. */
static void kick_receive(event_port_t port, void *data)
{
    (void)port;
    (void)data;
    paging_leave_dying();
}

int cpu_bind_kick(struct cpu_machine *machine)
{
    return machine->kick_port ? 0 : event_channel_bind_ipi(machine->cpu.number, kick_receive, NULL, &machine->kick_port);
}

void cpu_send_kicks(struct cpu_machine *machine)
{
    for (uint64_t rest = machine->kicks_due; rest != 0; rest &= rest - 1)
        event_channel_send(read_once(cpu_machine_by_number(bits_lowest(rest))->kick_port));
    machine->kicks_due = 0;
    machine->cpu.event_mask_depth &= ~CPU_KICKS_DUE;
}

void cpu_unmask_kicking(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    machine->cpu.event_mask_depth++;
    cpu_send_kicks(machine);
    cpu_events_unmask();
}

/*
 * Xen may well run the kicked vCPU in our place: who kicks under a spinlock would leave it held, and the kicked one would be the first
 * to want it. So kicks wait until events are about to be unmasked.
 */
void cpu_kick(unsigned int number)
{
    struct cpu_machine *machine = cpu_machine_by_number(number);

    if (machine == NULL || machine == cpu_machine_current() || machine->kick_port == 0) /* it is bound before the CPU runs */
        return;
    cpu_events_mask();
    cpu_machine_current()->kicks_due |= 1ull << number;
    cpu_current()->event_mask_depth |= CPU_KICKS_DUE;
    cpu_events_unmask();
}

void cpu_kick_and_wait(uint64_t mask)
{
    uint64_t before[CPU_LIMIT];

    cpu_events_mask();
    mask &= cpu_online_mask() & ~(1ull << cpu_current()->number); /* wherever we go from here, we are no program there */
    cpu_events_unmask();
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
        unsigned int number = bits_lowest(rest);
        before[number] = read_once(cpu_blocks[number]->upcalls);
        cpu_kick(number);
    }
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
        unsigned int number = bits_lowest(rest);
        while (read_once(cpu_blocks[number]->upcalls) == before[number] && (cpu_online_mask() & (1ull << number)))
            cpu_yield();
    }
}
