/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink's messages: their layout (rtnetlink(7)) and those who make them.
 */
#pragma once

#include <lwip/netif.h>

#include "kernel/base/compiler.h"

#define NETLINK_CHUNK_BYTES 4096u /* as much as one recvmsg() gets: glibc's buffer is no larger */

enum { NLMSG_NOOP = 1, NLMSG_ERROR = 2, NLMSG_DONE = 3,
       RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18, RTM_NEWADDR = 20, RTM_DELADDR = 21, RTM_GETADDR = 22,
       RTM_NEWROUTE = 24, RTM_DELROUTE = 25, RTM_GETROUTE = 26, RTM_NEWNEIGH = 28, RTM_DELNEIGH = 29, RTM_GETNEIGH = 30,
       RTM_GETRULE = 34, RTM_GETQDISC = 38 };
enum { RTNLGRP_LINK = 1, RTNLGRP_NEIGH = 3, RTNLGRP_IPV4_IFADDR = 5, RTNLGRP_IPV4_ROUTE = 7, RTNLGRP_IPV6_IFADDR = 9, RTNLGRP_IPV6_ROUTE = 11 };

#define NLM_F_REQUEST 0x1u
#define NLM_F_MULTI 0x2u
#define NLM_F_ACK 0x4u
#define NLM_F_DUMP 0x300u

struct netlink_header {
    uint32_t length_bytes; /* with this header; the next message is aligned to 4 */
    uint16_t type;
    uint16_t flags;
    uint32_t sequence;
    uint32_t port;
};

/* Where messages are put together. `full` calls for the chunk so far to be sent. */
struct netlink_writer {
    uint8_t bytes[NETLINK_CHUNK_BYTES] __attribute__((aligned(8)));
    size_t used;
    size_t message;            /* where the message in hand begins */
    uint32_t sequence, port;
    uint16_t flags;
    void (*full)(struct netlink_writer *writer, void *context);
    void *context;
};

/* All under the core lock. */
void netlink_write_begin(struct netlink_writer *writer, uint16_t type, const void *fixed, size_t fixed_bytes);
void netlink_write_end(struct netlink_writer *writer);
void netlink_write_link(struct netlink_writer *writer, uint16_t type, const struct netif *netif);
/* index -1: the IPv4 address; else that IPv6 one. */
void netlink_write_address(struct netlink_writer *writer, uint16_t type, const struct netif *netif, int index);
void netlink_write_links(struct netlink_writer *writer);
void netlink_write_addresses(struct netlink_writer *writer, uint8_t family);
void netlink_write_routes(struct netlink_writer *writer, uint8_t family);
void netlink_write_neighbours(struct netlink_writer *writer, uint8_t family);
/* The route to one destination: 0 or -ENETUNREACH. */
int netlink_write_route_to(struct netlink_writer *writer, const ip_addr_t *destination);
