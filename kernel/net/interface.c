/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces of Ethernet over net devices. See the header for the two ways.
 *
 * A frame descriptor owns a slot of 512 bytes in a page of its own kind, where the headers go: what the backend is granted besides
 * the program's data is only ever headers. Descriptors are kept for ever and used again. They are given back by the device in
 * event context, so their pool has a spinlock.
 */
#include "kernel/net/interface.h"

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/igmp.h>
#include <lwip/ip.h>
#include <lwip/mld6.h>
#include <lwip/prot/tcp.h>
#include <netif/ethernet.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/net/core.h"
#include "kernel/net/loopback.h"
#include "kernel/net/offload.h"
#include "kernel/net/packet.h"
#include "kernel/net/reception.h"

#define SLOT_BYTES 512u
#define SLOTS_PER_PAGE (PAGE_SIZE / SLOT_BYTES)
#define FRAGMENT_BYTES_MINIMUM 128 /* shorter parts are cheaper to copy than to grant */
#define WAITING_LIMIT 1024

struct frame {
    struct net_frame net;
    struct list link;            /* pool, batch or waiting list */
    struct page *slot_page;
    uint32_t slot_offset;
    uint32_t slot_used;
    struct page *spill;          /* where headers and small parts go on when the slot is full; among the fragments */
    uint32_t spill_used;
    uint32_t copy_below;         /* shorter parts are copied */
};

static struct list interfaces = LIST_INITIALIZER(interfaces); /* core lock */
static struct spinlock pool_lock = SPINLOCK_INITIALIZER("network frames", 0);
static struct list pool = LIST_INITIALIZER(pool);             /* pool_lock */

/* ---- Frames ---- */

/* Adds a page of slots to the pool. */
static bool pool_grow(void)
{
    struct page *page = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ZERO | PAGE_ALLOCATE_ATOMIC);
    if (page == NULL)
        return false;
    struct frame *frames = memory_allocate_zeroed(SLOTS_PER_PAGE * sizeof(*frames));
    if (frames == NULL) {
        page_release(page);
        return false;
    }
    spinlock_lock(&pool_lock);
    for (unsigned int i = 0; i < SLOTS_PER_PAGE; i++) {
        frames[i].slot_page = page;
        frames[i].slot_offset = i * SLOT_BYTES;
        list_add_last(&pool, &frames[i].link);
    }
    spinlock_unlock(&pool_lock);
    return true;
}

static struct frame *frame_take(void)
{
    do {
        spinlock_lock(&pool_lock);
        struct frame *frame = list_first(&pool, struct frame, link);
        if (frame != NULL)
            list_remove(&frame->link);
        spinlock_unlock(&pool_lock);
        if (frame != NULL) {
            frame->net.fragment_count = 0;
            frame->net.checksum = NET_CHECKSUM_NONE;
            frame->net.gso = NET_GSO_NONE;
            frame->slot_used = 0;
            frame->spill = NULL;
            frame->copy_below = FRAGMENT_BYTES_MINIMUM;
            return frame;
        }
    } while (pool_grow());
    return NULL;
}

/* Event context or thread. */
static void frame_free(struct frame *frame)
{
    for (uint32_t i = 0; i < frame->net.fragment_count; i++)
        if (frame->net.fragments[i].page != frame->slot_page)
            page_release(frame->net.fragments[i].page);
    spinlock_lock(&pool_lock);
    list_add_first(&pool, &frame->link);
    spinlock_unlock(&pool_lock);
}

static void frame_complete(struct net_frame *net, int error)
{
    frame_free(container_of(net, struct frame, net));
}

/* Lengthens the last fragment where the new part follows it, or begins another; takes over a reference of the page. */
static bool frame_add(struct frame *frame, struct page *page, uint32_t offset_bytes, uint32_t length_bytes)
{
    struct net_fragment *last = &frame->net.fragments[frame->net.fragment_count];
    if (frame->net.fragment_count > 0 && last[-1].page == page && last[-1].offset_bytes + last[-1].length_bytes == offset_bytes) {
        last[-1].length_bytes += length_bytes;
        if (page != frame->slot_page)
            page_release(page);
        return true;
    }
    if (frame->net.fragment_count == NET_FRAGMENT_LIMIT)
        return false;
    *last = (struct net_fragment){page, offset_bytes, length_bytes};
    frame->net.fragment_count++;
    return true;
}

