/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant frames under PV: GNTTABOP_setup_table tells their machine frames, which the kernel maps.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

#include "kernel/base/frame_number.h"
#include "kernel/base/log.h"
#include "kernel/memory/kernel_map.h"
#include "xen/bus/grant_frames.h"
#include "xen/machine/hypercall.h"

#define FRAMES_LIMIT 64u

void *grant_frames_map_pv(unsigned int index)
{
    xen_pfn_t list[FRAMES_LIMIT];
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = index + 1 };

    if (index >= FRAMES_LIMIT)
        return NULL;
    set_xen_guest_handle(setup.frame_list, list);
    long result = hypercall_3(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (uint64_t)&setup, 1);
    if (result != 0 || setup.status != GNTST_okay) {
        log_error("grant table: Xen refuses %u frames (%ld, status %d)", index + 1, result, setup.status);
        return NULL;
    }
    gfn_t frame = { list[index] };
    return kernel_map_frames(&frame, 1, true);
}
