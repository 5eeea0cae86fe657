/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of network interfaces, and the way between a driver and the receiver that the stack registered.
 *
 * Every call of the receiver is counted while it runs, so that net_device_set_receiver() can wait for the last call
 * of the old one. Lock: table_mutex guards the lists, watchers are called under it; receiver_lock is inner to a driver's locks.
 */
#include "kernel/device/net_device.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/sched/mutex.h"

static struct mutex table_mutex = MUTEX_INITIALIZER(table_mutex, "network devices", 0);
static struct list devices = LIST_INITIALIZER(devices);   /* table_mutex */
static struct list watchers = LIST_INITIALIZER(watchers); /* table_mutex */
static unsigned int names_given;                          /* table_mutex */

static void net_tell(struct net_device *device, enum net_change change)
{
    struct net_watcher *watcher;

    assert(mutex_held(&table_mutex));
    list_for_each(watcher, &watchers, link)
        watcher->changed(watcher, device, change);
}

int net_device_register(struct net_device *device)
{
    const uint8_t *mac = device->mac;

    reference_init(&device->reference);
    spinlock_init(&device->receiver_lock, "network receiver", 0);
    wait_queue_init(&device->receiver_idle);
    device->receiver = NULL;
    device->receiver_calls = 0;
    mutex_lock(&table_mutex);
    format_string(device->name, sizeof(device->name), "eth%u", names_given++);
    list_add_last(&devices, &device->link);
    log_info("%s: %02x:%02x:%02x:%02x:%02x:%02x, mtu %u", device->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
             atomic_load(&device->mtu_bytes));
    net_tell(device, NET_ADDED);
    mutex_unlock(&table_mutex);
    return 0;
}

void net_device_unregister(struct net_device *device)
{
    atomic_store(&device->gone, true);
    atomic_store(&device->link_up, false);
    mutex_lock(&table_mutex);
    list_remove(&device->link);
    net_tell(device, NET_REMOVED);
    mutex_unlock(&table_mutex);
    net_device_set_receiver(device, NULL);
    net_device_release(device);
}

static struct net_receiver *net_receiver_enter(struct net_device *device)
{
    spinlock_lock(&device->receiver_lock);
    struct net_receiver *receiver = device->receiver;
    if (receiver)
        device->receiver_calls++;
    spinlock_unlock(&device->receiver_lock);
    return receiver;
}

static void net_receiver_leave(struct net_device *device)
{
    spinlock_lock(&device->receiver_lock);
    bool last = --device->receiver_calls == 0;
    spinlock_unlock(&device->receiver_lock);
    if (last)
        wait_queue_wake_all(&device->receiver_idle, 0);
}

static bool net_receiver_quiet(struct net_device *device)
{
    spinlock_lock(&device->receiver_lock);
    bool quiet = device->receiver_calls == 0;
    spinlock_unlock(&device->receiver_lock);
    return quiet;
}

void net_device_set_receiver(struct net_device *device, struct net_receiver *receiver)
{
    spinlock_lock(&device->receiver_lock);
    bool replaced = device->receiver && device->receiver != receiver;
    device->receiver = receiver;
    spinlock_unlock(&device->receiver_lock);
    if (replaced)
        WAIT_UNTIL(&device->receiver_idle, net_receiver_quiet(device), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
}

void net_device_deliver(struct net_device *device, struct list *packets)
{
    struct net_receiver *receiver = net_receiver_enter(device);

    if (receiver) {
        receiver->deliver(receiver, device, packets);
        net_receiver_leave(device);
        return;
    }
    while (!list_empty(packets)) {
        struct net_packet *packet = list_first(packets, struct net_packet, link);
        list_remove(&packet->link);
        atomic_fetch_add_explicit(&device->rx_dropped, 1, memory_order_relaxed);
        net_packet_release(packet);
    }
}

void net_device_transmit_ready(struct net_device *device)
{
    struct net_receiver *receiver = net_receiver_enter(device);

    if (!receiver)
        return;
    receiver->transmit_ready(receiver, device);
    net_receiver_leave(device);
}

void net_device_changed(struct net_device *device)
{
    struct net_receiver *receiver = net_receiver_enter(device);

    if (!receiver)
        return;
    receiver->changed(receiver, device);
    net_receiver_leave(device);
}

struct net_device *net_device_find(const char *name)
{
    struct net_device *device, *found = NULL;

    mutex_lock(&table_mutex);
    list_for_each(device, &devices, link)
        if (!found && strcmp(device->name, name) == 0)
            found = device;
    if (found)
        net_device_take(found);
    mutex_unlock(&table_mutex);
    return found;
}

struct net_device *net_device_next(struct net_device *after)
{
    struct net_device *next = NULL;

    mutex_lock(&table_mutex);
    if (!after)
        next = list_first(&devices, struct net_device, link);
    else if (list_linked(&after->link) && after->link.next != &devices)
        next = list_entry(after->link.next, struct net_device, link);
    if (next)
        net_device_take(next);
    mutex_unlock(&table_mutex);
    if (after)
        net_device_release(after);
    return next;
}

void net_device_take(struct net_device *device)
{
    reference_take(&device->reference);
}

void net_device_release(struct net_device *device)
{
    if (reference_release(&device->reference))
        device->ops->destroy(device);
}

int net_transmit(struct net_device *device, struct net_frame *frame, bool more)
{
    uint32_t length_bytes = 0;

    if (atomic_load(&device->gone))
        return -ENETDOWN;
    if (frame->fragment_count == 0 || frame->fragment_count > NET_FRAGMENT_LIMIT)
        return -EMSGSIZE;
    for (uint32_t i = 0; i < frame->fragment_count; i++) {
        const struct net_fragment *fragment = &frame->fragments[i];
        assert(fragment->page && fragment->length_bytes > 0);
        assert(fragment->offset_bytes + fragment->length_bytes <= PAGE_SIZE);
        length_bytes += fragment->length_bytes;
    }
    if (frame->fragments[0].length_bytes < NET_HEADER_BYTES || length_bytes > NET_FRAME_BYTES_LIMIT)
        return -EMSGSIZE;
    return device->ops->transmit(device, frame, more);
}

void net_packet_release(struct net_packet *packet)
{
    packet->device->ops->packet_release(packet);
}

void net_watch(struct net_watcher *watcher)
{
    struct net_device *device;

    mutex_lock(&table_mutex);
    list_add_last(&watchers, &watcher->link);
    list_for_each(device, &devices, link)
        watcher->changed(watcher, device, NET_ADDED);
    mutex_unlock(&table_mutex);
}

void net_unwatch(struct net_watcher *watcher)
{
    mutex_lock(&table_mutex);
    list_remove(&watcher->link);
    mutex_unlock(&table_mutex);
}
