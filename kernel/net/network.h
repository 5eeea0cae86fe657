/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network as the roof sees it: start lwIP, attach net devices as they come, addresses, and what others report.
 */
#pragma once

#include "kernel/base/compiler.h"

struct net_device;

/* Starts lwIP and loopback. */
int network_start(void);
/*
 * Configuration word ip=: "dhcp", "off", or "ADDRESS[/PREFIX][:GATEWAY[:DNS]]"; NULL: what the device's backend
 * hints, else dhcp. Before network_attach().
 */
int network_configure(const char *ip_word);
/* A device has come (registered as kernel/device's listener). */
int network_attach(struct net_device *device);
void network_detach(struct net_device *device);
/* Until then those who ask for the network wait for an address. */
void network_set_patience(uint64_t deadline_ns);
/* Somebody asks: waits until an address is configured or patience is over, -ETIMEDOUT, after which nobody waits. -EINTR */
int network_wait_configured(void);
/* Called (thread context) when an address may have come or changed, and at once if there is one. */
void network_set_address_listener(void (*changed)(void));
/* What belongs into /etc/resolv.conf: nameserver lines from DHCP or ip=; its length. */
size_t network_resolver_text(char *buffer, size_t size_bytes);

/* The guest's own name, as it is told to the DHCP server (set before network_attach()), or as the server told it. Length, 0: none. */
size_t network_host_name(char *buffer, size_t size_bytes);
void network_set_host_name(const char *name);
/* Called (thread context) when DHCP has named us. */
void network_set_host_name_listener(void (*changed)(const char *name));
/* The first IPv4 address there is besides loopback's, as text; its length, 0: none. */
size_t network_address_text(char *buffer, size_t size_bytes);
