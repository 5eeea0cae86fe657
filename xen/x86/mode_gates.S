/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that PV and PVH have each in a version of its own, NAME_pv and NAME_pvh. NAME itself is a jump, to PV's in
 * the file; the start of PVH points them all at the other ones, once, while the code can still be written.
 */

#define JUMP_RELATIVE 0xe9

    .section .rodata.mode_gates, "a", @progbits
    .balign 8
    .globl mode_gates
mode_gates:

.macro mode_gate name
    .text
    .globl \name
    .type \name, @function
\name:
    .byte JUMP_RELATIVE
    .long \name\()_pv - . - 4
    .size \name, . - \name
    .section .rodata.mode_gates, "a", @progbits
    .quad \name, \name\()_pvh
.endm

    mode_gate cpu_events_mask
    mode_gate cpu_events_unmask
    mode_gate cpu_wait_for_event
    mode_gate entry_leave_to
    mode_gate frames_early_address
    mode_gate frames_gfn
    mode_gate frames_pfn_of_gfn
    mode_gate processor_cpuid
    mode_gate segment_base_set_fs
    mode_gate segment_base_set_user_gs
    mode_gate spinlock_lock
    mode_gate spinlock_unlock

    .globl mode_gates_end
mode_gates_end:
