/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first registers of a PV vCPU: Xen takes them all at once, so it begins in C, on the kernel's own page tables. Source: Xen,
 * public/arch-x86/xen.h, struct vcpu_guest_context, and arch_set_info_guest().
 */
#include <stdint.h>

#include <xen/vcpu.h>
#include <xen/xen.h>

#include "xen/machine/cpu_start.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/direct_map_pv.h"
#include "xen/x86/frames.h"
#include "xen/x86/trap.h"

#define SELECTOR_CODE 0xe033
#define SELECTOR_STACK 0xe02b
#define RFLAGS_FIXED 0x2

static int prepare(struct cpu_machine *machine, void *stack_top)
{
    /* Five KiB: it is read now, and lies where the new CPU's stack will be. */
    struct vcpu_guest_context *context = (struct vcpu_guest_context *)stack_top - 1;

    __builtin_memset(context, 0, sizeof(*context));
    context->flags = VGCF_in_kernel;
    context->user_regs.rip = (uint64_t)cpu_begin;
    context->user_regs.rsp = (uint64_t)stack_top - 8; /* as if it had been called */
    context->user_regs.cs = SELECTOR_CODE;
    context->user_regs.ss = SELECTOR_STACK;
    context->user_regs.rflags = RFLAGS_FIXED;
    context->kernel_ss = SELECTOR_STACK;
    context->kernel_sp = (uint64_t)machine->cpu.entry_stack_top;
    context->ctrlreg[3] = frames_gfn(direct_map_root()).number << PAGE_SHIFT;
    context->gs_base_kernel = (uint64_t)machine;
    return (int)hypercall_3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, machine->cpu.number, (uint64_t)context);
}

const struct cpu_start_ops cpu_start_pv = { .prepare = prepare, .begin = trap_start_pv };
