/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant frames under PVH: XENMEM_add_to_physmap puts them in place of a page of our own, which the direct map shows (the page's
 * memory goes back to Xen). The table grows by itself with the index asked for.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/memory.h>

#include "kernel/base/log.h"
#include "kernel/memory/page.h"
#include "xen/bus/grant_frames.h"
#include "xen/machine/hypercall.h"

void *grant_frames_map_pvh(unsigned int index)
{
    struct page *page = page_allocate(0, PAGE_RESERVED, 0);
    if (!page)
        return NULL;

    struct xen_add_to_physmap add = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_grant_table,
        .idx = index,
        .gpfn = page_pfn(page).number,
    };
    long result = hypercall_2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, (uint64_t)&add);
    if (result != 0) {
        log_error("grant table: Xen refuses frame %u (%ld)", index, result);
        page_release(page);
        return NULL;
    }
    return page_address(page);
}
