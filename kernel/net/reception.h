/* SPDX-License-Identifier: BSD-2-Clause */
/* From a net device's packets to lwIP (reception.c). */
#pragma once

#include <lwip/netif.h>

#include "kernel/base/list.h"

/* Boot. 0 or -ENOMEM. */
int reception_start(void);
/* Thread context, one call at a time for an interface, core lock not held. Takes over the list's struct net_packet. */
void reception_deliver(struct netif *netif, struct list *packets);
