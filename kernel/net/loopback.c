/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loopback: what lwIP sends to one of our own addresses is cloned (headers copied, pages shared) onto a queue, which
 * network_unlock() feeds back, in the sender's thread and without re-entering lwIP. So TCP to ourselves costs one copy in and one
 * out, and the receiver is woken before the sender's system call returns. Long exchanges are handed to the network thread.
 */
#include "kernel/net/loopback.h"

#include <lwip/ip.h>

#include "kernel/base/error.h"
#include "kernel/net/packet.h"

#define DELIVER_LIMIT 256
#define QUEUE_LIMIT 8192

static struct netif loopback;
static struct pbuf *queue_first, *queue_last;
static unsigned int queue_length;
static uint64_t packet_count, byte_count;

struct netif *loopback_netif(void)
{
    return &loopback;
}

void loopback_enqueue(struct pbuf *packet, struct netif *netif)
{
    if (queue_length >= QUEUE_LIMIT) {
        pbuf_free(packet);
        return;
    }
    packet->if_idx = netif_get_index(netif);
    packet->link = NULL;
    if (queue_first == NULL)
        queue_first = packet;
    else
        queue_last->link = packet;
    queue_last = packet;
    queue_length++;
}

static err_t loopback_send(struct pbuf *packet)
{
    struct pbuf *clone = packet_clone(packet);
    if (clone == NULL)
        return ERR_MEM;
    packet_count++;
    byte_count += clone->tot_len;
    loopback_enqueue(clone, &loopback);
    return ERR_OK;
}

static err_t loopback_output_v4(struct netif *netif, struct pbuf *packet, const ip4_addr_t *destination)
{
    return loopback_send(packet);
}

static err_t loopback_output_v6(struct netif *netif, struct pbuf *packet, const ip6_addr_t *destination)
{
    return loopback_send(packet);
}

static void loopback_address(ip4_addr_t *address)
{
    IP4_ADDR(address, 127, 0, 0, 1);
}

void loopback_adopt(struct netif *input, const ip4_addr_t *destination)
{
    if (input == &loopback && ip4_addr_isloopback(destination))
        ip4_addr_copy(*ip_2_ip4(&loopback.ip_addr), *destination); /* taken back after the packet */
}

bool loopback_deliver(void)
{
    for (unsigned int i = 0; i < DELIVER_LIMIT && queue_first != NULL; i++) {
        struct pbuf *packet = queue_first;
        queue_first = packet->link;
        queue_length--;
        packet->link = NULL;
        struct netif *netif = netif_get_by_index(packet->if_idx);
        if (netif == NULL || !packet_has_ip_header(packet, 0) || ip_input(packet, netif) != ERR_OK)
            pbuf_free(packet);
        loopback_address(ip_2_ip4(&loopback.ip_addr));
    }
    return queue_first != NULL;
}

void loopback_statistics(uint64_t *packets, uint64_t *bytes)
{
    *packets = packet_count;
    *bytes = byte_count;
}

static err_t loopback_init(struct netif *netif)
{
    netif->name[0] = 'l';
    netif->name[1] = 'o';
    netif->mtu = 65535; /* Linux says 65536, which the field does not hold */
    netif->output = loopback_output_v4;
    netif->output_ip6 = loopback_output_v6;
    netif->flags = NETIF_FLAG_LINK_UP | NETIF_FLAG_IGMP;
    NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_DISABLE_ALL);
    return ERR_OK;
}

int loopback_start(void)
{
    ip4_addr_t address, mask, gateway;

    loopback_address(&address);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    ip4_addr_set_zero(&gateway);
    if (netif_add(&loopback, &address, &mask, &gateway, NULL, loopback_init, ip_input) == NULL)
        return -ENOMEM;
    IP_ADDR6_HOST(&loopback.ip6_addr[0], 0, 0, 0, 1);
    netif_ip6_addr_set_state(&loopback, 0, IP6_ADDR_PREFERRED);
    netif_set_up(&loopback);
    return 0;
}
