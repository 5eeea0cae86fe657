/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of the Internet families between Linux's form and lwIP's, and what Linux calls local.
 *
 * A socket of family AF_INET6 speaks of IPv4 addresses as ::ffff:a.b.c.d; lwIP keeps them as IPv4.
 */
#pragma once

#include <lwip/ip_addr.h>

#include "kernel/base/compiler.h"

struct endpoint {
    ip_addr_t address; /* of type ANY (both families): :: of a dual-stack socket */
    uint16_t port;     /* host order */
};

/* Reads a sockaddr for a socket of that family; `v6_only` refuses mapped addresses. 0, -EINVAL (short), -EAFNOSUPPORT, -ENETUNREACH. */
int address_parse(int family, bool v6_only, const void *address, size_t length_bytes, struct endpoint *endpoint);
/* Writes one; its length. */
size_t address_format(int family, const ip_addr_t *address, uint16_t port, void *text);
/* Is it bindable: ours, loopback, any, multicast, broadcast? Core lock held. */
bool address_is_bindable(const ip_addr_t *address);
/* One of our own, or loopback's. Core lock held. */
bool address_is_local(const ip_addr_t *address);
/* For a connection to one of our own addresses the source is that address (127/8: 127.0.0.1). Core lock held. */
void address_select_source(const ip_addr_t *remote, ip_addr_t *local);
/* A destination that is no address becomes loopback of its family, as in Linux. */
void address_any_is_loopback(ip_addr_t *remote);
/* Is it a broadcast address of some interface? Core lock held. */
bool address_is_broadcast(const ip_addr_t *address);
/* As 16 bytes, IPv4 mapped; for comparison and hashing. */
void address_bytes(const ip_addr_t *address, uint8_t bytes[16]);

/* Interfaces by number and name; these take the core lock. */
uint8_t address_interface_index(const char *name, size_t length_bytes); /* 0: there is none */
void address_interface_name(uint8_t index, char name[16]);              /* "" : there is none */
bool address_interface_exists(uint8_t index);

/* lwIP's errors as Linux's: -Exxx. */
int address_error(int lwip_error);
