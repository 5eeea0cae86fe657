/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of a net device become lwIP's pbufs: small ones are copied, so that the device's page goes back at once; over the pages of
 * others lie pbufs of ours, and the page goes back with the last of them.
 */
#include "kernel/net/reception.h"

#include <lwip/etharp.h>
#include <lwip/ip.h>
#include <lwip/mld6.h>
#include <netif/ethernet.h>

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/device/net_device.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/net/core.h"
#include "kernel/net/packet.h"

#define COPY_BYTES 256   /* packets up to this are copied */
#define HEADER_BYTES 128 /* lwIP wants all headers in one piece */

/* A received packet while pbufs lie over it. */
struct received;
struct received_pbuf {
    struct pbuf_custom custom;
    struct received *received;
};

struct received {
    struct net_packet *packet;
    atomic_uint pbufs_left;
    struct received_pbuf pbufs[];
};

static struct object_cache *received_cache; /* for packets of one fragment */

static void received_free(struct pbuf *p)
{
    struct received *received = container_of(p, struct received_pbuf, custom.pbuf)->received;
    struct net_packet *packet = received->packet;

    if (atomic_fetch_sub(&received->pbufs_left, 1) != 1)
        return;
    if (packet->fragment_count == 1)
        object_cache_free(received_cache, received);
    else
        memory_free(received);
    net_packet_release(packet);
}

/* Small or oddly cut packets, in one piece of memory. */
static struct pbuf *receive_copy(struct net_packet *packet)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)packet->length_bytes, PBUF_RAM);
    if (p == NULL)
        return NULL;
    uint8_t *at = p->payload;
    for (uint32_t i = 0; i < packet->fragment_count; i++) {
        const struct net_fragment *fragment = &packet->fragments[i];
        memcpy(at, (uint8_t *)page_address(fragment->page) + fragment->offset_bytes, fragment->length_bytes);
        at += fragment->length_bytes;
    }
    p->link = NULL;
    return p;
}

/* A pbuf for each fragment, over the device's page. */
static struct pbuf *receive_wrap(struct net_packet *packet)
{
    uint32_t count = packet->fragment_count;
    struct received *received = count == 1 ? object_cache_allocate(received_cache) : memory_allocate(sizeof(*received) + count * sizeof(received->pbufs[0]));
    struct pbuf *head = NULL, **link = &head;
    uint32_t total = packet->length_bytes;

    if (received == NULL)
        return NULL;
    received->packet = packet;
    atomic_init(&received->pbufs_left, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct net_fragment *fragment = &packet->fragments[i];
        struct received_pbuf *part = &received->pbufs[i];
        part->received = received;
        part->custom.custom_free_function = received_free;
        struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, (u16_t)fragment->length_bytes, PBUF_REF, &part->custom, (uint8_t *)page_address(fragment->page) + fragment->offset_bytes, (u16_t)fragment->length_bytes);
        p->tot_len = (u16_t)total;
        p->link = NULL;
        total -= fragment->length_bytes;
        *link = p;
        link = &p->next;
    }
    return head;
}

/* NULL: the packet was dropped. Takes the packet over. */
static struct pbuf *receive_packet(struct net_packet *packet)
{
    struct pbuf *p = NULL;

    if (packet->length_bytes >= NET_HEADER_BYTES && packet->length_bytes <= NET_FRAME_BYTES_LIMIT && packet->fragment_count > 0) {
        bool copy = packet->length_bytes <= COPY_BYTES || packet->fragments[0].length_bytes < HEADER_BYTES;
        p = copy ? receive_copy(packet) : receive_wrap(packet);
        if (p != NULL && copy)
            net_packet_release(packet);
    }
    if (p == NULL) {
        atomic_fetch_add(&packet->device->rx_dropped, 1);
        net_packet_release(packet);
    }
    return p;
}

/* Long enough for what its type says: lwIP reads IP and ARP headers before it looks at the length. */
static bool receive_plausible(const struct pbuf *p)
{
    uint16_t type;

    if (p->len < NET_HEADER_BYTES)
        return false;
    memcpy(&type, (const uint8_t *)p->payload + 12, sizeof(type));
    if (type == PP_HTONS(ETHTYPE_ARP))
        return p->len >= NET_HEADER_BYTES + SIZEOF_ETHARP_HDR;
    return (type != PP_HTONS(ETHTYPE_IP) && type != PP_HTONS(ETHTYPE_IPV6)) || packet_has_ip_header(p, NET_HEADER_BYTES);
}

void reception_deliver(struct netif *netif, struct list *packets)
{
    const u16_t checks = NETIF_CHECKSUM_CHECK_UDP | NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_ICMP | NETIF_CHECKSUM_CHECK_ICMP6;
    struct pbuf *first = NULL, **link = &first;

    while (!list_empty(packets)) {
        struct net_packet *packet = list_first(packets, struct net_packet, link);
        list_remove(&packet->link);
        bool checked = packet->checksum != NET_CHECKSUM_NONE;
        struct pbuf *p = receive_packet(packet);
        if (p == NULL)
            continue;
        p->if_idx = checked; /* lwIP sets it anew */
        *link = p;
        link = &p->link;
    }
    network_lock();
    while (first != NULL) {
        struct pbuf *p = first;
        first = p->link;
        p->link = NULL;
        u16_t flags = netif->chksum_flags;
        if (p->if_idx)
            netif->chksum_flags = (u16_t)(flags & ~checks);
        if (!receive_plausible(p) || netif->input(p, netif) != ERR_OK)
            pbuf_free(p);
        netif->chksum_flags = (u16_t)((netif->chksum_flags & ~checks) | (flags & checks));
    }
    network_unlock();
}

int reception_start(void)
{
    received_cache = object_cache_create("received-packets", sizeof(struct received) + sizeof(struct received_pbuf), 8);
    return received_cache != NULL ? 0 : -ENOMEM;
}
