/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake of an interface: rings, event channels and our wishes from us; features from the backend, with or without each of which we
 * work, but for copying receive. Source: Xen's io/netif.h.
 */
#include "netfront/handshake.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "netfront/receive.h"
#include "netfront/transmit.h"
#include "xen/bus/xenbus.h"

#define MTU_DEFAULT 1500u
#define MTU_LEAST 68u
#define MTU_MOST (NET_FRAME_BYTES_LIMIT - NET_HEADER_BYTES)

enum { MAC, TRUSTED, MTU };

const char *const netfront_keys[] = {[MAC] = "mac", [TRUSTED] = "trusted", [MTU] = "mtu", NULL};

enum { ADDRESS, COPY, NO_CHECKSUM, CHECKSUM_V6, GATHER, TSO_V4, TSO_V6, SPLIT };

const char *const netfront_offer_keys[] = {
    [ADDRESS] = "ip",
    [COPY] = "feature-rx-copy",
    [NO_CHECKSUM] = "feature-no-csum-offload",
    [CHECKSUM_V6] = "feature-ipv6-csum-offload",
    [GATHER] = "feature-sg",
    [TSO_V4] = "feature-gso-tcpv4",
    [TSO_V6] = "feature-gso-tcpv6",
    [SPLIT] = "feature-split-event-channels",
    NULL,
};

int netfront_handshake_parse_mac(const char *text, uint8_t mac[6])
{
    uint64_t byte;

    if (strlen(text) != 17)
        return -EINVAL;
    for (unsigned int i = 0; i < 6; i++) {
        if (parse_unsigned(text + 3 * i, 2, 16, &byte) != 0 || (i < 5 && text[3 * i + 2] != ':'))
            return -EINVAL;
        mac[i] = (uint8_t)byte;
    }
    return mac[0] & 1 ? -EINVAL : 0; /* a group's address is nobody's */
}

int netfront_handshake_identify(struct netfront_interface *interface)
{
    struct xenbus_device *bus = interface->bus;
    struct net_device *device = &interface->device;
    uint64_t trusted = 1, mtu = MTU_DEFAULT; /* both may be missing */
    const char *mac = xenbus_text(bus->own, MAC), *address = xenbus_text(bus->backend, ADDRESS);

    int error = mac ? netfront_handshake_parse_mac(mac, device->mac) : -ENOENT;
    if (error != 0)
        return error;
    (void)xenbus_number(bus, bus->own, TRUSTED, 1, &trusted);
    (void)xenbus_number(bus, bus->own, MTU, MTU_MOST, &mtu);
    interface->trusted = trusted == 1;
    atomic_store(&device->mtu_bytes, (uint32_t)(mtu >= MTU_LEAST ? mtu : MTU_DEFAULT));
    if (address && strlen(address) < sizeof(device->static_address))
        format_string(device->static_address, sizeof(device->static_address), "%s", address);
    return 0;
}

static attribute_noinline bool backend_can(const struct netfront_interface *interface, unsigned int key)
{
    uint64_t value = 0;

    return xenbus_number(interface->bus, interface->bus->backend, key, 1, &value) == 0 && value == 1;
}

/* What the backend can do; -EOPNOTSUPP where that is not enough. *split: it takes two event channels. */
static int handshake_read_features(struct netfront_interface *interface, bool *split)
{
    uint32_t features = NET_FEATURE_RX_CHECKSUM;

    if (!backend_can(interface, COPY)) {
        log_error("%s: the backend does not copy received packets", interface->bus->path);
        return -EOPNOTSUPP;
    }
    features |= backend_can(interface, NO_CHECKSUM) ? 0 : NET_FEATURE_TX_CHECKSUM_V4;
    features |= backend_can(interface, CHECKSUM_V6) ? NET_FEATURE_TX_CHECKSUM_V6 : 0;
    if (backend_can(interface, GATHER)) {
        features |= NET_FEATURE_SCATTER_GATHER;
        features |= backend_can(interface, TSO_V4) ? NET_FEATURE_TSO_V4 : 0;
        features |= backend_can(interface, TSO_V6) ? NET_FEATURE_TSO_V6 : 0;
    }
    atomic_store(&interface->device.features, features);
    *split = backend_can(interface, SPLIT);
    return 0;
}

