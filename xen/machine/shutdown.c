/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling Xen that the domain ends. The console's ring is drained first, as xenconsoled stops reading soon after.
 */
#include "xen/machine/shutdown.h"

#include <stdint.h>

#include <xen/sched.h>

#include "xen/machine/console_ring.h"
#include "xen/machine/hypercall.h"

void shutdown(enum shutdown_reason reason)
{
    struct sched_shutdown request = { .reason = (unsigned int)reason };

    console_drain();
    for (;;)
        hypercall_2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint64_t)&request);
}
