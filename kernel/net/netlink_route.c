/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink's messages made of lwIP's state. Core lock held throughout.
 */
#include "kernel/net/netlink_route.h"

#include <lwip/etharp.h>
#include <lwip/ip.h>
#include <lwip/priv/nd6_priv.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/device/net_device.h"
#include "kernel/net/abi.h"
#include "kernel/net/interface.h"
#include "kernel/net/interface_info.h"
#include "kernel/net/loopback.h"

#define MESSAGE_BYTES_MOST 700u

enum { IFLA_ADDRESS = 1, IFLA_BROADCAST = 2, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_QDISC = 6, IFLA_STATS = 7, IFLA_TXQLEN = 13, IFLA_OPERSTATE = 16,
       IFLA_LINKMODE = 17, IFLA_STATS64 = 23, IFLA_GROUP = 27, IFLA_CARRIER = 33 };
enum { IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_LABEL = 3, IFA_BROADCAST = 4, IFA_CACHEINFO = 6, IFA_FLAGS = 8 };
enum { RTA_DST = 1, RTA_OIF = 4, RTA_GATEWAY = 5, RTA_PRIORITY = 6, RTA_PREFSRC = 7, RTA_TABLE = 15 };
enum { NDA_DST = 1, NDA_LLADDR = 2 };
enum { SCOPE_UNIVERSE = 0, SCOPE_LINK = 253, SCOPE_HOST = 254 };
enum { TABLE_MAIN = 254, TABLE_LOCAL = 255, PROTOCOL_KERNEL = 2, PROTOCOL_BOOT = 3, PROTOCOL_RA = 9, ROUTE_UNICAST = 1, ROUTE_LOCAL = 2 };
enum { NUD_REACHABLE = 2, NUD_STALE = 4, NUD_DELAY = 8, NUD_PROBE = 16, NUD_INCOMPLETE = 1 };
#define IFA_F_TENTATIVE 0x40u
#define IFA_F_PERMANENT 0x80u
#define IFA_F_DEPRECATED 0x20u

struct link_message { uint8_t family, padding; uint16_t type; int32_t index; uint32_t flags, change; };
struct address_message { uint8_t family, prefix, flags, scope; uint32_t index; };
struct route_message { uint8_t family, destination_bits, source_bits, tos, table, protocol, scope, type; uint32_t flags; };
struct neighbour_message { uint8_t family, padding1; uint16_t padding2; int32_t index; uint16_t state; uint8_t flags, type; };
struct attribute_header { uint16_t length_bytes, type; };
struct link_statistics { uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped, multicast, rest[14]; };
struct link_statistics_32 { uint32_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped, multicast, rest[14]; };
struct address_lifetimes { uint32_t preferred_s, valid_s, created, updated; };

/* ---- The writer ---- */

void netlink_write_begin(struct netlink_writer *writer, uint16_t type, const void *fixed, size_t fixed_bytes)
{
    if (writer->used + MESSAGE_BYTES_MOST > sizeof(writer->bytes)) {
        writer->full(writer, writer->context);
        writer->used = 0;
    }
    struct netlink_header header = {0, type, writer->flags, writer->sequence, writer->port};
    writer->message = writer->used;
    memcpy(writer->bytes + writer->used, &header, sizeof(header));
    writer->used += sizeof(header);
    memset(writer->bytes + writer->used, 0, round_up(fixed_bytes, 4));
    memcpy(writer->bytes + writer->used, fixed, fixed_bytes);
    writer->used += round_up(fixed_bytes, 4);
}

void netlink_write_end(struct netlink_writer *writer)
{
    uint32_t length = (uint32_t)(writer->used - writer->message);
    memcpy(writer->bytes + writer->message, &length, sizeof(length));
}

static void put(struct netlink_writer *writer, uint16_t type, const void *data, size_t length_bytes)
{
    struct attribute_header header = {(uint16_t)(sizeof(header) + length_bytes), type};
    memcpy(writer->bytes + writer->used, &header, sizeof(header));
    memset(writer->bytes + writer->used + sizeof(header), 0, round_up(length_bytes, 4));
    memcpy(writer->bytes + writer->used + sizeof(header), data, length_bytes);
    writer->used += sizeof(header) + round_up(length_bytes, 4);
}

static void put_number(struct netlink_writer *writer, uint16_t type, uint32_t number)
{
    put(writer, type, &number, sizeof(number));
}

static void put_byte(struct netlink_writer *writer, uint16_t type, uint8_t byte)
{
    put(writer, type, &byte, 1);
}

/* ---- Links ---- */

