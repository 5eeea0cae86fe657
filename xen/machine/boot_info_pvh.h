/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading PVH's hvm_start_info.
 */
#pragma once

#include <stdint.h>

#include <xen/arch-x86/hvm/start_info.h>

/* Fills boot_info from it and from the HVM parameters, fills the memory map, places the shared info page. */
void boot_info_read_pvh(const struct hvm_start_info *start_info);
