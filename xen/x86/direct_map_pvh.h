/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH's start of day.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

/* Builds the direct map, protects the image, fills the memory map. Nothing may write code any more. */
void direct_map_start_pvh(void);
/* The L4 everything started with; its upper half is every root's. */
pfn_t direct_map_root_pvh(void);
