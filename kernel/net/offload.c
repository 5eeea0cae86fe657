/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP makes segments that fit the MTU. Those that it sends one after the other are joined here to long ones, which the backend takes
 * whole and which a host may never have to cut: one frame, one checksum, one trip through the bridge instead of forty. TCP knows
 * nothing of it: windows, acknowledgements and retransmissions are of lwIP's own segments.
 */
#include "kernel/net/offload.h"

#include <lwip/def.h>
#include <lwip/prot/ethernet.h>
#include <lwip/prot/ip.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/tcp.h>

#include <string.h>

#include "kernel/memory/page.h"
#include "kernel/net/core.h"

#define IP4_HEADER_BYTES 20u
#define IP6_HEADER_BYTES 40u
#define IP4_LENGTH (NET_HEADER_BYTES + 2)
#define IP4_FRAGMENT (NET_HEADER_BYTES + 6)
#define IP4_PROTOCOL (NET_HEADER_BYTES + 9)
#define IP4_CHECKSUM (NET_HEADER_BYTES + 10)
#define IP4_ADDRESSES (NET_HEADER_BYTES + 12)
#define IP6_LENGTH (NET_HEADER_BYTES + 4)
#define IP6_NEXT (NET_HEADER_BYTES + 6)
#define IP6_ADDRESSES (NET_HEADER_BYTES + 8)
#define TCP_SEQUENCE 4u
#define TCP_ACKNOWLEDGED 8u
#define TCP_LENGTH 12u /* in words, upper half */
#define TCP_FLAGS_OFFSET 13u
#define TCP_WINDOW 14u
#define TCP_CHECKSUM 16u
#define SEGMENT_BYTES_MINIMUM 512u /* a device may find less odd */

static uint16_t sum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t load_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void store_16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t load_32(const uint8_t *at)
{
    return (uint32_t)load_16(at) << 16 | load_16(at + 2);
}

static uint8_t *headers_of(const struct net_frame *frame)
{
    return (uint8_t *)page_address(frame->fragments[0].page) + frame->fragments[0].offset_bytes;
}

static bool is_v4(const uint8_t *headers)
{
    return load_16(headers + 12) == ETHTYPE_IP;
}

bool offload_checksum(struct net_frame *frame, uint32_t length_bytes)
{
    uint8_t *headers = headers_of(frame);
    uint32_t start, address_offset, address_bytes;

    if (is_v4(headers) && headers[IP4_PROTOCOL] == IP_PROTO_TCP) {
        start = NET_HEADER_BYTES + (headers[NET_HEADER_BYTES] & 15u) * 4;
        address_offset = IP4_ADDRESSES;
        address_bytes = 8;
    } else if (load_16(headers + 12) == ETHTYPE_IPV6 && headers[IP6_NEXT] == IP_PROTO_TCP) {
        start = NET_HEADER_BYTES + IP6_HEADER_BYTES;
        address_offset = IP6_ADDRESSES;
        address_bytes = 32;
    } else {
        return false;
    }
    if (frame->fragments[0].length_bytes < start + TCP_HLEN)
        return false;
    uint16_t sum = sum_fold((uint64_t)network_checksum(headers + address_offset, (int)address_bytes) + PP_HTONS(IP_PROTO_TCP) + lwip_htons((u16_t)(length_bytes - start)));
    memcpy(headers + start + TCP_CHECKSUM, &sum, sizeof(sum));
    frame->checksum = NET_CHECKSUM_PARTIAL;
    frame->checksum_start = (uint16_t)start;
    frame->checksum_offset = TCP_CHECKSUM;
    return true;
}

/* ---- Joining ---- */

static uint32_t tcp_header_bytes(const uint8_t *tcp)
{
    return (tcp[TCP_LENGTH] >> 4) * 4u;
}

