/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets: chains of lwIP's pbufs over pages of RAM, so that data is copied once, between the program and a page.
 *
 * The rule that transmission and loopback rely on: the payload of every pbuf of type PBUF_ROM lies in pages of single references
 * (page_allocate() of order 0), which whoever keeps the payload longer than the pbuf takes for himself.
 */
#pragma once

#include <lwip/pbuf.h>

#include "kernel/base/compiler.h"

struct io_vector;
struct page;

int packet_start(void);
/* A pbuf (PBUF_ROM) over part of a page, of which it takes a reference. NULL: out of memory. */
struct pbuf *packet_create_page(struct page *page, size_t offset_bytes, size_t length_bytes);
/* length_bytes (≤ 65535) from the vector, with room for headers before them. 0, -ENOMEM or -EFAULT. Not under the core lock. */
int packet_create_vector(struct io_vector *vector, size_t length_bytes, pbuf_layer layer, struct pbuf **packet);
/* A copy that shares pages and copies the rest; headers stay together in the first pbuf. NULL: out of memory. Core lock held. */
struct pbuf *packet_clone(const struct pbuf *packet);
/* Copies a small packet out of the device's page, which then goes back at once; returns the packet to use. */
struct pbuf *packet_compact(struct pbuf *packet);
/* Frees with or without the core lock held by the caller; takes it when others hold references on the chain. */
void packet_free(struct pbuf *packet);
/* An IP header of its version lies whole in the first pbuf: lwIP looks at it before it looks at the length. */
bool packet_has_ip_header(const struct pbuf *packet, size_t offset_bytes);
/* Copies to the program from `offset` on, up to length_bytes; bytes copied. Not under the core lock. */
size_t packet_put(const struct pbuf *packet, size_t offset_bytes, struct io_vector *vector, size_t length_bytes);
/* Calls back for each part that lies in one page. False from the call-back ends it. */
bool packet_for_each_page(const void *payload, size_t length_bytes, bool (*visit)(void *context, struct page *page, size_t offset_bytes, size_t length_bytes), void *context);
