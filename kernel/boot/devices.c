/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of drivers, and what the host's wishes (control/shutdown) do.
 */
#include "kernel/boot/devices.h"

#include <stdatomic.h>
#include <string.h>

#include "blkfront/driver.h"
#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/boot/sysrq.h"
#include "kernel/device/block_device.h"
#include "kernel/device/random.h"
#include "netfront/driver.h"
#include "xen/bus/control.h"
#include "xen/bus/grant_table.h"
#include "xen/bus/xenbus.h"
#include "xen/bus/xenstore.h"
#include "xen/machine/clock.h"
#include "xen/machine/shutdown.h"

#define SETTLE_NS 30000000000ull
#define QUICK_NS 1000000000ull

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

static bool have_xenstore; /* fixed after devices_start() */

void devices_start(void)
{
    random_init();
    int error = grant_table_init();
    if (error != 0)
        panic("grant table: error %d", error);
    error = xenstore_start();
    if (error == -ENODEV) {
        log_notice("no xenstore: no disks, no network");
        return;
    }
    if (error != 0)
        panic("xenstore: error %d", error);
    have_xenstore = true;
    xenbus_start(drivers);
}

bool devices_have_xenstore(void)
{
    return have_xenstore;
}

struct disk_awaited {
    struct block_watcher watcher;
    const char *name;
    atomic_bool there;
};

static void disk_changed(struct block_watcher *watcher, struct block_device *disk, enum block_change change)
{
    struct disk_awaited *awaited = container_of(watcher, struct disk_awaited, watcher);

    if (change == BLOCK_ADDED && strcmp(disk->name, awaited->name) == 0)
        atomic_store(&awaited->there, true);
}

static bool disk_is_there(void *data)
{
    return atomic_load(&((struct disk_awaited *)data)->there);
}

void devices_await_disk(const char *name)
{
    struct disk_awaited awaited = {.watcher.changed = disk_changed, .name = name};

    if (!have_xenstore)
        return;
    block_watch(&awaited.watcher);
    (void)xenbus_wait(disk_is_there, &awaited, clock_monotonic_ns() + SETTLE_NS); /* who wants it will say what is missing */
    block_unwatch(&awaited.watcher);
}

void devices_settle(void)
{
    uint64_t start_ns = clock_monotonic_ns();

    if (!have_xenstore || xenbus_wait(NULL, NULL, start_ns + QUICK_NS) == 0)
        return;
    devices_control_start(); /* the host may lose its patience */
    if (xenbus_wait(NULL, NULL, start_ns + SETTLE_NS) != 0)
        log_warning("some devices are not connected after 30 seconds; going on");
}

void devices_control_start(void)
{
    static bool started;

    if (!have_xenstore || started)
        return;
    started = true;
    int error = control_start(&control_handlers);
    if (error != 0)
        log_error("control: not available (%d)", error);
}
