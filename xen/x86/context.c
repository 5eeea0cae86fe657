/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switching between threads: extended state and segment bases of user threads, page-table root, stack.
 *
 * FS: with FSGSBASE the program may change its base behind our back, so it is read at every switch; without, only system
 * calls change it. GS: the program's base is the processor's inactive one while the kernel runs (segment_base.h); programs
 * are not told of wrgsbase (AT_HWCAP2), so what we set is what it is. Each CPU remembers what it has loaded, and loads
 * differences only.
 */
#include "xen/x86/context.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/x86/extended_state.h"
#include "xen/x86/paging.h"
#include "xen/x86/processor.h"
#include "xen/x86/segment_base.h"
#include "xen/x86/trap.h"
#include "xen/x86/trap_frame.h"

/* entry_pv.S and entry_pvh.S find the stack by current->context.stack_top. */
_Static_assert(offsetof(struct context, stack_top) == 8 && offsetof(struct context, interrupted) == 48 && sizeof(atomic_bool) == 1 &&
                   offsetof(struct context, unused) == 51 && offsetof(struct context, door_calls_left) == 52,
               "entry code");

void context_switch_stack(void **from_stack_pointer, void *to_stack_pointer);
extern char context_begin[];

/* What context_switch_stack() and context_begin find on a fresh stack. */
struct first_frame {
    uint64_t r15, r14, r13, r12, rbx, rbp, return_address;
};

void context_init(struct context *context, void *stack_base, size_t stack_bytes, void (*entry)(void *), void *argument)
{
    *context = (struct context){ .stack_top = (char *)stack_base + stack_bytes, .switched = true };
    /* Below the place of the user frame, 16-byte aligned once the return address is taken. */
    struct first_frame *first = (struct first_frame *)(void *)context_user_frame(context) - 1;
    *first = (struct first_frame){
        .r12 = (uint64_t)entry,
        .r13 = (uint64_t)argument,
        .return_address = (uint64_t)context_begin,
    };
    context->stack_pointer = first;
}

struct trap_frame *context_user_frame(const struct context *context)
{
    return (struct trap_frame *)context->stack_top - 1;
}

static void fs_base_load(struct cpu_machine *machine, uint64_t base)
{
    if (processor_has_fsgsbase())
        __asm__ volatile("wrfsbase %0" : : "r"(base));
    else if (machine->fs_base != base)
        segment_base_set_fs(base);
    machine->fs_base = base;
}

static void gs_base_load(struct cpu_machine *machine, uint64_t base)
{
    if (machine->user_gs_base != base)
        segment_base_set_user_gs(base);
    machine->user_gs_base = base;
}

static void user_state_load(struct cpu_machine *machine, const struct context *context)
{
    if (context->root)
        paging_root_activate(context->root);
    extended_state_load(context->extended_state);
    fs_base_load(machine, context->fs_base);
    gs_base_load(machine, context->gs_base);
}

static void user_state_save(struct context *context)
{
    extended_state_switch_out(context->extended_state);
    if (processor_has_fsgsbase())
        __asm__ volatile("rdfsbase %0" : "=r"(context->fs_base));
}

void context_switch(struct context *from, struct context *to)
{
    struct cpu_machine *machine = cpu_machine_current();

    assert(cpu_events_masked());
    if (from->extended_state)
        user_state_save(from);
    if (to->extended_state)
        user_state_load(machine, to);
    context_switch_stack(&from->stack_pointer, to->stack_pointer);
}

void context_set_fs_base(struct context *context, uint64_t base)
{
    cpu_events_mask();
    context->fs_base = base;
    fs_base_load(cpu_machine_current(), base);
    cpu_events_unmask();
}

void context_set_gs_base(struct context *context, uint64_t base)
{
    cpu_events_mask();
    context->gs_base = base;
    context->unfinished = true; /* the way out of a door leaves %gs alone */
    gs_base_load(cpu_machine_current(), base);
    cpu_events_unmask();
}

void context_reload_gs_base(void)
{
    segment_base_set_user_gs(cpu_machine_current()->user_gs_base);
}

uint64_t context_get_fs_base(const struct context *context)
{
    uint64_t base = context->fs_base;

    if (processor_has_fsgsbase())
        __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

void context_enter_user(struct context *context)
{
    struct trap_frame *frame = context_user_frame(context);

    cpu_events_mask();
    user_state_load(cpu_machine_current(), context);
    cpu_events_unmask();
    entry_prepare_user(frame);
    entry_leave_to(frame);
}
