/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets on their way in.
 */
#pragma once

#include "netfront/interface.h"

/* The cache of packets, once for all interfaces. 0 or -ENOMEM. */
int netfront_receive_init_all(void);
/* Allocates the slots' grant references and the thread, not started. 0 or -ENOSPC, -ENOMEM; destroy undoes what was done. */
int netfront_receive_init(struct netfront_interface *interface);
void netfront_receive_destroy(struct netfront_interface *interface);

/* ops->packet_release. */
void netfront_packet_release(struct net_packet *packet);
/* There may be responses: wakes the thread. Event context; data is the interface. */
void netfront_receive_event(event_port_t port, void *data);

/* The ring is new: posts buffers. / The event channel is closed: takes the buffers back. */
void netfront_receive_start(struct netfront_interface *interface);
void netfront_receive_stop(struct netfront_interface *interface);
/* Ends the thread, which then delivers nothing more. */
void netfront_receive_end_thread(struct netfront_interface *interface);
/* One round of the thread's work, for it and for tests: true if it found anything. */
bool netfront_receive_round(struct netfront_interface *interface);
