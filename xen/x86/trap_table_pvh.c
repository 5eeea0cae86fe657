/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling the processor our entries, for the calling CPU: descriptors, task state (for its interrupt stacks alone), the
 * interrupt table, which all CPUs share, and the registers of syscall. Everything is ring 0. All gates take the CPU's entry
 * stack; double faults and machine checks the emergency stack, of which there is one, as it serves once.
 *
 * Xen delivers events as an interrupt of the vector that HVM_PARAM_CALLBACK_IRQ names, on each vCPU, with no APIC involved.
 * Setting it from 64-bit code also fixes that Xen's shared structures are the 64-bit ones.
 *
 * The event's gate is not present at first, so that an event comes as the fault of that gate, which is the processor's own and
 * leads to the same code (entry_no_segment). QEMU's emulation of SVM needs it (7.2, helper_vmrun()): it delivers an injected
 * interrupt itself, but leaves its number where its main loop looks for exceptions, and that delivers it a second time, with
 * interrupts off or not, when QEMU is interrupted before the guest's next exception. On the entry stack the second frame
 * would lie over the first. Faults are delivered once. A processor says in the error code that no instruction was the cause,
 * which QEMU does not: the first event that says so makes the gate present, and no further event pays for two gates. Events
 * are a level in vcpu_info, so it does not matter by which way they come.
 */
#include <stdint.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/xen.h>

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/descriptors_pvh.h"
#include "xen/x86/model_register.h"
#include "xen/x86/processor.h"
#include "xen/x86/segment_base.h"
#include "xen/x86/trap.h"

#define DESCRIPTOR_CODE 0x00af9b000000ffffull
#define DESCRIPTOR_DATA 0x00cf93000000ffffull
#define DESCRIPTOR_TASK 0x0000890000000000ull
#define GATE_INTERRUPT 0x8e0000000000ull /* present, ring 0, interrupts off */
#define GATE_INTERRUPT_ABSENT 0xe0000000000ull

#define STACK_ENTRY 1u /* in the task state */
#define STACK_EMERGENCY 2u
#define STACK_NMI 3u
#define TASK_STACKS_WORD 7u /* 32-bit words: the first of seven 64-bit stacks lies at byte 36 */

#define GATE_COUNT (GATE_EVENT + 1u)
#define GATE_CODE_BYTES 16u

#define EFER_SYSCALL 0x1ull
#define EFER_NO_EXECUTE 0x800ull
#define LEAF_EXTENDED 0x80000001u
#define EXTENDED_EDX_NO_EXECUTE (1u << 20)
/* TF, IF, DF, NT, RF, AC: off when syscall enters. */
#define SYSCALL_FLAGS_OFF 0x54700ull

#define CALLBACK_VECTOR ((uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | GATE_EVENT)

struct gate {
    uint64_t low, high;
};

struct table_register {
    uint16_t limit;
    uint64_t base;
} attribute_packed;

_Static_assert(sizeof(struct gate) == GATE_BYTES, "entry_pvh.S");
_Static_assert(GATE_INTERRUPT - GATE_INTERRUPT_ABSENT == (uint64_t)GATE_PRESENT << 8 * GATE_PRESENT_BYTE, "entry_pvh.S");

/* entry_pvh.S makes the event's present. */
struct gate gates_pvh[GATE_COUNT] attribute_aligned(16);

extern char entry_gates_pvh[], entry_system_call_pvh[], entry_door_pvh[], entry_door_pvh_inside[], leave_door_pvh[], leave_door_pvh_end[], emergency_stack_top[];

static unsigned int gate_stack(unsigned int vector)
{
    switch (vector) {
    case GATE_DOUBLE_FAULT:
    case GATE_MACHINE_CHECK:
        return STACK_EMERGENCY;
    case GATE_NMI:
        return STACK_NMI;
    default:
        return STACK_ENTRY;
    }
}

