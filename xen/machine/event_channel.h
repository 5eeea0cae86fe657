/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels (2-level ABI). A bound port has a handler, called in event context on the CPU it is bound to, with
 * the port's pending bit already cleared: it must not sleep; it usually wakes a thread or deferred work.
 */
#pragma once

#include <stdint.h>

typedef uint32_t event_port_t;
typedef void (*event_handler_t)(event_port_t port, void *data);

/* All return 0 or -Exxx and put the port in *port. The handler may run before the function returns. */
int event_channel_allocate_unbound(uint16_t remote_domain, event_handler_t handler, void *data, event_port_t *port);
int event_channel_bind_interdomain(uint16_t remote_domain, event_port_t remote_port, event_handler_t handler,
                                   void *data, event_port_t *port);
int event_channel_bind_virq(unsigned int virq, unsigned int cpu, event_handler_t handler, void *data,
                            event_port_t *port);
int event_channel_bind_ipi(unsigned int cpu, event_handler_t handler, void *data, event_port_t *port);
/* Attaches a handler to a port the toolstack bound for us (console, xenstore). */
int event_channel_attach(event_port_t port, event_handler_t handler, void *data);

void event_channel_send(event_port_t port);
void event_channel_mask(event_port_t port);
/* Delivers at once what came while the port was masked. */
void event_channel_unmask(event_port_t port);
/* Closes the port; when it returns, the handler is not running on any CPU and will not run again. Must not be called from it. */
void event_channel_close(event_port_t port);