/* Copies bytes into the slot, then into pages of the frame's own. */
static bool frame_copy(struct frame *frame, const void *bytes, size_t length_bytes)
{
    const uint8_t *at = bytes;

    if (frame->slot_used + length_bytes <= SLOT_BYTES && frame->spill == NULL) {
        uint32_t offset = frame->slot_offset + frame->slot_used;
        memcpy((uint8_t *)page_address(frame->slot_page) + offset, at, length_bytes);
        frame->slot_used += (uint32_t)length_bytes;
        return frame_add(frame, frame->slot_page, offset, (uint32_t)length_bytes);
    }
    while (length_bytes > 0) {
        if (frame->spill == NULL || frame->spill_used == PAGE_SIZE) {
            frame->spill = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ATOMIC | PAGE_ALLOCATE_ZERO);
            frame->spill_used = 0;
            if (frame->spill == NULL)
                return false;
        } else {
            page_take(frame->spill);
        }
        uint32_t part = (uint32_t)minimum(length_bytes, (size_t)PAGE_SIZE - frame->spill_used);
        memcpy((uint8_t *)page_address(frame->spill) + frame->spill_used, at, part);
        if (!frame_add(frame, frame->spill, frame->spill_used, part)) {
            page_release(frame->spill);
            return false;
        }
        frame->spill_used += part;
        at += part;
        length_bytes -= part;
    }
    return true;
}

static bool frame_add_page(void *context, struct page *page, size_t offset_bytes, size_t length_bytes)
{
    struct frame *frame = context;

    /* The last fragments are kept for what has to be copied together. */
    if (length_bytes < frame->copy_below || frame->net.fragment_count >= NET_FRAGMENT_LIMIT - 5)
        return frame_copy(frame, (uint8_t *)page_address(page) + offset_bytes, length_bytes);
    page_take(page);
    return frame_add(frame, page, (uint32_t)offset_bytes, (uint32_t)length_bytes);
}

static bool frame_fill(struct frame *frame, const struct pbuf *packet)
{
    for (const struct pbuf *p = packet; p != NULL; p = p->next) {
        if (p->len == 0)
            continue;
        bool pages = frame->net.fragment_count > 0 && pbuf_match_type(p, PBUF_ROM) && (p->type_internal & PBUF_TYPE_FLAG_DATA_VOLATILE) == 0;
        if (!(pages ? packet_for_each_page(p->payload, p->len, frame_add_page, frame) : frame_copy(frame, p->payload, p->len)))
            return false;
    }
    return frame->net.fragment_count > 0;
}

/* ---- Transmission ---- */

static struct interface *interface_of(const struct netif *netif)
{
    return container_of(netif, struct interface, netif);
}

/* netif->linkoutput: the whole frame, Ethernet header first. Core lock held. */
static err_t interface_transmit(struct netif *netif, struct pbuf *packet)
{
    struct interface *interface = interface_of(netif);
    uint32_t features = atomic_load_explicit(&interface->device->features, memory_order_relaxed);
    struct frame *frame = frame_take();

    if (frame == NULL)
        return ERR_MEM;
    if ((features & (NET_FEATURE_TSO_V4 | NET_FEATURE_TSO_V6)) && packet->tot_len >= OFFLOAD_JOIN_BYTES)
        frame->copy_below = 1; /* it may become part of another, whose last page it goes on with */
    if (packet->tot_len < NET_HEADER_BYTES || !frame_fill(frame, packet)) {
        frame_free(frame);
        return ERR_MEM;
    }
    if ((netif->chksum_flags & NETIF_CHECKSUM_GEN_TCP) == 0 && offload_checksum(&frame->net, packet->tot_len) && !list_empty(&interface->batch) &&
        offload_join(&list_last(&interface->batch, struct frame, link)->net, &frame->net, features)) {
        frame_free(frame);
        return ERR_OK;
    }
    frame->net.complete = frame_complete;
    frame->net.data = interface;
    list_add_last(&interface->batch, &frame->link);
    return ERR_OK;
}

