/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The upcalls (xen/machine/upcalls.h) of rooms that this build does not have. Whoever brings such a room takes its
 * functions out of here.
 */
#include "xen/machine/upcalls.h"

#include "kernel/base/panic.h"

void upcall_system_call(struct trap_frame *frame)
{
    (void)frame;
    panic("a system call, and no kernel/linux in this build");
}
