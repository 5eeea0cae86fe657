/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PV's numbering of frames: pfn to mfn by our own list (the loader's, kept where it lies), mfn to pfn by Xen's table,
 * which every guest may read. An mfn that is not ours reads as anything there, or is not mapped at all; the list decides.
 */
#include "xen/x86/frames.h"

#include <stdint.h>

#include <xen/xen.h>

#include "xen/x86/exception_table.h"
#include "xen/x86/frames_mode.h"
#include "xen/x86/frames_pv.h"

#define MACHINE_TO_PFN 0xffff800000000000ull

static const uint64_t *pfn_to_mfn;
static uint64_t pfn_count;
static bool direct_map_stands;

void frames_start_pv(const uint64_t *list, uint64_t count)
{
    pfn_to_mfn = list;
    pfn_count = count;
}

void frames_direct_map_stands(const uint64_t *list, uint64_t count)
{
    pfn_to_mfn = list;
    pfn_count = count;
    direct_map_stands = true;
}

gfn_t frames_gfn_pv(pfn_t pfn)
{
    return (gfn_t){ likely(pfn.number < pfn_count) ? pfn_to_mfn[pfn.number] : ~0ull };
}

bool frames_pfn_of_gfn_pv(gfn_t gfn, pfn_t *pfn)
{
    uint64_t number = ~0ull;

    if (gfn.number >> 40 != 0)
        return false;
    __asm__ volatile("1: mov (%1), %0\n2:\n" EXCEPTION_ENTRY("1b", "2b")
                     : "+r"(number)
                     : "r"(MACHINE_TO_PFN + gfn.number * 8)
                     : "memory");
    if (number >= pfn_count || pfn_to_mfn[number] != gfn.number)
        return false;
    pfn->number = number;
    return true;
}

void *frames_early_address_pv(gfn_t gfn)
{
    pfn_t pfn;

    if (!frames_pfn_of_gfn_pv(gfn, &pfn))
        return NULL;
    if (direct_map_stands)
        return frames_address(pfn);
    return (void *)(KERNEL_IMAGE_BASE + (pfn.number << PAGE_SHIFT));
}
