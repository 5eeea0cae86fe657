/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network interface as its files share it: driver.c (life), handshake.c (xenstore), transmit.c, receive.c.
 *
 * Lock order: connection, then tx_lock, rx_lock or pool_lock (none inside another).
 */
#pragma once

#include "kernel/device/net_device.h"
#include "kernel/sched/completion.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/timer.h"
#include "netfront/queue.h"
#include "xen/bus/grant_table.h"
#include "xen/machine/event_channel.h"

struct xenbus_device;

/* A transmit slot; its index is the request's id. All under tx_lock. */
struct netfront_tx_slot {
    struct net_frame *frame;      /* NULL: free */
    struct page *page;            /* what is granted */
    struct page *bounce;          /* a page of our own, allocated when first needed */
    grant_reference_t reference;  /* NONE: the slot is lost */
};

/* A receive slot; its index is its place in the ring. All under rx_lock. */
struct netfront_rx_slot {
    struct page *page;            /* NULL: nothing posted */
    grant_reference_t reference;
};

/* Locks: x connection; t tx_lock; r rx_lock; p pool_lock; o the receive thread only; f fixed; a atomic. */
struct netfront_interface {
    struct net_device device;
    struct xenbus_device *bus;               /* f */
    struct mutex connection;
    uint16_t backend_domain;                 /* x */
    bool trusted;                            /* f */
    bool registered;                         /* x */
    struct page *tx_page, *rx_page;          /* x the rings */
    grant_reference_t tx_ring_reference, rx_ring_reference; /* x */
    event_port_t rx_port;                    /* x; 0: none; also tx's unless split */
    _Atomic event_port_t tx_port;            /* x written; a */

    struct spinlock tx_lock;
    struct netfront_tx_queue tx;             /* t */
    bool tx_connected;                       /* t */
    bool tx_stopped;                         /* t the stack waits for room */
    uint32_t tx_extras;                      /* t extra slots in the ring */
    uint16_t tx_free[NETFRONT_RING_SIZE];    /* t stack of free slots */
    uint32_t tx_free_count;                  /* t */
    struct netfront_tx_slot tx_slots[NETFRONT_RING_SIZE]; /* t */

    struct spinlock rx_lock;
    struct netfront_rx_queue rx;             /* r */
    bool rx_connected;                       /* r */
    uint32_t rx_target;                      /* r how many buffers to keep posted */
    struct netfront_rx_slot rx_slots[NETFRONT_RING_SIZE]; /* r */
    struct net_packet *rx_packet;            /* r the packet that responses are being gathered into */
    bool rx_discard;                         /* r the rest of this packet is thrown away */
    bool rx_extra;                           /* r the next response is extra info */
    bool rx_more;                            /* r the packet goes on after the extra info */

    struct thread *rx_thread;                /* f */
    struct wait_queue rx_queue;
    atomic_bool rx_work;                     /* a there may be responses */
    atomic_bool rx_stop;                     /* a the thread is to end */
    struct completion rx_stopped;

    struct spinlock pool_lock;
    struct list pool;                        /* p pages to post again, by page->link */
    uint32_t pool_count;                     /* p */

    const char *_Atomic violation;           /* a what the backend did first */
    struct deferred_work violation_work;     /* closes the interface, in a thread */
};

/* The backend broke the rules: closes the interface, soon. Any context. */
void netfront_violation(struct netfront_interface *interface, const char *what);
