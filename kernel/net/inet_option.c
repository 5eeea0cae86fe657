/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of levels IP and IPV6. Groups are joined for the socket: lwIP counts the members of an interface, and each socket remembers its
 * own, so that others' groups are not delivered to it where IP_MULTICAST_ALL is off, and so that it leaves them when it closes.
 */
#include "kernel/net/inet_option.h"

#include <lwip/igmp.h>
#include <lwip/ip.h>
#include <lwip/mld6.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/net/core.h"
#include "kernel/net/loopback.h"
#include "kernel/net/socket_object.h"

#define DEFAULT_TTL 64

void inet_options_init(struct inet_options *options)
{
    memset(options, 0, sizeof(*options));
    options->multicast_ttl = options->multicast_hops = 1;
    options->multicast_loop = options->multicast_loop_v6 = options->multicast_all = true;
    options->path_mtu_discover = options->path_mtu_discover_v6 = 1; /* IP_PMTUDISC_WANT */
}

uint8_t inet_ttl(const struct inet_options *options, bool v6)
{
    uint8_t set = v6 && options->hops != 0 ? options->hops : options->ttl;
    return set != 0 ? set : DEFAULT_TTL;
}

/* ---- Groups; core lock held ---- */

static struct inet_membership *membership_find(const struct inet_options *options, const ip_addr_t *group, uint8_t interface)
{
    for (unsigned int i = 0; options->memberships != NULL && i < INET_MEMBERSHIP_LIMIT; i++) {
        struct inet_membership *membership = &options->memberships[i];
        if (membership->interface != 0 && (interface == 0 || membership->interface == interface) && ip_addr_cmp_zoneless(&membership->group, group))
            return membership;
    }
    return NULL;
}

bool inet_is_member(const struct inet_options *options, const ip_addr_t *group, uint8_t interface)
{
    return membership_find(options, group, interface) != NULL;
}

static err_t group_change(const ip_addr_t *group, struct netif *netif, bool join)
{
    if (IP_IS_V4(group))
        return join ? igmp_joingroup_netif(netif, ip_2_ip4(group)) : igmp_leavegroup_netif(netif, ip_2_ip4(group));
    return join ? mld6_joingroup_netif(netif, ip_2_ip6(group)) : mld6_leavegroup_netif(netif, ip_2_ip6(group));
}

static int group_join(struct inet_options *options, const ip_addr_t *group, struct netif *netif)
{
    uint8_t interface = netif_get_index(netif);

    if (membership_find(options, group, interface) != NULL)
        return -EADDRINUSE;
    if (options->memberships == NULL)
        options->memberships = memory_allocate_zeroed(INET_MEMBERSHIP_LIMIT * sizeof(*options->memberships));
    if (options->memberships == NULL)
        return -ENOBUFS;
    for (unsigned int i = 0; i < INET_MEMBERSHIP_LIMIT; i++) {
        struct inet_membership *membership = &options->memberships[i];
        if (membership->interface != 0)
            continue;
        if (group_change(group, netif, true) != ERR_OK)
            return -ENODEV;
        *membership = (struct inet_membership){*group, interface};
        network_timers_changed();
        return 0;
    }
    return -ENOBUFS;
}

static int group_leave(struct inet_options *options, const ip_addr_t *group, uint8_t interface)
{
    struct inet_membership *membership = membership_find(options, group, interface);
    if (membership == NULL)
        return -EADDRNOTAVAIL;
    struct netif *netif = netif_get_by_index(membership->interface);
    if (netif != NULL)
        group_change(&membership->group, netif, false);
    membership->interface = 0;
    return 0;
}

void inet_options_release(struct inet_options *options)
{
    for (unsigned int i = 0; options->memberships != NULL && i < INET_MEMBERSHIP_LIMIT; i++)
        if (options->memberships[i].interface != 0)
            group_leave(options, &options->memberships[i].group, options->memberships[i].interface);
    memory_free(options->memberships);
    options->memberships = NULL;
}

