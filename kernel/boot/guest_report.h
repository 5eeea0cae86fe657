/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest tells the host by xenstore, below ~/data/xenolith (docs/guest-contract.md).
 */
#pragma once

#include "kernel/base/compiler.h"

/* A step of the boot is done now; `name` is kept. From the first instruction on. */
void guest_report_step(const char *name);
/* The clock has been started. */
void guest_report_clock(void);
/* The program has been started: writes the steps, and a line in the log. */
void guest_report_boot(void);
void guest_report_batch(unsigned int number, int status, uint64_t duration_ns);
void guest_report_address(const char *address);
/* From now on the host may ask where the memory is. */
void guest_report_listen(void);
/* The end: memory in use, then the status as a shell tells it. */
void guest_report_end(int status);