static void gates_fill(void)
{
    for (unsigned int vector = 0; vector < GATE_COUNT; vector++) {
        uint64_t address = (uint64_t)entry_gates_pvh + vector * GATE_CODE_BYTES;
        gates_pvh[vector].low = (address & 0xffff) | SELECTOR_CODE << 16 | (uint64_t)gate_stack(vector) << 32 |
                                (vector == GATE_EVENT ? GATE_INTERRUPT_ABSENT : GATE_INTERRUPT) |
                                (address & 0xffff0000) << 32;
        gates_pvh[vector].high = address >> 32;
    }
}

static void stack_set(struct cpu_machine *machine, unsigned int stack, const void *top)
{
    machine->task_state[TASK_STACKS_WORD + 2 * stack] = (uint32_t)(uint64_t)top;
    machine->task_state[TASK_STACKS_WORD + 2 * stack + 1] = (uint32_t)((uint64_t)top >> 32);
}

static void descriptors_load(struct cpu_machine *machine)
{
    uint64_t task = (uint64_t)machine->task_state, limit = sizeof(machine->task_state) - 1;
    struct table_register table = { .limit = sizeof(machine->descriptors) - 1, .base = (uint64_t)machine->descriptors };
    struct table_register interrupts = { .limit = sizeof(gates_pvh) - 1, .base = (uint64_t)gates_pvh };

    stack_set(machine, STACK_ENTRY, machine->cpu.entry_stack_top);
    stack_set(machine, STACK_EMERGENCY, emergency_stack_top);
    stack_set(machine, STACK_NMI, machine->nmi_stack + sizeof(machine->nmi_stack));
    machine->task_state[sizeof(machine->task_state) / 4 - 1] = sizeof(machine->task_state) << 16; /* no I/O bitmap */
    machine->descriptors[SELECTOR_CODE / 8] = DESCRIPTOR_CODE;
    machine->descriptors[SELECTOR_STACK / 8] = DESCRIPTOR_DATA;
    machine->descriptors[SELECTOR_TASK / 8] =
        DESCRIPTOR_TASK | limit | (task & 0xffffff) << 16 | (task >> 24 & 0xff) << 56;
    machine->descriptors[SELECTOR_TASK / 8 + 1] = task >> 32;
    /* Both selectors are loaded anew, as every interrupt frame brings them back. */
    __asm__ volatile("lgdt %0\n lidt %1\n mov %2, %%ss\n ltr %w3\n push %4\n lea 1f(%%rip), %%rax\n push %%rax\n lretq\n1:\n"
                     :
                     : "m"(table), "m"(interrupts), "r"(SELECTOR_STACK), "r"(SELECTOR_TASK), "i"(SELECTOR_CODE)
                     : "rax", "memory");
}

void trap_start_cpu_pvh(void)
{
    if (!(processor_cpuid(LEAF_EXTENDED, 0).edx & EXTENDED_EDX_NO_EXECUTE))
        panic("the processor has no NX bit");
    descriptors_load(cpu_machine_current());
    segment_base_set_user_gs(0);
    cpu_machine_current()->user_gs_base = 0;
    model_register_write(MODEL_REGISTER_EFER, model_register_read(MODEL_REGISTER_EFER) | EFER_SYSCALL | EFER_NO_EXECUTE);
    model_register_write(MODEL_REGISTER_STAR, (uint64_t)SELECTOR_CODE << 32);
    model_register_write(MODEL_REGISTER_LSTAR, (uint64_t)entry_system_call_pvh);
    model_register_write(MODEL_REGISTER_SFMASK, SYSCALL_FLAGS_OFF);
}

void trap_start_pvh(void)
{
    struct xen_hvm_param callback = { .domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ, .value = CALLBACK_VECTOR };

    gates_fill();
    trap_set_door(entry_door_pvh, entry_door_pvh_inside, leave_door_pvh, leave_door_pvh_end);
    trap_start_cpu_pvh();
    long result = hypercall_2(__HYPERVISOR_hvm_op, HVMOP_set_param, (uint64_t)&callback);
    if (result != 0)
        panic("Xen refuses the interrupt vector for events: error %ld", result);
}