/* The interface for a group: by index, by one of our addresses, or by the route. */
static struct netif *group_interface(const ip_addr_t *group, int index, uint32_t address)
{
    struct netif *netif;

    if (index != 0)
        return index > 0 && index < 256 ? netif_get_by_index((u8_t)index) : NULL;
    if (address != 0)
        NETIF_FOREACH (netif)
            if (ip4_addr_get_u32(netif_ip4_addr(netif)) == address)
                return netif;
    if (address != 0)
        return NULL;
    return netif_default != NULL ? netif_default : loopback_netif();
}

static int group_option(struct inet_options *options, bool join, const ip_addr_t *group, int index, uint32_t address)
{
    int error;

    if (!ip_addr_ismulticast(group))
        return -EINVAL;
    network_lock();
    struct netif *netif = group_interface(group, index, address);
    if (netif == NULL)
        error = -ENODEV;
    else if (join)
        error = group_join(options, group, netif);
    else
        error = group_leave(options, group, index != 0 || address != 0 ? netif_get_index(netif) : 0);
    network_unlock();
    return error;
}

static int option_membership_v4(struct inet_options *options, bool join, const void *value, size_t length_bytes)
{
    struct ip_mreqn request = {0};
    ip_addr_t group;

    if (length_bytes < 8)
        return -EINVAL;
    memcpy(&request, value, minimum(length_bytes, sizeof(request)));
    ip_addr_set_ip4_u32_val(group, request.group);
    return group_option(options, join, &group, request.interface, request.address);
}

static int option_membership_v6(struct inet_options *options, bool join, const void *value, size_t length_bytes)
{
    struct ipv6_mreq request;
    ip_addr_t group;
    uint32_t words[4];

    if (length_bytes < sizeof(request))
        return -EINVAL;
    memcpy(&request, value, sizeof(request));
    memcpy(words, request.group, sizeof(words));
    IP_ADDR6(&group, words[0], words[1], words[2], words[3]);
    return group_option(options, join, &group, request.interface, 0);
}

static int option_group_request(struct inet_options *options, int family, bool join, const void *value, size_t length_bytes)
{
    struct group_request request;
    struct endpoint endpoint;

    if (length_bytes < sizeof(request))
        return -EINVAL;
    memcpy(&request, value, sizeof(request));
    int error = address_parse(family, false, request.group, sizeof(request.group), &endpoint);
    return error != 0 ? -EINVAL : group_option(options, join, &endpoint.address, (int)request.interface, 0);
}

static int option_multicast_interface(struct inet_options *options, const void *value, size_t length_bytes)
{
    struct ip_mreqn request = {0};

    if (length_bytes < 4)
        return -EINVAL;
    if (length_bytes >= 8)
        memcpy(&request, value, minimum(length_bytes, sizeof(request)));
    else
        memcpy(&request.address, value, 4);
    if (request.interface == 0 && request.address == 0) {
        options->multicast_interface = 0;
        return 0;
    }
    network_lock();
    struct netif *netif = group_interface(NULL, request.interface, request.address);
    if (netif != NULL)
        options->multicast_interface = netif_get_index(netif);
    network_unlock();
    return netif != NULL ? 0 : -EADDRNOTAVAIL;
}

/* ---- Level IP ---- */

static int out_number(void *value, size_t *length_bytes, int number)
{
    int32_t whole = number;
    /* As Linux: programs that ask with a single byte get one. */
    if (*length_bytes > 0 && *length_bytes < sizeof(whole) && number >= 0 && number <= 255) {
        uint8_t byte = (uint8_t)number;
        return socket_option_out(value, length_bytes, &byte, 1);
    }
    return socket_option_out(value, length_bytes, &whole, sizeof(whole));
}

static uint32_t interface_address(uint8_t index)
{
    network_lock();
    struct netif *netif = netif_get_by_index(index);
    uint32_t address = netif != NULL ? ip4_addr_get_u32(netif_ip4_addr(netif)) : 0;
    network_unlock();
    return address;
}

