/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator's beginning, for the roof.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"
#include "kernel/memory/page.h"

/* Takes over what the memory map says is free. */
void page_start(void);
/* Pages that were reserved at the start (the ramdisk's) are allocated ones of that kind from now on, with one reference each. */
void page_take_reserved(pfn_t first, uint64_t count, enum page_kind kind);
