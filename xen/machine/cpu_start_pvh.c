/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first registers of a PVH vCPU: Xen starts it in long mode, with flat segments, on the kernel's own page tables and with the
 * control registers of the CPU that starts it. Source: Xen, public/hvm/hvm_vcpu.h.
 */
#include <stdint.h>

#include <xen/hvm/hvm_vcpu.h>
#include <xen/vcpu.h>
#include <xen/xen.h>

#include "xen/machine/cpu_start.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/direct_map_pvh.h"
#include "xen/x86/model_register.h"
#include "xen/x86/trap.h"

#define RFLAGS_FIXED 0x2

/* GS finds nothing yet: Xen gives no base. */
static void begin(struct cpu_machine *machine)
{
    model_register_write(MODEL_REGISTER_GS_BASE, (uint64_t)machine);
    cpu_begin();
}

static int prepare(struct cpu_machine *machine, void *stack_top)
{
    struct vcpu_hvm_context context = { .mode = VCPU_HVM_MODE_64B };
    struct vcpu_hvm_x86_64 *registers = &context.cpu_regs.x86_64;

    __asm__ volatile("mov %%cr0, %0\n mov %%cr4, %1" : "=r"(registers->cr0), "=r"(registers->cr4));
    registers->cr3 = direct_map_root_pvh().number << PAGE_SHIFT;
    registers->efer = model_register_read(MODEL_REGISTER_EFER);
    registers->rip = (uint64_t)begin;
    registers->rsp = (uint64_t)stack_top - 8; /* as if it had been called */
    registers->rdi = (uint64_t)machine;
    registers->rflags = RFLAGS_FIXED;
    return (int)hypercall_3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, machine->cpu.number, (uint64_t)&context);
}

const struct cpu_start_ops cpu_start_pvh = { .prepare = prepare, .begin = trap_start_cpu_pvh };