static int path_mtu(struct socket *socket, void *value, size_t *length_bytes)
{
    uint8_t name[SOCKET_ADDRESS_LIMIT] = {0};
    struct endpoint peer;
    ip_addr_t any;

    long length = socket->operations->get_name(socket, true, name);
    if (length < 0)
        return -ENOTCONN;
    int error = address_parse(socket->family, false, name, (size_t)length, &peer);
    if (error != 0)
        return error;
    network_lock();
    ip_addr_set_any(IP_IS_V6_VAL(peer.address), &any);
    struct netif *netif = ip_route(&any, &peer.address);
    int mtu = netif != NULL ? netif->mtu : 1500;
    network_unlock();
    return out_number(value, length_bytes, mtu);
}

static int ip_get(struct socket *socket, struct inet_options *options, int name, void *value, size_t *length_bytes)
{
    uint32_t address;

    switch (name) {
    case IP_TOS: return out_number(value, length_bytes, options->tos);
    case IP_TTL: return out_number(value, length_bytes, options->ttl != 0 ? options->ttl : DEFAULT_TTL);
    case IP_HDRINCL: return socket->type == SOCK_RAW ? out_number(value, length_bytes, options->header_included) : -ENOPROTOOPT;
    case IP_OPTIONS:
        *length_bytes = 0;
        return 0;
    case IP_PKTINFO: return out_number(value, length_bytes, options->packet_info);
    case IP_MTU_DISCOVER: return out_number(value, length_bytes, options->path_mtu_discover);
    case IP_RECVERR: return out_number(value, length_bytes, options->receive_errors);
    case IP_RECVTTL: return out_number(value, length_bytes, options->receive_ttl);
    case IP_RECVTOS: return out_number(value, length_bytes, options->receive_tos);
    case IP_RECVOPTS: return out_number(value, length_bytes, options->receive_options);
    case IP_RETOPTS: return out_number(value, length_bytes, 0);
    case IP_RECVORIGDSTADDR: return out_number(value, length_bytes, options->receive_destination);
    case IP_MTU: return path_mtu(socket, value, length_bytes);
    case IP_FREEBIND: return out_number(value, length_bytes, options->free_bind);
    case IP_TRANSPARENT: return out_number(value, length_bytes, options->transparent);
    case IP_MINTTL: return out_number(value, length_bytes, options->minimum_ttl);
    case IP_BIND_ADDRESS_NO_PORT: return out_number(value, length_bytes, options->bind_no_port);
    case IP_MULTICAST_TTL: return out_number(value, length_bytes, options->multicast_ttl);
    case IP_MULTICAST_LOOP: return out_number(value, length_bytes, options->multicast_loop);
    case IP_MULTICAST_ALL: return out_number(value, length_bytes, options->multicast_all);
    case IP_MULTICAST_IF:
        address = interface_address(options->multicast_interface);
        return socket_option_out(value, length_bytes, &address, sizeof(address));
    default: return -ENOPROTOOPT;
    }
}

static int ip_set_number(struct socket *socket, struct inet_options *options, int name, int number)
{
    bool on = number != 0;

    switch (name) {
    case IP_TOS: options->tos = (uint8_t)(number & (socket->type == SOCK_STREAM ? 0xfc : 0xff)); return 0;
    case IP_TTL:
        if (number != -1 && (number < 1 || number > 255))
            return -EINVAL;
        options->ttl = number == -1 ? 0 : (uint8_t)number;
        return 0;
    case IP_HDRINCL:
        if (socket->type != SOCK_RAW)
            return -ENOPROTOOPT;
        options->header_included = on;
        return 0;
    case IP_PKTINFO: options->packet_info = on; return 0;
    case IP_MTU_DISCOVER:
        if (number < 0 || number > 5)
            return -EINVAL;
        options->path_mtu_discover = (uint8_t)number;
        return 0;
    case IP_RECVERR: options->receive_errors = on; return 0;
    case IP_RECVTTL: options->receive_ttl = on; return 0;
    case IP_RECVTOS: options->receive_tos = on; return 0;
    case IP_RECVOPTS: options->receive_options = on; return 0;
    case IP_RECVORIGDSTADDR: options->receive_destination = on; return 0;
    case IP_FREEBIND: options->free_bind = on; return 0;
    case IP_TRANSPARENT:
        if (on && socket->credentials && !credentials_capable(socket->credentials, CAPABILITY_NET_ADMIN) && !credentials_capable(socket->credentials, CAPABILITY_NET_RAW))
            return -EPERM;
        options->transparent = on;
        return 0;
    case IP_MINTTL:
        if (number < 0 || number > 255)
            return -EINVAL;
        options->minimum_ttl = (uint8_t)number;
        return 0;
    case IP_BIND_ADDRESS_NO_PORT: options->bind_no_port = on; return 0;
    case IP_MULTICAST_TTL:
        if (socket->type == SOCK_STREAM || number < -1 || number > 255)
            return -EINVAL;
        options->multicast_ttl = number == -1 ? 1 : (uint8_t)number;
        return 0;
    case IP_MULTICAST_LOOP: options->multicast_loop = on; return 0;
    case IP_MULTICAST_ALL: options->multicast_all = on; return 0;
    default: return -ENOPROTOOPT;
    }
}

