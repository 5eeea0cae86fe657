/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block frontend's course through the bus's states:
 *
 *   probe                        → Initialising
 *   backend InitWait: offer      → Initialised
 *   backend Connected: read, register, resume → Connected (again while Connected: the size may be new)
 *   backend Closing: pause, drain, withdraw   → Closed   ; requests wait
 *   backend Closed: withdraw (what was in flight is sent again to the next one) → Closed
 *   backend InitWait while we are Closed: from the start
 *   violation by the backend     → Closing, every request ends with -EIO, for good
 *   directory gone: remove
 *
 * The disk's memory lives until its last user lets go (block_device's reference).
 */
#include "blkfront/driver.h"

#include "blkfront/handshake.h"
#include "blkfront/transfer.h"
#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "xen/bus/xenbus.h"
#include "xen/machine/clock.h"

#define DRAIN_NS 5000000000ull

enum { KEY_NUMBER, KEY_TRUSTED };

static const char *const driver_keys[] = {[KEY_NUMBER] = "virtual-device", [KEY_TRUSTED] = "trusted", NULL};

static void driver_destroy(struct block_device *device)
{
    struct blkfront_disk *disk = container_of(device, struct blkfront_disk, device);

    blkfront_transfer_destroy(disk);
    memory_free(disk);
}

static const struct block_device_ops driver_ops = {
    .submit = blkfront_submit,
    .destroy = driver_destroy,
};

/* Thread context: the data path found the backend misbehaving. */
static void driver_violation(struct deferred_work *work)
{
    struct blkfront_disk *disk = container_of(work, struct blkfront_disk, violation_work);

    mutex_lock(&disk->connection);
    blkfront_transfer_fail(disk);
    xenbus_fail(disk->bus, -EPROTO, disk->violation);
    blkfront_handshake_withdraw(disk);
    mutex_unlock(&disk->connection);
}

static int driver_probe(struct xenbus_device *bus)
{
    struct blkfront_disk *disk = memory_allocate_zeroed(sizeof(*disk));
    uint64_t number = 0, trusted = 1; /* missing with older toolstacks */

    if (!disk)
        return -ENOMEM;
    int error = xenbus_number(bus, bus->own, KEY_NUMBER, UINT32_MAX, &number);
    (void)xenbus_number(bus, bus->own, KEY_TRUSTED, 1, &trusted);
    if (error == 0)
        error = blkfront_handshake_name((uint32_t)number, disk->device.name, &disk->device.number);
    if (error == 0)
        error = blkfront_transfer_init(disk);
    if (error != 0) {
        memory_free(disk);
        return error;
    }
    disk->trusted = trusted == 1;
    disk->handle = (uint16_t)number;
    disk->bus = bus;
    disk->device.ops = &driver_ops;
    disk->device.segments_per_request = BLKFRONT_SEGMENT_LIMIT;
    disk->device.bytes_per_request = BLKFRONT_SEGMENT_LIMIT * PAGE_SIZE;
    mutex_init(&disk->connection, "disk connection", 0);
    deferred_work_init(&disk->violation_work, driver_violation);
    bus->data = disk;
    return 0;
}

static void driver_offer(struct blkfront_disk *disk)
{
    int error = blkfront_handshake_offer(disk);

    if (error != 0)
        xenbus_fail(disk->bus, error, "ring and event channel cannot be offered");
}

static void driver_connect(struct blkfront_disk *disk)
{
    int error = blkfront_handshake_read(disk);

    if (error == 0 && !disk->registered) {
        blkfront_transfer_resume(disk);
        /* The table has the first reference; ours goes in remove. */
        error = block_device_register(&disk->device);
        if (error == 0) {
            disk->registered = true;
            block_device_take(&disk->device);
        }
    } else if (error == 0) {
        blkfront_transfer_resume(disk);
    }
    if (error == 0) {
        xenbus_set_state(disk->bus, XENBUS_CONNECTED);
        return;
    }
    blkfront_transfer_fail(disk);
    xenbus_fail(disk->bus, error, "the disk is not usable");
    blkfront_handshake_withdraw(disk);
}

static void driver_disconnect(struct blkfront_disk *disk, bool drain)
{
    blkfront_transfer_pause(disk);
    if (drain && !blkfront_transfer_drain(disk, clock_monotonic_ns() + DRAIN_NS))
        log_warning("%s: the backend closes with requests unanswered", disk->device.name);
    blkfront_handshake_withdraw(disk);
    xenbus_set_state(disk->bus, XENBUS_CLOSED);
}

static void driver_backend_changed(struct xenbus_device *bus, enum xenbus_state state)
{
    struct blkfront_disk *disk = bus->data;

    mutex_lock(&disk->connection);
    switch (state) {
    case XENBUS_INITIALISING:
    case XENBUS_INIT_WAIT:
        if (bus->state == XENBUS_CLOSED && !atomic_load(&disk->device.gone))
            xenbus_set_state(bus, XENBUS_INITIALISING);
        if (state == XENBUS_INIT_WAIT && bus->state == XENBUS_INITIALISING)
            driver_offer(disk);
        break;
    case XENBUS_CONNECTED:
        if (bus->state == XENBUS_INITIALISED)
            driver_connect(disk);
        else if (bus->state == XENBUS_CONNECTED)
            (void)blkfront_handshake_read(disk); /* the size may be new; a nonsensical one was refused with a line */
        break;
    case XENBUS_CLOSING:
        if (bus->state != XENBUS_CLOSED)
            driver_disconnect(disk, bus->state == XENBUS_CONNECTED);
        break;
    case XENBUS_CLOSED:
        if (bus->state == XENBUS_CONNECTED || bus->state == XENBUS_INITIALISED || bus->state == XENBUS_CLOSING)
            driver_disconnect(disk, false);
        break;
    default:
        break;
    }
    mutex_unlock(&disk->connection);
}

static void driver_remove(struct xenbus_device *bus)
{
    struct blkfront_disk *disk = bus->data;

    blkfront_transfer_fail(disk);
    deferred_work_cancel(&disk->violation_work);
    mutex_lock(&disk->connection);
    blkfront_handshake_withdraw(disk);
    mutex_unlock(&disk->connection);
    if (!disk->registered) {
        driver_destroy(&disk->device);
        return;
    }
    log_notice("%s: removed", disk->device.name);
    block_device_unregister(&disk->device);
    block_device_release(&disk->device);
}

const struct xenbus_driver blkfront_driver = {
    .class_name = "vbd",
    .keys = driver_keys,
    .connect_keys = blkfront_connect_keys,
    .probe = driver_probe,
    .backend_changed = driver_backend_changed,
    .remove = driver_remove,
};
