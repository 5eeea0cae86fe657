/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of drivers, and what the host's wishes (control/shutdown) do.
 */
#include "kernel/boot/devices.h"

#include <stdatomic.h>

#include "blkfront/driver.h"
#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/boot/processors.h"
#include "kernel/boot/sysrq.h"
#include "kernel/device/random.h"
#include "netfront/driver.h"
#include "xen/bus/control.h"
#include "xen/bus/grant_table.h"
#include "xen/bus/xenbus.h"
#include "xen/bus/xenstore.h"
#include "xen/machine/clock.h"
#include "xen/machine/shutdown.h"

#define SETTLE_NS 30000000000ull

static const struct xenbus_driver *const drivers[] = {
    &blkfront_driver,
    &netfront_driver,
    NULL,
};

static void (*_Atomic program_stop)(void);

void devices_set_program_stop(void (*stop)(void))
{
    atomic_store(&program_stop, stop);
}

static void devices_shutdown(enum control_action action)
{
    void (*stop)(void) = atomic_exchange(&program_stop, NULL);

    if (stop)
        stop();
    shutdown(action == CONTROL_REBOOT ? SHUTDOWN_REASON_REBOOT : SHUTDOWN_REASON_POWEROFF);
}

static const struct control_handlers control_handlers = {.shutdown = devices_shutdown, .sysrq = sysrq_key};

void devices_start(void)
{
    int error;

    random_init();
    error = grant_table_init();
    if (error != 0)
        panic("grant table: error %d", error);
    error = xenstore_start();
    if (error == -ENODEV) {
        log_notice("no xenstore: no disks, no network");
        processors_start(false);
        return;
    }
    if (error != 0)
        panic("xenstore: error %d", error);
    processors_start(true);
    error = control_start(&control_handlers);
    if (error != 0)
        log_error("control: not available (%d)", error);
    error = xenbus_start(drivers);
    if (error != 0)
        log_error("xenbus: not available (%d)", error);
    else if (xenbus_wait_settled(clock_monotonic_ns() + SETTLE_NS) != 0)
        log_warning("some devices are not connected after 30 seconds; going on");
}