static int ip_set(struct socket *socket, struct inet_options *options, int name, const void *value, size_t length_bytes)
{
    int number;

    switch (name) {
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP: return option_membership_v4(options, name == IP_ADD_MEMBERSHIP, value, length_bytes);
    case MCAST_JOIN_GROUP:
    case MCAST_LEAVE_GROUP: return option_group_request(options, AF_INET, name == MCAST_JOIN_GROUP, value, length_bytes);
    case IP_MULTICAST_IF: return option_multicast_interface(options, value, length_bytes);
    case IP_OPTIONS: return length_bytes == 0 ? 0 : -EPERM; /* source routes and the like are not sent */
    default: {
        int error = socket_option_in(value, length_bytes, &number);
        return error != 0 ? error : ip_set_number(socket, options, name, number);
    }
    }
}

/* ---- Level IPV6 ---- */

static int ipv6_get(struct socket *socket, struct inet_options *options, int name, void *value, size_t *length_bytes)
{
    switch (name) {
    case IPV6_V6ONLY: return out_number(value, length_bytes, options->v6_only);
    case IPV6_UNICAST_HOPS: return out_number(value, length_bytes, options->hops != 0 ? options->hops : DEFAULT_TTL);
    case IPV6_MULTICAST_HOPS: return out_number(value, length_bytes, options->multicast_hops);
    case IPV6_MULTICAST_LOOP: return out_number(value, length_bytes, options->multicast_loop_v6);
    case IPV6_MULTICAST_IF: return out_number(value, length_bytes, options->multicast_interface_v6);
    case IPV6_MULTICAST_ALL: return out_number(value, length_bytes, options->multicast_all);
    case IPV6_MTU_DISCOVER: return out_number(value, length_bytes, options->path_mtu_discover_v6);
    case IPV6_MTU: return path_mtu(socket, value, length_bytes);
    case IPV6_RECVERR: return out_number(value, length_bytes, options->receive_errors_v6);
    case IPV6_RECVPKTINFO: return out_number(value, length_bytes, options->packet_info_v6);
    case IPV6_RECVHOPLIMIT: return out_number(value, length_bytes, options->receive_hops);
    case IPV6_RECVTCLASS: return out_number(value, length_bytes, options->receive_class);
    case IPV6_TCLASS: return out_number(value, length_bytes, options->traffic_class);
    case IPV6_DONTFRAG: return out_number(value, length_bytes, options->dont_fragment_v6);
    case IPV6_FREEBIND: return out_number(value, length_bytes, options->free_bind);
    case IPV6_ADDR_PREFERENCES: return out_number(value, length_bytes, options->v6_preferences);
    case IPV6_RECVHOPOPTS:
    case IPV6_RECVRTHDR:
    case IPV6_RECVDSTOPTS:
    case IPV6_RECVPATHMTU: return out_number(value, length_bytes, 0);
    case IPV6_ADDRFORM: return out_number(value, length_bytes, AF_INET6);
    default: return -ENOPROTOOPT;
    }
}

