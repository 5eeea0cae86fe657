/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network interfaces: a netif of lwIP over each struct net_device.
 *
 *   in:  deliver (the driver's receive thread) → pbufs over the device's pages, no copy → core lock, once for the batch → lwIP
 *   out: lwIP → interface_transmit → a frame of fragments: headers copied together, pages shared → batch → at
 *        network_unlock() → net_transmit; what the ring has no room for waits until transmit_ready.
 */
#pragma once

#include <lwip/netif.h>

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/device/net_device.h"
#include "xen/machine/spinlock.h"

#define INTERFACE_NAME_BYTES NET_NAME_BYTES

/* Locks: c core lock; t transmit_lock; f fixed. */
struct interface {
    struct netif netif;             /* c */
    struct net_device *device;      /* f referenced */
    struct net_receiver receiver;   /* f */
    struct list link;               /* c */
    struct list batch;              /* c frames made since the core lock was taken */
    struct spinlock transmit_lock;
    struct list waiting;            /* t frames for which the device had no room */
    unsigned int waiting_count;     /* t */
};

/* 0, -EEXIST (has one already), -ENOMEM. The link is up, no address yet. Core lock held. */
int interface_create(struct net_device *device, struct interface **interface);
/* Makes it deliver from now on; not under the core lock. */
void interface_activate(struct interface *interface);
struct interface *interface_find(const struct net_device *device); /* core lock held */
/* Not under the core lock; frees it. */
void interface_destroy(struct interface *interface);
/* Core lock held: sends the batches. */
void interface_flush_all(void);

/* "lo", "eth0"; core lock held. */
void interface_name(const struct netif *netif, char name[INTERFACE_NAME_BYTES]);
/* NULL: there is none. Core lock held. */
struct netif *interface_by_name(const char *name, size_t length_bytes);
/* NULL for loopback. Core lock held. */
struct net_device *interface_device(const struct netif *netif);
