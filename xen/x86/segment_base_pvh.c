/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segment bases under PVH: the processor's registers, which Xen leaves to the guest. The program's GS base waits where swapgs
 * gets it on the way out.
 */
#include "xen/x86/segment_base.h"

#include "xen/machine/cpu.h"
#include "xen/x86/model_register.h"

void segment_base_set_fs_pvh(uint64_t base)
{
    model_register_write(MODEL_REGISTER_FS_BASE, base);
}

/* A program without a base of its own has the CPU's block there, as under PV: what comes by a door does without swapgs. */
void segment_base_set_user_gs_pvh(uint64_t base)
{
    model_register_write(MODEL_REGISTER_INACTIVE_GS_BASE, base ? base : (uint64_t)cpu_current());
}
