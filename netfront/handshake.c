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
    uint64_t mtu = MTU_DEFAULT, trusted = 1;
    char mac[32];

    int error = xenstore_read_string(XENSTORE_NO_TRANSACTION, bus->path, "mac", mac, sizeof(mac));
    if (error == 0)
        error = netfront_handshake_parse_mac(mac, device->mac);
    if (error != 0)
        return error;
    (void)xenstore_read_unsigned(XENSTORE_NO_TRANSACTION, bus->path, "trusted", 1, &trusted); /* both may be missing */
    (void)xenstore_read_unsigned(XENSTORE_NO_TRANSACTION, bus->path, "mtu", MTU_MOST, &mtu);
    interface->trusted = trusted == 1;
    atomic_store(&device->mtu_bytes, mtu >= MTU_LEAST ? (uint32_t)mtu : MTU_DEFAULT);
    if (xenstore_read_string(XENSTORE_NO_TRANSACTION, bus->backend_path, "ip", device->static_address,
                             sizeof(device->static_address)) != 0)
        device->static_address[0] = 0;
    return 0;
}

static bool backend_has(struct netfront_interface *interface, const char *feature)
{
    return xenbus_backend_number(interface->bus, feature, 1, 0) == 1;
}

static void handshake_read_features(struct netfront_interface *interface)
{
    uint32_t features = NET_FEATURE_RX_CHECKSUM;

    if (!backend_has(interface, "feature-no-csum-offload"))
        features |= NET_FEATURE_TX_CHECKSUM_V4;
    if (backend_has(interface, "feature-ipv6-csum-offload"))
        features |= NET_FEATURE_TX_CHECKSUM_V6;
    if (backend_has(interface, "feature-sg"))
        features |= NET_FEATURE_SCATTER_GATHER;
    if ((features & NET_FEATURE_SCATTER_GATHER) && backend_has(interface, "feature-gso-tcpv4"))
        features |= NET_FEATURE_TSO_V4;
    if ((features & NET_FEATURE_SCATTER_GATHER) && backend_has(interface, "feature-gso-tcpv6"))
        features |= NET_FEATURE_TSO_V6;
    atomic_store(&interface->device.features, features);
}

static int offer_write(uint32_t transaction, void *data)
{
    static const struct {
        const char *name;
        unsigned int value;
    } wishes[] = {
        { "request-rx-copy", 1 },
        { "feature-rx-notify", 1 },
        { "feature-sg", 1 },
        { "feature-ipv6-csum-offload", 1 },
        { "feature-no-csum-offload", 0 },
    };
    const struct netfront_interface *interface = data;
    const char *path = interface->bus->path;
    event_port_t tx_port = interface->tx_port;
    bool split = tx_port != interface->rx_port;
    int error = xenstore_print(transaction, path, "tx-ring-ref", "%u", interface->tx_ring_reference);

    if (error == 0)
        error = xenstore_print(transaction, path, "rx-ring-ref", "%u", interface->rx_ring_reference);
    if (error == 0)
        error = xenstore_print(transaction, path, split ? "event-channel-tx" : "event-channel", "%u", tx_port);
    if (error == 0 && split)
        error = xenstore_print(transaction, path, "event-channel-rx", "%u", interface->rx_port);
    for (unsigned int i = 0; error == 0 && i < array_count(wishes); i++)
        error = xenstore_print(transaction, path, wishes[i].name, "%u", wishes[i].value);
    return error;
}

/* The one port of backends that have no two. Event context. */
static void handshake_event(event_port_t port, void *data)
{
    netfront_transmit_event(port, data);
    netfront_receive_event(port, data);
}

static int offer_ports(struct netfront_interface *interface)
{
    event_port_t tx_port, rx_port;
    int error;

    if (!backend_has(interface, "feature-split-event-channels")) {
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
    if (!backend_has(interface, "feature-rx-copy")) {
        log_error("%s: the backend does not copy received packets", interface->bus->path);
        return -EOPNOTSUPP;
    }
    handshake_read_features(interface);
    int error = offer_ring(interface->backend_domain, &interface->tx_page, &interface->tx_ring_reference);
    if (error == 0)
        error = offer_ring(interface->backend_domain, &interface->rx_page, &interface->rx_ring_reference);
    if (error == 0) {
        spinlock_lock(&interface->tx_lock);
        netfront_tx_queue_init(&interface->tx, page_address(interface->tx_page));
        spinlock_unlock(&interface->tx_lock);
        spinlock_lock(&interface->rx_lock);
        netfront_rx_queue_init(&interface->rx, page_address(interface->rx_page));
        spinlock_unlock(&interface->rx_lock);
        error = offer_ports(interface);
    }
    if (error == 0)
        error = xenstore_transaction(offer_write, interface);
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
