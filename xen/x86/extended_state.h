/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers the kernel itself never uses: x87, SSE, AVX and beyond. context.h has the functions for everybody.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Enables what the policy offers; with_xsave: CR4.OSXSAVE is on. */
void extended_state_start_cpu(bool with_xsave);
/* Save for a switch (may leave components out that are in their initial state), and load. */
void extended_state_switch_out(void *state);
void extended_state_load(const void *state);
