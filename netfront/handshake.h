/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an interface and its backend tell each other through xenstore. Thread context; interface->connection held.
 */
#pragma once

#include "netfront/interface.h"

/* What is to be known for netfront_handshake_identify() and _offer(): of the device's own directory, and of the backend's. */
extern const char *const netfront_keys[], *const netfront_offer_keys[];

/* What stays the same over reconnects: mac, mtu, trust, static address. 0 or an error: the interface is not usable. */
int netfront_handshake_identify(struct netfront_interface *interface);
/*
 * Takes the backend's features, as the bus has read them, makes rings and event channels, starts the data paths, and writes it all for the backend, with
 * the state Connected. 0 or an error, then no ring or port is left.
 */
int netfront_handshake_offer(struct netfront_interface *interface);
/* Takes rings and event channels down. */
void netfront_handshake_withdraw(struct netfront_interface *interface);
/* "00:16:3e:00:00:01" and nothing else; -EINVAL. */
int netfront_handshake_parse_mac(const char *text, uint8_t mac[6]);
