/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH's descriptors by number: for start_pvh.S and entry_pvh.S, and for trap_table_pvh.c, which fills the final tables.
 */
#pragma once

/* In the GDT; start_pvh.S has one of its own, with the code alone. */
#define SELECTOR_CODE 0x08
#define SELECTOR_STACK 0x10
#define SELECTOR_TASK 0x18

/* Gates in the interrupt table: the processor's that are special to us, and that of events, the last. */
#define GATE_NMI 2
#define GATE_DOUBLE_FAULT 8
#define GATE_NO_SEGMENT 11
#define GATE_MACHINE_CHECK 18
#define GATE_EVENT 32

#define GATE_BYTES 16
#define GATE_PRESENT_BYTE 5
#define GATE_PRESENT 0x80

/* In the error code of a gate that is not present. Its number is from bit 3 up; QEMU 7.2 has it from bit 4 up. */
#define GATE_ERROR_EXTERNAL 1 /* not by an instruction */
#define GATE_ERROR_TABLE 2    /* in the interrupt table */
