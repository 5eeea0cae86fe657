/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses in the kernel's own mapping range, for what the direct map does not hold or not contiguously: grant
 * frames, shared rings of several pages, thread stacks with guard pages.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

/* Maps frames consecutively, with an unmapped guard page below and above; NULL when out of memory. May not be called in event context. */
void *kernel_map_frames(const gfn_t *frames, size_t count, bool writable);
void kernel_unmap(void *address, size_t count);
