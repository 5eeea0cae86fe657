/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's own half of a CPU's block: what xen/machine and xen/x86 keep for each vCPU. struct cpu is its first
 * member, so that cpu_current() is both. CPU 0's lies in the image; those of others are allocated when they are brought up.
 */
#pragma once

#include <stdint.h>

#include <xen/xen.h>

#include "kernel/base/compiler.h"
#include "xen/machine/cpu.h"
#include "xen/machine/event_channel.h"

#define CPU_HYPERCALL_COUNTS 64
#define CPU_QUEUE_ENTRIES 32
#define CPU_ENTRY_STACK_BYTES 1024
#define CPU_PORT_WORDS 16 /* of event ports, 1024 in all */
#define CPU_KICKS_DUE 0x80000000u /* a bit of event_mask_depth, so that the common unmask need not look for them */

struct paging_root;

/* Locks: everything is its own CPU's, but for what is atomic. */
struct cpu_machine {
    struct cpu cpu;                                    /* first */
    uint64_t hypercall_counts[CPU_HYPERCALL_COUNTS];   /* hypercall_gate.S counts here */
    struct vcpu_info *vcpu_info;                       /* Xen writes it too */
    uint64_t user_stack_pointer;                       /* entry_pvh.S: from a system call's first instructions to its stack */
    uint64_t upcalls;                                  /* rounds of event delivery so far */
    uint64_t system_call_traps;                        /* by `syscall`, not by doors */
    struct paging_root *active_root;                   /* NULL: the start of day's */
    _Atomic uint64_t ports[CPU_PORT_WORDS];            /* event ports that come to this CPU */
    event_port_t kick_port;                            /* cpu_kick() sends it; 0 while CPU 0 is alone */
    event_port_t timer_port;
    uint64_t kicks_due;                                /* CPUs to be kicked once no spinlock is held, with CPU_KICKS_DUE; see cpu_kick() */
    uint64_t fs_base;                                  /* what is loaded; see context.c */
    uint64_t user_gs_base;
    uint16_t held_ranks[8];                            /* debug builds: ranks of the spinlocks held */
    uint32_t held_count;
    uint32_t queue_count;
    int queue_error;
    struct multicall_entry queue[CPU_QUEUE_ENTRIES];
    uint64_t descriptors[5];                           /* PVH: the GDT */
    uint32_t task_state[26];                           /* PVH: the TSS, for its interrupt stacks */
    uint8_t nmi_stack[64] attribute_aligned(16);       /* PVH */
    uint8_t entry_stack[CPU_ENTRY_STACK_BYTES] attribute_aligned(16);
};

/* hypercall_gate.S, entry_pv.S and entry_pvh.S know these. */
_Static_assert(offsetof(struct cpu, current) == 16, "entry code and thread_current()");
_Static_assert(offsetof(struct cpu, reschedule) == 32 && offsetof(struct cpu, kernel_mode) == 33 && offsetof(struct cpu, call_counts) == 48, "entry_frame.h");
_Static_assert(offsetof(struct cpu_machine, hypercall_counts) == 56, "hypercall_gate.S");
_Static_assert(offsetof(struct cpu_machine, vcpu_info) == 568, "entry_pv.S");
_Static_assert(offsetof(struct cpu_machine, user_stack_pointer) == 576, "entry_pvh.S");

extern struct cpu_machine cpu_boot_block;

static inline struct cpu_machine *cpu_machine_current(void)
{
    return (struct cpu_machine *)(void *)cpu_current();
}

/* NULL for a CPU that was never started. */
static inline struct cpu_machine *cpu_machine_by_number(unsigned int number)
{
    return (struct cpu_machine *)(void *)cpu_by_number(number);
}

/* Sets up a CPU's block: CPU 0's at the start, that of a CPU to come. */
void cpu_block_init(struct cpu_machine *machine, unsigned int number);
/* Undoes it for a CPU that does not come. */
void cpu_block_forget(const struct cpu_machine *machine);
/*
 * Moves the vcpu_info of the current CPU, or of one that does not run, from the shared page into clock.c's page, where Xen allows
 * it. After the direct map. False: it has none at all (the shared page has 32).
 */
bool cpu_place_vcpu_info(struct cpu_machine *machine);
/* Gives the CPU the event that others kick it by. 0 or Xen's error. */
int cpu_bind_kick(struct cpu_machine *machine);
/* Sends the kicks that are due. No spinlock is held. */
void cpu_send_kicks(struct cpu_machine *machine);
/* The rest of an unmask that leaves CPU_KICKS_DUE alone in event_mask_depth: sends them, and has events delivered again. */
void cpu_unmask_kicking(void);
void cpu_set_online(unsigned int number, bool online);

/* CPUs that may hold translations of the kernel's half: all that were ever started. Xen reads it in flushes. */
extern _Atomic uint64_t cpu_started_mask;
