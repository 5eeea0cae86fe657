/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PV's and PVH's versions of what frames.h declares; mode_gates.S chooses.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

gfn_t frames_gfn_pv(pfn_t pfn);
gfn_t frames_gfn_pvh(pfn_t pfn);
bool frames_pfn_of_gfn_pv(gfn_t gfn, pfn_t *pfn);
bool frames_pfn_of_gfn_pvh(gfn_t gfn, pfn_t *pfn);
void *frames_early_address_pv(gfn_t gfn);
void *frames_early_address_pvh(gfn_t gfn);