/* A datagram to a group that we are a member of is also ours (IP_MULTICAST_LOOP): fed back when the lock is released. */
static void interface_loop_multicast(struct netif *netif, const struct pbuf *packet)
{
    struct pbuf *clone = packet_clone(packet);
    if (clone != NULL)
        loopback_enqueue(clone, netif);
}

static err_t interface_output_v4(struct netif *netif, struct pbuf *packet, const ip4_addr_t *destination)
{
    if ((packet->flags & PBUF_FLAG_MCASTLOOP) && igmp_lookfor_group(netif, destination) != NULL)
        interface_loop_multicast(netif, packet);
    return etharp_output(netif, packet, destination);
}

static err_t interface_output_v6(struct netif *netif, struct pbuf *packet, const ip6_addr_t *destination)
{
    if ((packet->flags & PBUF_FLAG_MCASTLOOP) && mld6_lookfor_group(netif, destination) != NULL)
        interface_loop_multicast(netif, packet);
    return ethip6_output(netif, packet, destination);
}

/* Sends from the list until the device has no room; how many it got rid of. transmit_lock held. */
static unsigned int interface_send(struct interface *interface, struct list *frames)
{
    unsigned int sent = 0;

    for (; !list_empty(frames); sent++) {
        struct frame *frame = list_first(frames, struct frame, link);
        bool more = frame->link.next != frames;
        list_remove(&frame->link);
        int error = net_transmit(interface->device, &frame->net, more);
        if (error == -ENOBUFS) {
            list_add_first(frames, &frame->link);
            break;
        }
        if (error != 0)
            frame_free(frame);
    }
    return sent;
}

static void interface_flush(struct interface *interface)
{
    struct list dropped;
    list_init(&dropped);

    spinlock_lock(&interface->transmit_lock);
    if (interface->waiting_count == 0)
        interface_send(interface, &interface->batch);
    while (!list_empty(&interface->batch)) {
        struct frame *frame = list_first(&interface->batch, struct frame, link);
        list_remove(&frame->link);
        bool room = interface->waiting_count < WAITING_LIMIT;
        list_add_last(room ? &interface->waiting : &dropped, &frame->link);
        interface->waiting_count += room;
    }
    spinlock_unlock(&interface->transmit_lock);
    while (!list_empty(&dropped)) {
        struct frame *frame = list_first(&dropped, struct frame, link);
        list_remove(&frame->link);
        atomic_fetch_add(&interface->device->tx_dropped, 1);
        frame_free(frame);
    }
}

void interface_flush_all(void)
{
    struct interface *interface;
    list_for_each (interface, &interfaces, link)
        if (!list_empty(&interface->batch))
            interface_flush(interface);
}

/* Receiver's transmit_ready. Event context: must not sleep. */
static void interface_transmit_ready(struct net_receiver *receiver, struct net_device *device)
{
    struct interface *interface = receiver->data;

    spinlock_lock(&interface->transmit_lock);
    interface->waiting_count -= interface_send(interface, &interface->waiting);
    spinlock_unlock(&interface->transmit_lock);
}

/* Receiver's deliver: thread context of the driver, one call at a time. */
static void interface_deliver(struct net_receiver *receiver, struct net_device *device, struct list *packets)
{
    struct interface *interface = receiver->data;

    reception_deliver(&interface->netif, packets);
}

/* ---- Life ---- */

