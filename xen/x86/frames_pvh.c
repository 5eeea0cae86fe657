/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH's numbering of frames: Xen takes our own numbers. The first 4 GiB are in the direct map from the first instructions on.
 */
#include "xen/x86/frames.h"
#include "xen/x86/frames_mode.h"
#include "xen/x86/memory_map.h"

gfn_t frames_gfn_pvh(pfn_t pfn)
{
    return (gfn_t){ pfn.number };
}

bool frames_pfn_of_gfn_pvh(gfn_t gfn, pfn_t *pfn)
{
    pfn->number = gfn.number;
    return gfn.number < memory_map_end();
}

void *frames_early_address_pvh(gfn_t gfn)
{
    return frames_address((pfn_t){ gfn.number });
}
