/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local ports: who is bound where, by Linux's rules, which differ from lwIP's (that is told every address may be used again, and is
 * never asked).
 *
 * Two bindings of one port are in each other's way when their addresses overlap and they do not agree to share: both set
 * SO_REUSEPORT and belong to one user; or both set SO_REUSEADDR and, for TCP, the older one does not listen. Connections that a listener
 * accepted, and old ones in TIME_WAIT, are bindings too. Everything under the core lock.
 */
#pragma once

#include "kernel/base/list.h"
#include "kernel/net/address.h"

enum port_protocol { PORT_TCP, PORT_UDP, PORT_UDPLITE, PORT_PROTOCOLS };

struct port_binding {
    struct list link;
    enum port_protocol protocol;
    ip_addr_t address;
    uint16_t port;             /* 0: not bound */
    bool v6_only;              /* of a binding to :: */
    bool reuse_address, reuse_port;
    bool listening;
    bool connected;            /* has a remote end: does not take part in SO_REUSEPORT groups */
    uint8_t interface;         /* SO_BINDTODEVICE */
    uint32_t uid;
    ip_addr_t remote_address;  /* of a connection */
    uint16_t remote_port;
    void *owner;
};

void port_start(void);
/* Binds to binding->port, or with 0 to a free one of the ephemeral range, which it stores. 0 or -EADDRINUSE. */
int port_bind(struct port_binding *binding);
/* Adds a connection that shares its listener's port: never fails. */
void port_share(struct port_binding *binding, const struct port_binding *listener);
/* A port for a connection to remote: shared with connections to elsewhere when all are in use. 0 or -EADDRNOTAVAIL. */
int port_bind_connecting(struct port_binding *binding);
void port_release(struct port_binding *binding);
/* Would listening (or another change of the flags) put it in somebody's way? 0 or -EADDRINUSE. */
int port_check(const struct port_binding *binding);
/* Calls back for those on this port, until it answers false. */
void port_for_each(enum port_protocol protocol, uint16_t port, bool (*visit)(struct port_binding *binding, void *context), void *context);