static int set_v6_only(struct socket *socket, struct inet_options *options, bool on)
{
    uint8_t name[SOCKET_ADDRESS_LIMIT] = {0};
    struct sockaddr_in6 own;

    if (socket->operations->get_name(socket, false, name) < 0)
        return -EINVAL;
    memcpy(&own, name, sizeof(own));
    if (own.port != 0)
        return -EINVAL; /* too late */
    options->v6_only = on;
    return 0;
}

static int ipv6_set_number(struct socket *socket, struct inet_options *options, int name, int number)
{
    bool on = number != 0;

    switch (name) {
    case IPV6_V6ONLY: return set_v6_only(socket, options, on);
    case IPV6_UNICAST_HOPS:
        if (number < -1 || number > 255)
            return -EINVAL;
        options->hops = number == -1 ? 0 : (uint8_t)number;
        return 0;
    case IPV6_MULTICAST_HOPS:
        if (socket->type == SOCK_STREAM)
            return -ENOPROTOOPT;
        if (number < -1 || number > 255)
            return -EINVAL;
        options->multicast_hops = number == -1 ? 1 : (uint8_t)number;
        return 0;
    case IPV6_MULTICAST_LOOP: options->multicast_loop_v6 = on; return 0;
    case IPV6_MULTICAST_ALL: options->multicast_all = on; return 0;
    case IPV6_MULTICAST_IF:
        if (number < 0 || number > 255 || (number != 0 && !address_interface_exists((uint8_t)number)))
            return -ENODEV;
        options->multicast_interface_v6 = (uint8_t)number;
        return 0;
    case IPV6_MTU_DISCOVER:
        if (number < 0 || number > 5)
            return -EINVAL;
        options->path_mtu_discover_v6 = (uint8_t)number;
        return 0;
    case IPV6_RECVERR: options->receive_errors_v6 = on; return 0;
    case IPV6_RECVPKTINFO: options->packet_info_v6 = on; return 0;
    case IPV6_RECVHOPLIMIT: options->receive_hops = on; return 0;
    case IPV6_RECVTCLASS: options->receive_class = on; return 0;
    case IPV6_TCLASS:
        if (number < -1 || number > 255)
            return -EINVAL;
        options->traffic_class = number == -1 ? 0 : (uint8_t)number;
        return 0;
    case IPV6_DONTFRAG: options->dont_fragment_v6 = on; return 0;
    case IPV6_FREEBIND: options->free_bind = on; return 0;
    case IPV6_ADDR_PREFERENCES: options->v6_preferences = number; return 0;
    default: return -ENOPROTOOPT;
    }
}

static int ipv6_set(struct socket *socket, struct inet_options *options, int name, const void *value, size_t length_bytes)
{
    int32_t number;

    switch (name) {
    case IPV6_JOIN_GROUP:
    case IPV6_LEAVE_GROUP: return option_membership_v6(options, name == IPV6_JOIN_GROUP, value, length_bytes);
    case MCAST_JOIN_GROUP:
    case MCAST_LEAVE_GROUP: return option_group_request(options, AF_INET6, name == MCAST_JOIN_GROUP, value, length_bytes);
    default:
        if (length_bytes < sizeof(number))
            return -EINVAL;
        memcpy(&number, value, sizeof(number));
        return ipv6_set_number(socket, options, name, number);
    }
}

int inet_option_get(struct socket *socket, struct inet_options *options, int level, int name, void *value, size_t *length_bytes)
{
    if (level == SOL_IP)
        return ip_get(socket, options, name, value, length_bytes);
    return socket->family == AF_INET6 ? ipv6_get(socket, options, name, value, length_bytes) : -ENOPROTOOPT;
}

int inet_option_set(struct socket *socket, struct inet_options *options, int level, int name, const void *value, size_t length_bytes)
{
    if (level == SOL_IP)
        return ip_set(socket, options, name, value, length_bytes);
    return socket->family == AF_INET6 ? ipv6_set(socket, options, name, value, length_bytes) : -ENOPROTOOPT;
}