static void statistics_fill(const struct netif *netif, struct link_statistics *statistics)
{
    const struct net_device *device = interface_device(netif);

    memset(statistics, 0, sizeof(*statistics));
    if (device == NULL) {
        loopback_statistics(&statistics->rx_packets, &statistics->rx_bytes);
        statistics->tx_packets = statistics->rx_packets;
        statistics->tx_bytes = statistics->rx_bytes;
        return;
    }
    statistics->rx_packets = device->rx_packets;
    statistics->tx_packets = device->tx_packets;
    statistics->rx_bytes = device->rx_bytes;
    statistics->tx_bytes = device->tx_bytes;
    statistics->rx_errors = device->rx_errors;
    statistics->tx_errors = device->tx_errors;
    statistics->rx_dropped = device->rx_dropped;
    statistics->tx_dropped = device->tx_dropped;
}

void netlink_write_link(struct netlink_writer *writer, uint16_t type, const struct netif *netif)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    bool loopback = netif == loopback_netif(), up = netif_is_link_up(netif);
    struct link_message message = {AF_UNSPEC, 0, loopback ? 772 : 1, netif_get_index(netif), interface_flags(netif), 0};
    struct link_statistics statistics;
    struct link_statistics_32 small;
    char name[INTERFACE_NAME_BYTES];

    netlink_write_begin(writer, type, &message, sizeof(message));
    interface_name(netif, name);
    put(writer, IFLA_IFNAME, name, strlen(name) + 1);
    put_number(writer, IFLA_TXQLEN, 1000);
    put_byte(writer, IFLA_OPERSTATE, loopback ? 0 : up ? 6 : 2); /* unknown, up, down */
    put_byte(writer, IFLA_LINKMODE, 0);
    put_number(writer, IFLA_MTU, interface_mtu(netif));
    put_number(writer, IFLA_GROUP, 0);
    put_byte(writer, IFLA_CARRIER, up);
    put(writer, IFLA_QDISC, loopback ? "noqueue" : "fifo", loopback ? 8 : 5);
    put(writer, IFLA_ADDRESS, netif->hwaddr, 6);
    put(writer, IFLA_BROADCAST, loopback ? netif->hwaddr : broadcast, 6);
    statistics_fill(netif, &statistics);
    put(writer, IFLA_STATS64, &statistics, sizeof(statistics));
    const uint64_t *from = (const uint64_t *)(const void *)&statistics;
    uint32_t *to = (uint32_t *)(void *)&small;
    for (size_t i = 0; i < sizeof(small) / sizeof(uint32_t); i++)
        to[i] = (uint32_t)from[i];
    put(writer, IFLA_STATS, &small, sizeof(small));
    netlink_write_end(writer);
}

void netlink_write_links(struct netlink_writer *writer)
{
    for (unsigned int index = 1; index < 256; index++) {
        const struct netif *netif = netif_get_by_index((u8_t)index);
        if (netif != NULL)
            netlink_write_link(writer, RTM_NEWLINK, netif);
    }
}

/* ---- Addresses ---- */

static uint8_t mask_bits(uint32_t mask)
{
    return (uint8_t)__builtin_popcount(mask);
}

static void write_address_v4(struct netlink_writer *writer, uint16_t type, const struct netif *netif)
{
    uint32_t address = ip4_addr_get_u32(netif_ip4_addr(netif)), mask = ip4_addr_get_u32(netif_ip4_netmask(netif)), broadcast = address | ~mask;
    bool loopback = netif == loopback_netif();
    struct address_message message = {AF_INET, mask_bits(mask), IFA_F_PERMANENT, loopback ? SCOPE_HOST : SCOPE_UNIVERSE, netif_get_index(netif)};
    struct address_lifetimes lifetimes = {UINT32_MAX, UINT32_MAX, 0, 0};
    char name[INTERFACE_NAME_BYTES];

    netlink_write_begin(writer, type, &message, sizeof(message));
    put_number(writer, IFA_ADDRESS, address);
    put_number(writer, IFA_LOCAL, address);
    if (!loopback)
        put_number(writer, IFA_BROADCAST, broadcast);
    interface_name(netif, name);
    put(writer, IFA_LABEL, name, strlen(name) + 1);
    put_number(writer, IFA_FLAGS, IFA_F_PERMANENT);
    put(writer, IFA_CACHEINFO, &lifetimes, sizeof(lifetimes));
    netlink_write_end(writer);
}

