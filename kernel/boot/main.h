/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entries of the C kernel, called by start_pv.S and start_pvh.S, and where they meet.
 */
#pragma once

#include <stdint.h>

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/xen.h>

#include "kernel/base/compiler.h"

/* PV's own first steps, on the boot stack, with events masked and the loader's page tables. */
void boot_start_pv(const struct start_info *start_info) attribute_noreturn;
/* PVH's, on start_pvh.S's page tables. */
void boot_start_pvh(uint64_t start_info_physical) attribute_noreturn;
/* The rest, alike for PV and PVH. */
void boot_main(void) attribute_noreturn;
