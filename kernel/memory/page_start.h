/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator's beginning, for the roof.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

/* Takes over what the memory map says is free. */
void page_start(void);
/* Gives pages to the allocator that were reserved at the start: the ramdisk, once it is unpacked. */
void page_add_range(pfn_t first, uint64_t count);