/* Core lock held. */
static void interface_adopt_features(struct interface *interface)
{
    struct net_device *device = interface->device;
    uint32_t features = atomic_load(&device->features), mtu = atomic_load(&device->mtu_bytes);
    bool offload = (features & NET_FEATURE_TX_CHECKSUM_V4) && (features & NET_FEATURE_TX_CHECKSUM_V6);

    interface->netif.mtu = (u16_t)minimum(mtu, 65535u - NET_HEADER_BYTES);
    interface->netif.mtu6 = interface->netif.mtu;
    NETIF_SET_CHECKSUM_CTRL(&interface->netif, (u16_t)(NETIF_CHECKSUM_ENABLE_ALL & (offload ? ~NETIF_CHECKSUM_GEN_TCP : ~0)));
    if (atomic_load(&device->link_up))
        netif_set_link_up(&interface->netif);
    else
        netif_set_link_down(&interface->netif);
}

/* Receiver's changed. Thread context. */
static void interface_changed(struct net_receiver *receiver, struct net_device *device)
{
    network_lock();
    interface_adopt_features(receiver->data);
    network_timers_changed();
    network_unlock();
}

static err_t interface_init(struct netif *netif)
{
    struct interface *interface = interface_of(netif);

    netif->name[0] = interface->device->name[0];
    netif->name[1] = interface->device->name[1];
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, interface->device->mac, 6);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    netif->output = interface_output_v4;
    netif->output_ip6 = interface_output_v6;
    netif->linkoutput = interface_transmit;
    return ERR_OK;
}

struct interface *interface_find(const struct net_device *device)
{
    struct interface *interface;
    list_for_each (interface, &interfaces, link)
        if (interface->device == device)
            return interface;
    return NULL;
}

int interface_create(struct net_device *device, struct interface **interface)
{
    if (interface_find(device) != NULL)
        return -EEXIST;
    struct interface *created = memory_allocate_zeroed(sizeof(*created));
    if (created == NULL)
        return -ENOMEM;
    net_device_take(device);
    created->device = device;
    created->receiver = (struct net_receiver){interface_deliver, interface_transmit_ready, interface_changed, created};
    list_init(&created->batch);
    list_init(&created->waiting);
    spinlock_init(&created->transmit_lock, "interface transmit", 0);
    if (netif_add_noaddr(&created->netif, NULL, interface_init, ethernet_input) == NULL) {
        net_device_release(device);
        memory_free(created);
        return -ENOMEM;
    }
    list_add_last(&interfaces, &created->link);
    interface_adopt_features(created);
    netif_create_ip6_linklocal_address(&created->netif, 1);
    netif_set_ip6_autoconfig_enabled(&created->netif, 1);
    if (netif_default == NULL)
        netif_set_default(&created->netif);
    netif_set_up(&created->netif);
    network_timers_changed();
    *interface = created;
    return 0;
}

void interface_activate(struct interface *interface)
{
    net_device_set_receiver(interface->device, &interface->receiver);
}

static void frames_free(struct list *frames)
{
    while (!list_empty(frames)) {
        struct frame *frame = list_first(frames, struct frame, link);
        list_remove(&frame->link);
        frame_free(frame);
    }
}

void interface_destroy(struct interface *interface)
{
    struct netif *other;

    net_device_set_receiver(interface->device, NULL);
    network_lock();
    netif_set_down(&interface->netif);
    netif_remove(&interface->netif);
    list_remove(&interface->link);
    NETIF_FOREACH (other)
        if (netif_default == NULL && other != loopback_netif())
            netif_set_default(other);
    network_unlock();
    frames_free(&interface->batch);
    frames_free(&interface->waiting);
    net_device_release(interface->device);
    memory_free(interface);
}

/* ---- Names ---- */

struct net_device *interface_device(const struct netif *netif)
{
    return netif == loopback_netif() ? NULL : interface_of(netif)->device;
}

void interface_name(const struct netif *netif, char name[INTERFACE_NAME_BYTES])
{
    const struct net_device *device = interface_device(netif);
    format_string(name, INTERFACE_NAME_BYTES, "%s", device != NULL ? device->name : "lo");
}

struct netif *interface_by_name(const char *name, size_t length_bytes)
{
    struct netif *netif;
    char own[INTERFACE_NAME_BYTES];

    NETIF_FOREACH (netif) {
        interface_name(netif, own);
        if (strlen(own) == length_bytes && memcmp(own, name, length_bytes) == 0)
            return netif;
    }
    return NULL;
}