/* All headers but for what differs from segment to segment. Of one length: `bytes`, the Ethernet and IP headers' `start`. */
static bool headers_match(const uint8_t *a, const uint8_t *b, uint32_t start, uint32_t bytes)
{
    const uint8_t plain = TCP_ACK | TCP_PSH;

    if (is_v4(a)) {
        /* Neither options nor fragments; lengths, identifications and checksums are the segments' own. */
        if (start != NET_HEADER_BYTES + IP4_HEADER_BYTES || memcmp(a, b, IP4_LENGTH) != 0 ||
            ((load_16(a + IP4_FRAGMENT) | load_16(b + IP4_FRAGMENT)) & (IP_OFFMASK | IP_MF)) != 0 ||
            memcmp(a + IP4_FRAGMENT, b + IP4_FRAGMENT, IP4_CHECKSUM - IP4_FRAGMENT) != 0 || memcmp(a + IP4_ADDRESSES, b + IP4_ADDRESSES, 8) != 0)
            return false;
    } else if (memcmp(a, b, IP6_LENGTH) != 0 || memcmp(a + IP6_NEXT, b + IP6_NEXT, start - IP6_NEXT) != 0) {
        return false;
    }
    const uint8_t *x = a + start, *y = b + start;
    return memcmp(x, y, TCP_SEQUENCE) == 0 && memcmp(x + TCP_ACKNOWLEDGED, y + TCP_ACKNOWLEDGED, TCP_FLAGS_OFFSET - TCP_ACKNOWLEDGED) == 0 &&
           ((x[TCP_FLAGS_OFFSET] | y[TCP_FLAGS_OFFSET]) & ~plain) == 0 && memcmp(x + TCP_WINDOW, y + TCP_WINDOW, 2) == 0 &&
           memcmp(x + TCP_HLEN, y + TCP_HLEN, bytes - start - TCP_HLEN) == 0;
}

/* The payload's pages go over; a part that goes on where the last one ends lengthens it. */
static void fragments_move(struct net_frame *frame, struct net_frame *next)
{
    for (uint32_t i = 1; i < next->fragment_count; i++) {
        struct net_fragment *last = &frame->fragments[frame->fragment_count - 1], *part = &next->fragments[i];
        if (frame->fragment_count > 1 && last->page == part->page && last->page != frame->fragments[0].page &&
            last->offset_bytes + last->length_bytes == part->offset_bytes) {
            last->length_bytes += part->length_bytes;
            page_release(part->page);
        } else {
            frame->fragments[frame->fragment_count++] = *part;
        }
    }
    next->fragment_count = 1;
}

bool offload_join(struct net_frame *frame, struct net_frame *next, uint32_t features)
{
    if (frame->checksum != NET_CHECKSUM_PARTIAL || frame->checksum_start != next->checksum_start)
        return false;
    uint8_t *headers = headers_of(frame);
    const uint8_t *next_headers = headers_of(next);
    bool v4 = is_v4(headers);
    uint32_t start = frame->checksum_start, bytes = start + tcp_header_bytes(headers + start);
    uint32_t length_bytes = net_frame_length(frame), payload = length_bytes - bytes, added = net_frame_length(next) - bytes;
    uint32_t segment = frame->gso == NET_GSO_NONE ? payload : frame->gso_bytes;

    if (!(features & (v4 ? NET_FEATURE_TSO_V4 : NET_FEATURE_TSO_V6)) || bytes != start + tcp_header_bytes(next_headers + start))
        return false;
    /* Of next, all of the headers and nothing else lies in its own first fragment, whose page it keeps. */
    if (frame->fragments[0].length_bytes < bytes || next->fragments[0].length_bytes != bytes)
        return false;
    for (uint32_t i = 1; i < next->fragment_count; i++)
        if (next->fragments[i].page == next->fragments[0].page)
            return false;
    if (segment < SEGMENT_BYTES_MINIMUM || payload % segment != 0 || added == 0 || added > segment || length_bytes + added > NET_FRAME_BYTES_LIMIT ||
        frame->fragment_count + next->fragment_count - 1 > NET_FRAGMENT_LIMIT)
        return false;
    if (load_32(next_headers + start + TCP_SEQUENCE) != load_32(headers + start + TCP_SEQUENCE) + payload || !headers_match(headers, next_headers, start, bytes))
        return false;

    fragments_move(frame, next);
    headers[start + TCP_FLAGS_OFFSET] |= next_headers[start + TCP_FLAGS_OFFSET];
    if (v4) {
        store_16(headers + IP4_LENGTH, length_bytes + added - NET_HEADER_BYTES);
        store_16(headers + IP4_CHECKSUM, 0);
        uint16_t sum = (uint16_t)~network_checksum(headers + NET_HEADER_BYTES, IP4_HEADER_BYTES);
        memcpy(headers + IP4_CHECKSUM, &sum, sizeof(sum));
    } else {
        store_16(headers + IP6_LENGTH, length_bytes + added - NET_HEADER_BYTES - IP6_HEADER_BYTES);
    }
    frame->gso = v4 ? NET_GSO_TCP_V4 : NET_GSO_TCP_V6;
    frame->gso_bytes = (uint16_t)segment;
    return offload_checksum(frame, length_bytes + added);
}
