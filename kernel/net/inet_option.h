/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of levels IP and IPV6, common to stream, datagram and raw sockets.
 */
#pragma once

#include <lwip/ip_addr.h>

#include "kernel/base/compiler.h"
#include "kernel/net/address.h"
#include "kernel/net/socket.h"

struct socket;

#define INET_MEMBERSHIP_LIMIT 20 /* net.ipv4.igmp_max_memberships */

struct inet_membership {
    ip_addr_t group;
    uint8_t interface; /* index */
};

/* Single words, written by the program's calls and read where a packet is made. */
struct inet_options {
    uint8_t ttl;                   /* 0: the default */
    uint8_t tos;
    uint8_t hops;                  /* IPV6_UNICAST_HOPS, 0: the default */
    uint8_t traffic_class;
    uint8_t multicast_ttl;         /* 1 */
    uint8_t multicast_hops;        /* 1 */
    bool multicast_loop, multicast_loop_v6;
    bool multicast_all;
    uint8_t multicast_interface;   /* index, 0: by route */
    uint8_t multicast_interface_v6;
    bool packet_info, packet_info_v6, receive_ttl, receive_hops, receive_tos, receive_class, receive_destination;
    bool receive_errors, receive_errors_v6;
    uint8_t path_mtu_discover, path_mtu_discover_v6;
    bool v6_only;
    bool free_bind, transparent, header_included, dont_fragment_v6, bind_no_port, receive_options;
    uint8_t minimum_ttl;
    int v6_preferences;
    struct inet_membership *memberships; /* core lock; INET_MEMBERSHIP_LIMIT of them, or NULL */
};

void inet_options_init(struct inet_options *options);
int inet_option_get(struct socket *socket, struct inet_options *options, int level, int name, void *value, size_t *length_bytes);
int inet_option_set(struct socket *socket, struct inet_options *options, int level, int name, const void *value, size_t length_bytes);
/* Leaves all groups. Core lock held. */
void inet_options_release(struct inet_options *options);
/* Is the socket a member of the group on that interface? Core lock held. */
bool inet_is_member(const struct inet_options *options, const ip_addr_t *group, uint8_t interface);
uint8_t inet_ttl(const struct inet_options *options, bool v6);
