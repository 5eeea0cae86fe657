/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading PV's start_info. The copy stays: memory set-up needs the loader's lists, resume the frame numbers.
 */
#pragma once

#include <stdint.h>

#include <xen/xen.h>

/* Fills boot_info from it, maps the shared info page. The first thing that runs. */
void boot_info_read_pv(const struct start_info *start_info);

/* The loader's own, whole; pointers in it are valid until the start of day's reclaim. */
extern struct start_info boot_start_info;
