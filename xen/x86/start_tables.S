/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH's page tables: start_pvh.S fills the first of them, direct_map_pvh.c the rest; and the emergency stack. They lie
 * behind image_end, so that a PV guest does not keep them.
 */

#define TABLE_BYTES 4096

    .section .start_tables, "aw", @nobits
    .balign TABLE_BYTES
.macro table name
    .globl \name
\name:
    .skip TABLE_BYTES
.endm
    table start_l4
    table start_l3
    table start_l3_image
    table start_l2_image
    table start_l1_image
    table start_l1_direct

/* What runs when a kernel stack is no good any more: double faults, machine checks. */
    .skip 2 * TABLE_BYTES
    .globl emergency_stack_top
emergency_stack_top:

/* The last four, for a GiB each; those that are not needed become free memory. */
    .globl start_l2
start_l2:
    .skip 4 * TABLE_BYTES
