/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ioctls, netlink and /proc say of an interface, in Linux's numbers. Core lock held.
 */
#pragma once

#include <lwip/netif.h>

#include "kernel/base/compiler.h"

uint32_t interface_flags(const struct netif *netif); /* IFF_* */
uint32_t interface_mtu(const struct netif *netif);
