/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where lwIP asks us. All of them are called under the core lock and defined in kernel/net/hooks.c.
 */
#pragma once

#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"

struct dhcp;
struct dhcp_msg;
struct netif;
struct tcp_pcb;

/* Initial sequence numbers by RFC 6528. */
u32_t network_hook_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote, u16_t remote_port);
/* Non-zero: the packet was eaten. p starts with the IP header. */
int network_hook_input_v4(struct pbuf *p, struct netif *input);
int network_hook_input_v6(struct pbuf *p, struct netif *input);
/* A segment was found to be this pcb's (of any state, also a listening one). */
void network_hook_segment(struct tcp_pcb *pcb);
/* Our own addresses are reached through loopback; NULL: the usual way. */
struct netif *network_hook_route_v4(const ip4_addr_t *source, const ip4_addr_t *destination);
struct netif *network_hook_route_v6(const ip6_addr_t *source, const ip6_addr_t *destination);
/* An option of a DHCP answer that lwIP has no use for. */
void network_hook_dhcp_option(struct netif *netif, u8_t option, u8_t length, struct pbuf *p, u16_t offset);
