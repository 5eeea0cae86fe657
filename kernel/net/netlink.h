/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netlink sockets, NETLINK_ROUTE: interfaces, addresses, routes and neighbours for those who ask, and news for those who listen.
 */
#pragma once

#include <lwip/netif.h>

#include "kernel/base/compiler.h"

/* Core lock held: lwIP's report of a change, for the members of the groups. */
void netlink_interface_event(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *arguments);