/* No transaction is needed: the backend reads these only when our state, which is written after them, says so. */
static int offer_write(const struct netfront_interface *interface)
{
    event_port_t tx_port = interface->tx_port;
    bool split = tx_port != interface->rx_port;
    const struct xenbus_entry entries[] = {
        {.name = "tx-ring-ref", .number = interface->tx_ring_reference},
        {.name = "rx-ring-ref", .number = interface->rx_ring_reference},
        {.name = split ? "event-channel-tx" : "event-channel", .number = tx_port},
        {.name = "request-rx-copy", .number = 1},
        {.name = "feature-rx-notify", .number = 1},
        {.name = "feature-sg", .number = 1},
        {.name = "feature-gso-tcpv4", .number = 1},
        {.name = "feature-gso-tcpv6", .number = 1},
        {.name = "feature-ipv6-csum-offload", .number = 1},
        {.name = "feature-no-csum-offload", .number = 0},
        {.name = "event-channel-rx", .number = interface->rx_port}, /* last: only where they are two */
    };

    return xenbus_offer(interface->bus, entries, array_count(entries) - !split, XENBUS_CONNECTED);
}

/* The one port of backends that have no two. Event context. */
static void handshake_event(event_port_t port, void *data)
{
    netfront_transmit_event(port, data);
    netfront_receive_event(port, data);
}

static int offer_ports(struct netfront_interface *interface, bool split)
{
    event_port_t tx_port, rx_port;
    int error;

    if (!split) {
        error = event_channel_allocate_unbound(interface->backend_domain, handshake_event, interface, &rx_port);
        tx_port = rx_port;
    } else {
        error = event_channel_allocate_unbound(interface->backend_domain, netfront_transmit_event, interface, &tx_port);
        if (error != 0)
            return error;
        error = event_channel_allocate_unbound(interface->backend_domain, netfront_receive_event, interface, &rx_port);
        if (error != 0)
            event_channel_close(tx_port);
    }
    if (error != 0)
        return error;
    atomic_store(&interface->tx_port, tx_port);
    spinlock_lock(&interface->rx_lock);
    interface->rx_port = rx_port;
    spinlock_unlock(&interface->rx_lock);
    return 0;
}

static void withdraw_ports(struct netfront_interface *interface)
{
    event_port_t tx_port = atomic_exchange(&interface->tx_port, 0);

    spinlock_lock(&interface->rx_lock);
    event_port_t rx_port = interface->rx_port;
    interface->rx_port = 0;
    spinlock_unlock(&interface->rx_lock);
    if (rx_port != 0)
        event_channel_close(rx_port);
    if (tx_port != 0 && tx_port != rx_port)
        event_channel_close(tx_port);
}

static int offer_ring(uint16_t domain, struct page **page, grant_reference_t *reference)
{
    *page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    if (!*page)
        return -ENOMEM;
    int error = grant_table_grant(domain, *page, false, reference);
    if (error != 0) {
        page_release(*page);
        *page = NULL;
    }
    return error;
}

static void withdraw_ring(struct page **page, grant_reference_t reference)
{
    if (*page)
        grant_table_end_later(reference, *page);
    *page = NULL;
}

int netfront_handshake_offer(struct netfront_interface *interface)
{
    interface->backend_domain = interface->bus->backend_domain;
    bool split;
    int error = handshake_read_features(interface, &split);
    if (error != 0)
        return error;
    error = offer_ring(interface->backend_domain, &interface->tx_page, &interface->tx_ring_reference);
    if (error == 0)
        error = offer_ring(interface->backend_domain, &interface->rx_page, &interface->rx_ring_reference);
    if (error == 0) {
        spinlock_lock(&interface->tx_lock);
        netfront_tx_queue_init(&interface->tx, page_address(interface->tx_page));
        spinlock_unlock(&interface->tx_lock);
        spinlock_lock(&interface->rx_lock);
        netfront_rx_queue_init(&interface->rx, page_address(interface->rx_page));
        spinlock_unlock(&interface->rx_lock);
        error = offer_ports(interface, split);
    }
    if (error == 0) {
        netfront_transmit_start(interface);
        netfront_receive_start(interface);
        error = offer_write(interface);
    }
    if (error != 0)
        netfront_handshake_withdraw(interface);
    return error;
}

void netfront_handshake_withdraw(struct netfront_interface *interface)
{
    withdraw_ports(interface);
    netfront_transmit_stop(interface);
    netfront_receive_stop(interface);
    withdraw_ring(&interface->tx_page, interface->tx_ring_reference);
    withdraw_ring(&interface->rx_page, interface->rx_ring_reference);
}