static void write_address_v6(struct netlink_writer *writer, uint16_t type, const struct netif *netif, int index)
{
    const ip6_addr_t *address = netif_ip6_addr(netif, index);
    u8_t state = netif_ip6_addr_state(netif, index);
    bool loopback = netif == loopback_netif();
    uint32_t flags = ip6_addr_istentative(state) ? IFA_F_TENTATIVE : ip6_addr_isdeprecated(state) ? IFA_F_DEPRECATED : 0;
    u32_t valid = netif_ip6_addr_valid_life(netif, index), preferred = netif_ip6_addr_pref_life(netif, index);
    struct address_lifetimes lifetimes = {preferred != 0 ? preferred : UINT32_MAX, valid != 0 ? valid : UINT32_MAX, 0, 0};
    uint8_t scope = loopback ? SCOPE_HOST : ip6_addr_islinklocal(address) ? SCOPE_LINK : SCOPE_UNIVERSE;

    if (valid == 0)
        flags |= IFA_F_PERMANENT;
    struct address_message message = {AF_INET6, loopback ? 128 : 64, (uint8_t)flags, scope, netif_get_index(netif)};
    netlink_write_begin(writer, type, &message, sizeof(message));
    put(writer, IFA_ADDRESS, address->addr, 16);
    put(writer, IFA_CACHEINFO, &lifetimes, sizeof(lifetimes));
    put_number(writer, IFA_FLAGS, flags);
    netlink_write_end(writer);
}

void netlink_write_address(struct netlink_writer *writer, uint16_t type, const struct netif *netif, int index)
{
    if (index < 0)
        write_address_v4(writer, type, netif);
    else
        write_address_v6(writer, type, netif, index);
}

void netlink_write_addresses(struct netlink_writer *writer, uint8_t family)
{
    for (unsigned int number = 1; number < 256; number++) {
        const struct netif *netif = netif_get_by_index((u8_t)number);
        if (netif == NULL)
            continue;
        if (family != AF_INET6 && !ip4_addr_isany_val(*netif_ip4_addr(netif)))
            write_address_v4(writer, RTM_NEWADDR, netif);
        for (int i = 0; family != AF_INET && i < LWIP_IPV6_NUM_ADDRESSES; i++)
            if (!ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)))
                write_address_v6(writer, RTM_NEWADDR, netif, i);
    }
}

/* ---- Routes ---- */

struct route {
    uint8_t family, bits, scope, protocol, table, type;
    const void *destination, *gateway, *source; /* NULL: none */
    uint32_t priority;
    const struct netif *netif;
};

static void write_route(struct netlink_writer *writer, const struct route *route)
{
    struct route_message message = {route->family, route->bits, 0, 0, route->table, route->protocol, route->scope, route->type, 0};
    size_t address_bytes = route->family == AF_INET ? 4 : 16;

    netlink_write_begin(writer, RTM_NEWROUTE, &message, sizeof(message));
    put_number(writer, RTA_TABLE, route->table);
    if (route->destination != NULL)
        put(writer, RTA_DST, route->destination, address_bytes);
    if (route->gateway != NULL)
        put(writer, RTA_GATEWAY, route->gateway, address_bytes);
    if (route->source != NULL)
        put(writer, RTA_PREFSRC, route->source, address_bytes);
    if (route->priority != 0)
        put_number(writer, RTA_PRIORITY, route->priority);
    put_number(writer, RTA_OIF, netif_get_index(route->netif));
    netlink_write_end(writer);
}

static void write_routes_v4(struct netlink_writer *writer, const struct netif *netif)
{
    uint32_t address = ip4_addr_get_u32(netif_ip4_addr(netif)), mask = ip4_addr_get_u32(netif_ip4_netmask(netif)), network = address & mask;
    uint32_t gateway = ip4_addr_get_u32(netif_ip4_gw(netif));

    if (address == 0)
        return;
    bool loopback = netif == loopback_netif();
    if (netif == netif_default && gateway != 0)
        write_route(writer, &(struct route){AF_INET, 0, SCOPE_UNIVERSE, PROTOCOL_BOOT, TABLE_MAIN, ROUTE_UNICAST, NULL, &gateway, NULL, 0, netif});
    if (!loopback)
        write_route(writer, &(struct route){AF_INET, mask_bits(mask), SCOPE_LINK, PROTOCOL_KERNEL, TABLE_MAIN, ROUTE_UNICAST, &network, NULL, &address, 0, netif});
    write_route(writer, &(struct route){AF_INET, 32, SCOPE_HOST, PROTOCOL_KERNEL, TABLE_LOCAL, ROUTE_LOCAL, &address, NULL, &address, 0, netif});
}

