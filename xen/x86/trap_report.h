/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a dying kernel says.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "xen/x86/trap_frame.h"

/* A trap in kernel code that nothing can take care of; `address` is the faulting one of page faults. */
void trap_report_and_panic(struct trap_frame *frame, uint64_t address) attribute_noreturn;
/* Registers panic()'s handler. */
void trap_report_start(void);
/* Logs the registers of a frame, as error lines: for programs killed by a trap, too. */
void trap_report_registers(const struct trap_frame *frame);
