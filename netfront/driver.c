/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network frontend's course through the bus's states:
 *
 *   probe: identify, register             → Initialising
 *   backend InitWait: offer, post buffers → Connected
 *   backend Connected                     : link up
 *   backend Closing, Closed: withdraw     → Closed   ; link down; frames in flight are lost
 *   backend InitWait while we are Closed: from the start
 *   violation by the backend              → Closing, link down for good
 *   directory gone: remove
 *
 * The interface's memory lives until the stack has released the last packet and reference.
 */
#include "netfront/driver.h"

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/thread.h"
#include "netfront/handshake.h"
#include "netfront/receive.h"
#include "netfront/transmit.h"
#include "xen/bus/xenbus.h"

/* May be called from the release of a packet, in any context: only gives memory back. */
static void driver_destroy(struct net_device *device)
{
    struct netfront_interface *interface = container_of(device, struct netfront_interface, device);

    netfront_transmit_destroy(interface);
    netfront_receive_destroy(interface);
    memory_free(interface);
}

static const struct net_device_ops driver_ops = {
    .transmit = netfront_transmit,
    .packet_release = netfront_packet_release,
    .destroy = driver_destroy,
};

static void driver_set_link(struct netfront_interface *interface, bool up)
{
    if (atomic_exchange(&interface->device.link_up, up) == up)
        return;
    log_info("%s: link %s", interface->device.name, up ? "up" : "down");
    net_device_changed(&interface->device);
}

void netfront_violation(struct netfront_interface *interface, const char *what)
{
    const char *none = NULL;

    if (!atomic_compare_exchange_strong(&interface->violation, &none, what))
        return;
    atomic_store(&interface->device.gone, true);
    deferred_work_schedule(&interface->violation_work);
}

static void driver_violation(struct deferred_work *work)
{
    struct netfront_interface *interface = container_of(work, struct netfront_interface, violation_work);

    mutex_lock(&interface->connection);
    xenbus_fail(interface->bus, -EPROTO, atomic_load(&interface->violation));
    netfront_handshake_withdraw(interface);
    driver_set_link(interface, false);
    mutex_unlock(&interface->connection);
}

static int driver_probe(struct xenbus_device *bus)
{
    struct netfront_interface *interface;
    int error = netfront_receive_init_all();

    if (error != 0)
        return error;
    interface = memory_allocate_zeroed(sizeof(*interface));
    if (!interface)
        return -ENOMEM;
    interface->bus = bus;
    interface->device.ops = &driver_ops;
    mutex_init(&interface->connection, "network connection", 0);
    deferred_work_init(&interface->violation_work, driver_violation);
    error = netfront_receive_init(interface);
    if (error == 0)
        error = netfront_transmit_init(interface);
    if (error == 0)
        error = netfront_handshake_identify(interface);
    if (error == 0)
        error = net_device_register(&interface->device);
    if (error != 0) {
        driver_destroy(&interface->device);
        return error;
    }
    net_device_take(&interface->device); /* ours, until remove */
    thread_start(interface->rx_thread);
    bus->data = interface;
    return 0;
}

static void driver_offer(struct netfront_interface *interface)
{
    int error = netfront_handshake_offer(interface);

    if (error != 0)
        xenbus_fail(interface->bus, error, "rings and event channels cannot be offered");
}

static void driver_disconnect(struct netfront_interface *interface)
{
    driver_set_link(interface, false);
    netfront_handshake_withdraw(interface);
    xenbus_set_state(interface->bus, XENBUS_CLOSED);
}

static void driver_backend_changed(struct xenbus_device *bus, enum xenbus_state state)
{
    struct netfront_interface *interface = bus->data;

    mutex_lock(&interface->connection);
    switch (state) {
    case XENBUS_INITIALISING:
    case XENBUS_INIT_WAIT:
        if (bus->state == XENBUS_CLOSED && !atomic_load(&interface->device.gone))
            xenbus_set_state(bus, XENBUS_INITIALISING);
        if (state == XENBUS_INIT_WAIT && bus->state == XENBUS_INITIALISING)
            driver_offer(interface);
        break;
    case XENBUS_CONNECTED:
        if (bus->state == XENBUS_CONNECTED)
            driver_set_link(interface, true);
        break;
    case XENBUS_CLOSING:
    case XENBUS_CLOSED:
        if (bus->state == XENBUS_CONNECTED || bus->state == XENBUS_CLOSING)
            driver_disconnect(interface);
        break;
    default:
        break;
    }
    mutex_unlock(&interface->connection);
}

static void driver_remove(struct xenbus_device *bus)
{
    struct netfront_interface *interface = bus->data;

    atomic_store(&interface->device.gone, true);
    mutex_lock(&interface->connection);
    driver_set_link(interface, false);
    netfront_handshake_withdraw(interface);
    mutex_unlock(&interface->connection);
    netfront_receive_end_thread(interface);
    deferred_work_cancel(&interface->violation_work); /* nobody is left who could schedule it */
    log_notice("%s: removed", interface->device.name);
    net_device_unregister(&interface->device);
    net_device_release(&interface->device);
}

const struct xenbus_driver netfront_driver = {
    .class_name = "vif",
    .keys = netfront_keys,
    .offer_keys = netfront_offer_keys,
    .probe = driver_probe,
    .backend_changed = driver_backend_changed,
    .remove = driver_remove,
};
