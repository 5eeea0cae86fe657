/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames on their way out.
 */
#pragma once

#include "netfront/interface.h"

/* Allocates the slots' grant references. 0 or -ENOSPC, -ENOMEM; destroy undoes what was done. Thread context. */
int netfront_transmit_init(struct netfront_interface *interface);
void netfront_transmit_destroy(struct netfront_interface *interface);

/* ops->transmit. */
int netfront_transmit(struct net_device *device, struct net_frame *frame, bool more);
/* Takes responses, completes frames. Any context. */
void netfront_transmit_collect(struct netfront_interface *interface);
/* The same. Event context; data is the interface. */
void netfront_transmit_event(event_port_t port, void *data);

/* The ring is new / is gone: frames in flight are completed with -EIO. The event channel is closed then. */
void netfront_transmit_start(struct netfront_interface *interface);
void netfront_transmit_stop(struct netfront_interface *interface);
