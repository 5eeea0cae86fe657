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
    struct xenstore_number numbers[] = {
        {"trusted", 1, 1, 0}, /* both may be missing */
        {"mtu", MTU_MOST, MTU_DEFAULT, 0},
    };
    char mac[32];

    int error = xenstore_read_string(XENSTORE_NO_TRANSACTION, bus->path, "mac", mac, sizeof(mac));
    if (error == 0)
        error = netfront_handshake_parse_mac(mac, device->mac);
    if (error != 0)
        return error;
    xenstore_read_numbers(bus->path, numbers, array_count(numbers));
    interface->trusted = numbers[0].value == 1;
    atomic_store(&device->mtu_bytes, (uint32_t)(numbers[1].value >= MTU_LEAST ? numbers[1].value : MTU_DEFAULT));
    if (xenstore_read_string(XENSTORE_NO_TRANSACTION, bus->backend_path, "ip", device->static_address,
                             sizeof(device->static_address)) != 0)
        device->static_address[0] = 0;
    return 0;
}

/* What the backend can do; -EOPNOTSUPP where that is not enough. *split: it takes two event channels. */
static int handshake_read_features(struct netfront_interface *interface, bool *split)
{
    enum { COPY, NO_CHECKSUM, CHECKSUM_V6, GATHER, TSO_V4, TSO_V6, SPLIT };
    struct xenstore_number numbers[] = {
        [COPY] = {"feature-rx-copy", 1, 0, 0},
        [NO_CHECKSUM] = {"feature-no-csum-offload", 1, 0, 0},
        [CHECKSUM_V6] = {"feature-ipv6-csum-offload", 1, 0, 0},
        [GATHER] = {"feature-sg", 1, 0, 0},
        [TSO_V4] = {"feature-gso-tcpv4", 1, 0, 0},
        [TSO_V6] = {"feature-gso-tcpv6", 1, 0, 0},
        [SPLIT] = {"feature-split-event-channels", 1, 0, 0},
    };
    uint32_t features = NET_FEATURE_RX_CHECKSUM;

    xenbus_backend_numbers(interface->bus, numbers, array_count(numbers));
    if (!numbers[COPY].value) {
        log_error("%s: the backend does not copy received packets", interface->bus->path);
        return -EOPNOTSUPP;
    }
    features |= numbers[NO_CHECKSUM].value ? 0 : NET_FEATURE_TX_CHECKSUM_V4;
    features |= numbers[CHECKSUM_V6].value ? NET_FEATURE_TX_CHECKSUM_V6 : 0;
    if (numbers[GATHER].value) {
        features |= NET_FEATURE_SCATTER_GATHER;
        features |= numbers[TSO_V4].value ? NET_FEATURE_TSO_V4 : 0;
        features |= numbers[TSO_V6].value ? NET_FEATURE_TSO_V6 : 0;
    }
    atomic_store(&interface->device.features, features);
    *split = numbers[SPLIT].value;
    return 0;
}

/* No transaction is needed: the backend reads these only when our state, which is written after them, says so. */
static int offer_write(const struct netfront_interface *interface)
{
    event_port_t tx_port = interface->tx_port;
    bool split = tx_port != interface->rx_port;
    const struct xenstore_number numbers[] = {
        {.name = "tx-ring-ref", .value = interface->tx_ring_reference},
        {.name = "rx-ring-ref", .value = interface->rx_ring_reference},
        {.name = split ? "event-channel-tx" : "event-channel", .value = tx_port},
        {.name = "request-rx-copy", .value = 1},
        {.name = "feature-rx-notify", .value = 1},
        {.name = "feature-sg", .value = 1},
        {.name = "feature-gso-tcpv4", .value = 1},
        {.name = "feature-gso-tcpv6", .value = 1},
        {.name = "feature-ipv6-csum-offload", .value = 1},
        {.name = "feature-no-csum-offload", .value = 0},
        {.name = "event-channel-rx", .value = interface->rx_port}, /* last: only where they are two */
    };

    return xenstore_write_numbers(interface->bus->path, numbers, array_count(numbers) - !split);
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
    if (error == 0)
        error = offer_write(interface);
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
