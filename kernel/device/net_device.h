/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between network interfaces (netfront) and the stack (kernel/net).
 *
 *   out: the stack fills a struct net_frame and calls net_transmit(); the frame and its pages are the driver's until it
 *        calls frame->complete(), when the backend has let go of them.
 *   in:  the driver calls receiver->deliver() with a list of struct net_packet; packets and pages are the stack's, without a copy, until it
 *        calls net_packet_release(), in any order and from any context.
 *
 * Frames start with their Ethernet header. Addresses and lengths in packets come from the outside and are trusted for nothing but that
 * fragments lie inside their pages.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/memory/page.h"
#include "kernel/sched/wait_queue.h"
#include "xen/machine/spinlock.h"

#define NET_NAME_BYTES 16
#define NET_HEADER_BYTES 14           /* Ethernet */
#define NET_FRAME_BYTES_LIMIT 65535   /* header included, with segmentation offload */
#define NET_FRAGMENT_LIMIT 18

/* Device features, as connected: they may shrink or grow at a reconnect. */
#define NET_FEATURE_TX_CHECKSUM_V4 1u  /* fills in TCP/UDP checksums over IPv4 (NET_CHECKSUM_PARTIAL) */
#define NET_FEATURE_TX_CHECKSUM_V6 2u
#define NET_FEATURE_RX_CHECKSUM 4u     /* says NET_CHECKSUM_TRUSTED where that is so */
#define NET_FEATURE_SCATTER_GATHER 8u  /* without it a frame of several fragments is copied together by the driver */
#define NET_FEATURE_TSO_V4 16u         /* takes frames up to 64 KiB with gso_bytes set */
#define NET_FEATURE_TSO_V6 32u

enum net_checksum {
    NET_CHECKSUM_NONE,    /* out: complete as it stands. In: not checked by anybody, the stack does it */
    NET_CHECKSUM_PARTIAL, /* out: the field holds the pseudo-header's sum, the backend completes it. In: the same, from a local sender: trust it */
    NET_CHECKSUM_TRUSTED, /* in only: complete, and checked by the sender's side */
};

enum net_gso { NET_GSO_NONE, NET_GSO_TCP_V4, NET_GSO_TCP_V6 };

struct net_device;

/* Part of one page of RAM: offset + length ≤ PAGE_SIZE, length > 0. */
struct net_fragment {
    struct page *page;
    uint32_t offset_bytes;
    uint32_t length_bytes;
};

/* A frame to send. The memory is the stack's. */
struct net_frame {
    /*
     * The headers (at least Ethernet's 14 bytes, better all up to TCP's) lie whole in fragments[0]. NULL pages are not allowed; a page may hold
     * other data besides (the driver grants it read-only, but a backend can then read all of the page: where it is not trusted the driver copies).
     */
    struct net_fragment fragments[NET_FRAGMENT_LIMIT];
    uint32_t fragment_count;
    uint8_t checksum;                /* enum net_checksum: NONE or PARTIAL */
    uint8_t gso;                     /* enum net_gso */
    uint16_t gso_bytes;              /* payload bytes of one segment (MSS) */
    uint16_t checksum_start;         /* PARTIAL: offset of the TCP/UDP header in the frame */
    uint16_t checksum_offset;        /* PARTIAL: offset of the checksum field in that header */
    /* Called once for every frame that net_transmit() took, in event context or from a thread: must not sleep. error 0 (sent, as far as known), -EIO, -ENETDOWN. */
    void (*complete)(struct net_frame *frame, int error);
    void *data;

    /* The driver's. */
    struct list link;
    uint32_t slots_left;
};

/* In bytes, header included. */
static inline uint32_t net_frame_length(const struct net_frame *frame)
{
    uint32_t length_bytes = 0;

    for (uint32_t i = 0; i < frame->fragment_count; i++)
        length_bytes += frame->fragments[i].length_bytes;
    return length_bytes;
}

/* A received packet. The memory is the driver's. */
struct net_packet {
    struct list link;                /* the stack's, once delivered */
    struct net_device *device;       /* holds a reference on it */
    struct net_fragment fragments[NET_FRAGMENT_LIMIT];
    uint32_t fragment_count;
    uint32_t length_bytes;           /* sum of the fragments, ≥ NET_HEADER_BYTES */
    uint8_t checksum;                /* enum net_checksum */
    uint8_t gso;                     /* enum net_gso: several segments in one packet, gso_bytes each */
    uint16_t gso_bytes;
    void *data;                      /* the stack's, once delivered */
};