static void write_routes_v6(struct netlink_writer *writer, const struct netif *netif)
{
    for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        const ip6_addr_t *address = netif_ip6_addr(netif, i);
        if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
            continue;
        uint32_t network[4] = {address->addr[0], address->addr[1], 0, 0};
        if (netif != loopback_netif())
            write_route(writer, &(struct route){AF_INET6, 64, SCOPE_UNIVERSE, PROTOCOL_KERNEL, TABLE_MAIN, ROUTE_UNICAST, network, NULL, NULL, 256, netif});
        write_route(writer, &(struct route){AF_INET6, 128, SCOPE_UNIVERSE, PROTOCOL_KERNEL, TABLE_LOCAL, ROUTE_LOCAL, address->addr, NULL, NULL, 0, netif});
    }
    for (unsigned int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
        const struct nd6_neighbor_cache_entry *router = default_router_list[i].neighbor_entry;
        if (router != NULL && router->netif == netif)
            write_route(writer, &(struct route){AF_INET6, 0, SCOPE_UNIVERSE, PROTOCOL_RA, TABLE_MAIN, ROUTE_UNICAST, NULL, router->next_hop_address.addr, NULL, 1024, netif});
    }
}

void netlink_write_routes(struct netlink_writer *writer, uint8_t family)
{
    for (unsigned int index = 1; index < 256; index++) {
        const struct netif *netif = netif_get_by_index((u8_t)index);
        if (netif == NULL || !netif_is_up(netif))
            continue;
        if (family != AF_INET6)
            write_routes_v4(writer, netif);
        if (family != AF_INET)
            write_routes_v6(writer, netif);
    }
}

int netlink_write_route_to(struct netlink_writer *writer, const ip_addr_t *destination)
{
    bool v6 = IP_IS_V6(destination);
    ip_addr_t any;

    ip_addr_set_any(v6, &any);
    const struct netif *netif = ip_route(&any, destination);
    const ip_addr_t *source = netif != NULL ? ip_netif_get_local_ip((struct netif *)(uintptr_t)netif, destination) : NULL;
    if (source == NULL)
        return -ENETUNREACH;
    struct route route = {v6 ? AF_INET6 : AF_INET, v6 ? 128 : 32, SCOPE_UNIVERSE, 0, TABLE_MAIN, ROUTE_UNICAST, NULL, NULL, NULL, 0, netif};
    route.destination = v6 ? (const void *)ip_2_ip6(destination)->addr : (const void *)ip_2_ip4(destination);
    route.source = v6 ? (const void *)ip_2_ip6(source)->addr : (const void *)ip_2_ip4(source);
    if (netif == loopback_netif()) {
        route.table = TABLE_LOCAL;
        route.type = ROUTE_LOCAL;
    } else if (!v6 && !ip4_addr_netcmp(ip_2_ip4(destination), netif_ip4_addr(netif), netif_ip4_netmask(netif))) {
        route.gateway = netif_ip4_gw(netif);
    }
    write_route(writer, &route);
    return 0;
}

/* ---- Neighbours ---- */

static void write_neighbour(struct netlink_writer *writer, uint8_t family, const struct netif *netif, uint16_t state, const void *address, const uint8_t *hardware)
{
    struct neighbour_message message = {family, 0, 0, netif_get_index(netif), state, 0, ROUTE_UNICAST};

    netlink_write_begin(writer, RTM_NEWNEIGH, &message, sizeof(message));
    put(writer, NDA_DST, address, family == AF_INET ? 4 : 16);
    if (state != NUD_INCOMPLETE)
        put(writer, NDA_LLADDR, hardware, 6);
    netlink_write_end(writer);
}

void netlink_write_neighbours(struct netlink_writer *writer, uint8_t family)
{
    static const uint16_t states[] = {[ND6_INCOMPLETE] = NUD_INCOMPLETE, [ND6_REACHABLE] = NUD_REACHABLE, [ND6_STALE] = NUD_STALE, [ND6_DELAY] = NUD_DELAY, [ND6_PROBE] = NUD_PROBE};
    struct eth_addr *hardware;
    struct netif *netif;
    ip4_addr_t *address;

    for (size_t i = 0; family != AF_INET6 && i < ARP_TABLE_SIZE; i++)
        if (etharp_get_entry(i, &address, &netif, &hardware))
            write_neighbour(writer, AF_INET, netif, NUD_REACHABLE, address, hardware->addr);
    for (unsigned int i = 0; family != AF_INET && i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        const struct nd6_neighbor_cache_entry *entry = &neighbor_cache[i];
        if (entry->state != ND6_NO_ENTRY && entry->state < array_count(states) && entry->netif != NULL)
            write_neighbour(writer, AF_INET6, entry->netif, states[entry->state], entry->next_hop_address.addr, entry->lladdr);
    }
}
