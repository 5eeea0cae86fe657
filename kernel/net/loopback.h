/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loopback interface "lo". Everything here is called under the core lock.
 */
#pragma once

#include <lwip/netif.h>

#include "kernel/base/compiler.h"

int loopback_start(void);
struct netif *loopback_netif(void);
/* Packets (IP, without link header) to be fed to `netif` when the lock is released; the call takes them over. */
void loopback_enqueue(struct pbuf *packet, struct netif *netif);
/* Feeds what is queued, a bounded number; true: there is more. */
bool loopback_deliver(void);
/* A packet came in on `input`: all of 127.0.0.0/8 is ours there. */
void loopback_adopt(struct netif *input, const ip4_addr_t *destination);
/* Packets and bytes so far. */
void loopback_statistics(uint64_t *packets, uint64_t *bytes);
