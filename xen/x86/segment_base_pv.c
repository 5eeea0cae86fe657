/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segment bases under PV: by hypercall. Xen keeps one GS base for each of the guest's modes and changes them itself.
 */
#include "xen/x86/segment_base.h"

#include <xen/xen.h>

#include "xen/machine/cpu.h"
#include "xen/machine/hypercall.h"

void segment_base_set_fs_pv(uint64_t base)
{
    hypercall_2(__HYPERVISOR_set_segment_base, SEGBASE_FS, base);
}

/* A program without a base of its own has the CPU's block there: what comes by a door stays in guest-user mode and goes by it. */
void segment_base_set_user_gs_pv(uint64_t base)
{
    hypercall_2(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER, base ? base : (uint64_t)cpu_current());
}