/* What the stack registers. Set before the device is started; not changed while it runs. */
struct net_receiver {
    /*
     * A batch in order of arrival, linked by packet->link; the list head is the driver's and is empty after the call. Called by the
     * driver's receive thread, one call at a time for a device: may sleep (the stack's core lock), should not do so for long.
     */
    void (*deliver)(struct net_receiver *receiver, struct net_device *device, struct list *packets);
    /* There is room again after a net_transmit() that answered -ENOBUFS. Event context or thread: must not sleep. */
    void (*transmit_ready)(struct net_receiver *receiver, struct net_device *device);
    /* Link up or down, features or mtu new (a reconnect). Thread context, may sleep. */
    void (*changed)(struct net_receiver *receiver, struct net_device *device);
    void *data;
};

/* What a driver does. */
struct net_device_ops {
    /*
     * Takes the frame (0) and completes it later, or answers -ENOBUFS (ring full: transmit_ready follows), -ENETDOWN (not connected), -EMSGSIZE (too
     * long, too many fragments, gso not offered). Checked by net_transmit() before: fragments inside pages. Any context but never sleeps; the driver has its own lock.
     * With `more` set the caller sends another at once, and the backend need not be told yet.
     */
    int (*transmit)(struct net_device *device, struct net_frame *frame, bool more);
    /* Takes a packet's memory back. Any context; must not sleep. */
    void (*packet_release)(struct net_packet *packet);
    /* Last reference gone after unregister. Thread context, may sleep. */
    void (*destroy)(struct net_device *device);
};

/* Locks: f fixed while registered; a atomic; t table lock. */
struct net_device {
    char name[NET_NAME_BYTES];           /* f "eth0" ... in order of registration, given by net_device_register() */
    const struct net_device_ops *ops;    /* f */
    uint8_t mac[6];                      /* f */
    char static_address[64];             /* f what the toolstack wrote as `ip`, or "": foreign text, such as "10.0.0.2" or several separated by spaces; parse strictly */
    _Atomic uint32_t mtu_bytes;          /* a payload after the Ethernet header */
    _Atomic uint32_t features;           /* a NET_FEATURE_* */
    _Atomic bool link_up;                /* a connected to a backend */
    _Atomic bool gone;                   /* a unregistered or broken for good */
    struct spinlock receiver_lock;       /* net_device.c's, as the next three */
    struct net_receiver *receiver;       /* receiver_lock */
    unsigned int receiver_calls;         /* receiver_lock calls going on */
    struct wait_queue receiver_idle;
    _Atomic uint64_t rx_packets, rx_bytes, rx_dropped, rx_errors, tx_packets, tx_bytes, tx_dropped, tx_errors; /* a the driver counts */
    struct reference reference;          /* a */
    struct list link;                    /* t */
};

/* Driver's side; thread context. Register names the device and tells the watchers; unregister marks it gone, tells them and drops the table's reference. */
int net_device_register(struct net_device *device);
void net_device_unregister(struct net_device *device);
/* Calls of the receiver, if there is one. deliver releases the packets where there is none. */
void net_device_deliver(struct net_device *device, struct list *packets);
void net_device_transmit_ready(struct net_device *device);
void net_device_changed(struct net_device *device);

/* Stack's side. */
struct net_device *net_device_find(const char *name);
/* after = NULL first, then the last answer, whose reference it drops. */
struct net_device *net_device_next(struct net_device *after);
void net_device_take(struct net_device *device);
void net_device_release(struct net_device *device);
/*
 * From now on packets are delivered to it. NULL: dropped; when it returns the old one is not being called any more. Thread
 * context, not from one of its calls. */
void net_device_set_receiver(struct net_device *device, struct net_receiver *receiver);
/* See ops->transmit for the answers. */
int net_transmit(struct net_device *device, struct net_frame *frame, bool more);
void net_packet_release(struct net_packet *packet);

/* Hears of interfaces that come and go; thread context, may sleep, may set the receiver. */
enum net_change { NET_ADDED, NET_REMOVED };

struct net_watcher {
    void (*changed)(struct net_watcher *watcher, struct net_device *device, enum net_change change);
    struct list link;
};

/* Also tells of the interfaces that are there already, as NET_ADDED, before it returns. */
void net_watch(struct net_watcher *watcher);
void net_unwatch(struct net_watcher *watcher);
