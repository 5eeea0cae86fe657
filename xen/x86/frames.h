/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frame numbers and the direct map, where every page of RAM is mapped at DIRECT_MAP_BASE + pfn * 4096.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

#ifndef DIRECT_MAP_BASE /* host tests have theirs elsewhere */
#define DIRECT_MAP_BASE 0xffff880000000000ull
#endif
#define KERNEL_MAP_BASE 0xffffc90000000000ull   /* kernel/memory/kernel_map.h's range */
#define KERNEL_MAP_BYTES 0x0000008000000000ull  /* one entry of the root */
#define KERNEL_IMAGE_BASE 0xffffffff80000000ull

static inline void *frames_address(pfn_t pfn)
{
    return (void *)(DIRECT_MAP_BASE + (pfn.number << PAGE_SHIFT));
}

static inline pfn_t frames_pfn(const void *direct_map_address)
{
    return (pfn_t){ ((uint64_t)direct_map_address - DIRECT_MAP_BASE) >> PAGE_SHIFT };
}

/* Of something in the kernel's image (code, constants, static data). */
static inline pfn_t frames_pfn_of_image(const void *image_address)
{
    return (pfn_t){ ((uint64_t)image_address - KERNEL_IMAGE_BASE) >> PAGE_SHIFT };
}

/* What Xen takes for this page: its mfn under PV, its pfn under PVH. */
gfn_t frames_gfn(pfn_t pfn);
/* The other way, for frames that are ours; false where the frame is not. */
bool frames_pfn_of_gfn(gfn_t gfn, pfn_t *pfn);
/* A frame of ours in whatever mapping there is: the loader's at first, then the direct map. For boot code. */
void *frames_early_address(gfn_t gfn);
