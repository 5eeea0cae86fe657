/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that reads where nothing is mapped: for the look of its report (tests/lab/panic.test).
 */
#include "kernel/boot/first_program.h"

static int fault_deliberately(const volatile int *address)
{
    return *address;
}

void first_program_run(void)
{
    fault_deliberately((const volatile int *)0xffffc8fffffff123ull);
}
