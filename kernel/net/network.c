/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network's start and its configuration: which address an interface gets, and who is told when it has one.
 *
 *   ip= (or the backend's hint, or neither) → static address, or DHCP → netif's call-back → deferred work → waiters, listeners
 *
 * Locks: the core lock for configuration and state; listeners are called without it.
 */
#include "kernel/net/network.h"

#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/ip.h>
#include <lwip/netif.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/page.h"
#include "kernel/net/core.h"
#include "kernel/net/inet_stream.h"
#include "kernel/net/interface.h"
#include "kernel/net/loopback.h"
#include "kernel/net/netlink.h"
#include "kernel/net/network_internal.h"
#include "kernel/net/packet.h"
#include "kernel/net/reception.h"
#include "kernel/net/socket_object.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait_queue.h"

#define DEFAULT_PREFIX 24
#define NAME_BYTES 65

enum address_source { SOURCE_HINT, SOURCE_DHCP, SOURCE_STATIC, SOURCE_OFF };

struct static_address {
    ip4_addr_t address, mask, gateway;
    ip_addr_t dns;
    bool has_dns;
};

static enum address_source source;           /* before network_attach() */
static struct static_address configured;     /* before network_attach() */
static char host_name[NAME_BYTES];           /* core lock */
static struct wait_queue configured_queue;
static atomic_bool is_configured;
static _Atomic uint64_t patience_end_ns;     /* 0: nobody waits for an address */
static struct deferred_work change_work;
static void (*address_changed)(void);
static void (*host_name_changed)(const char *name);

/* ---- Parsing ---- */

static bool parse_number(const char *text, size_t length, uint64_t limit, uint32_t *number)
{
    uint64_t value;
    if (length == 0 || length > 3 || parse_unsigned(text, length, 10, &value) != 0 || value > limit)
        return false;
    *number = (uint32_t)value;
    return true;
}

/* "a.b.c.d", all of it. */
static bool parse_address(const char *text, size_t length, ip4_addr_t *address)
{
    uint32_t bytes[4];

    for (unsigned int i = 0; i < 4; i++) {
        const char *dot = i < 3 ? memchr(text, '.', length) : text + length;
        if (dot == NULL || !parse_number(text, (size_t)(dot - text), 255, &bytes[i]))
            return false;
        size_t used = (size_t)(dot - text) + (i < 3);
        text += used;
        length -= used;
    }
    IP4_ADDR(address, bytes[0], bytes[1], bytes[2], bytes[3]);
    return true;
}

/* "ADDRESS[/PREFIX]". */
static bool parse_subnet(const char *text, size_t length, struct static_address *result)
{
    const char *slash = memchr(text, '/', length);
    size_t address_length = slash != NULL ? (size_t)(slash - text) : length;
    uint32_t prefix = DEFAULT_PREFIX;

    if (!parse_address(text, address_length, &result->address) || ip4_addr_isany_val(result->address) || ip4_addr_ismulticast(&result->address))
        return false;
    if (slash != NULL && !parse_number(slash + 1, length - address_length - 1, 32, &prefix))
        return false;
    ip4_addr_set_u32(&result->mask, prefix == 0 ? 0 : lwip_htonl(0xffffffffu << (32 - prefix)));
    return true;
}

/* "ADDRESS[/PREFIX][:GATEWAY[:DNS]]". */
static bool parse_static(const char *text, size_t length, struct static_address *result)
{
    const char *parts[3];
    size_t lengths[3], count = 0;

    memset(result, 0, sizeof(*result));
    for (const char *end = text + length; count < 3; count++) {
        const char *colon = count < 2 ? memchr(text, ':', (size_t)(end - text)) : NULL;
        parts[count] = text;
        lengths[count] = (size_t)((colon != NULL ? colon : end) - text);
        if (colon == NULL) {
            count++;
            break;
        }
        text = colon + 1;
    }
    if (!parse_subnet(parts[0], lengths[0], result))
        return false;
    if (count > 1 && lengths[1] > 0 && !parse_address(parts[1], lengths[1], &result->gateway))
        return false;
    if (count > 2 && lengths[2] > 0) {
        if (!parse_address(parts[2], lengths[2], ip_2_ip4(&result->dns)))
            return false;
        IP_SET_TYPE_VAL(result->dns, IPADDR_TYPE_V4);
        result->has_dns = true;
    }
    return true;
}

/* What the toolstack wrote for the interface: the first IPv4 address of it; the gateway is guessed, as nobody says it. */
static bool parse_hint(const char *text, struct static_address *result)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ,");
        if (length > 0 && parse_static(text, length, result)) {
            if (ip4_addr_isany_val(result->gateway)) {
                u32_t network = ip4_addr_get_u32(&result->address) & ip4_addr_get_u32(&result->mask);
                ip4_addr_set_u32(&result->gateway, network | PP_HTONL(1));
            }
            return true;
        }
        text += length + (text[length] != '\0');
    }
    return false;
}

int network_configure(const char *ip_word)
{
    if (ip_word == NULL) {
        source = SOURCE_HINT;
    } else if (strcmp(ip_word, "dhcp") == 0) {
        source = SOURCE_DHCP;
    } else if (strcmp(ip_word, "off") == 0) {
        source = SOURCE_OFF;
    } else if (parse_static(ip_word, strlen(ip_word), &configured)) {
        source = SOURCE_STATIC;
    } else {
        log_error("net: ip=%s is not dhcp, off or ADDRESS[/PREFIX][:GATEWAY[:DNS]]", ip_word);
        return -EINVAL;
    }
    return 0;
}

/* ---- Interfaces ---- */

/* Core lock held. */
static void configure_static(struct interface *interface, const struct static_address *given)
{
    char text[IP4ADDR_STRLEN_MAX];

    netif_set_addr(&interface->netif, &given->address, &given->mask, &given->gateway);
    if (given->has_dns)
        dns_setserver(0, &given->dns);
    ip4addr_ntoa_r(&given->address, text, sizeof(text));
    log_info("net: %s has the address %s", interface->device->name, text);
}

/* Core lock held. */
static void configure_interface(struct interface *interface)
{
    struct static_address hinted;
    bool first = interface->device->name[0] != '\0' && netif_default == &interface->netif;

    interface->netif.hostname = host_name[0] != '\0' ? host_name : NULL;
    if (source == SOURCE_OFF)
        return;
    if (source == SOURCE_STATIC && first)
        configure_static(interface, &configured);
    else if (source != SOURCE_DHCP && parse_hint(interface->device->static_address, &hinted))
        configure_static(interface, &hinted);
    else if (dhcp_start(&interface->netif) != ERR_OK)
        log_error("net: %s: no memory for a DHCP client", interface->device->name);
    network_timers_changed();
}

int network_attach(struct net_device *device)
{
    struct interface *interface;

    network_lock();
    int error = interface_create(device, &interface);
    if (error == 0)
        configure_interface(interface);
    network_unlock();
    if (error == -EEXIST)
        return 0;
    if (error != 0)
        log_error("net: %s: error %d", device->name, error);
    else
        interface_activate(interface);
    return error;
}

void network_detach(struct net_device *device)
{
    network_lock();
    struct interface *interface = interface_find(device);
    if (interface != NULL && netif_dhcp_data(&interface->netif) != NULL) {
        dhcp_stop(&interface->netif);
        dhcp_cleanup(&interface->netif);
    }
    network_unlock();
    if (interface != NULL)
        interface_destroy(interface);
}

/* ---- Changes ---- */

/* Core lock held: an interface besides loopback has an address. */
static bool address_present(void)
{
    struct netif *netif;

    NETIF_FOREACH (netif) {
        if (netif == loopback_netif())
            continue;
        if (netif_is_up(netif) && !ip4_addr_isany_val(*netif_ip4_addr(netif)))
            return true;
    }
    return source == SOURCE_OFF;
}

size_t network_address_text(char *buffer, size_t size_bytes)
{
    struct netif *netif;
    size_t length = 0;

    network_lock();
    NETIF_FOREACH (netif) {
        if (length != 0 || netif == loopback_netif() || ip4_addr_isany_val(*netif_ip4_addr(netif)))
            continue;
        ip4addr_ntoa_r(netif_ip4_addr(netif), buffer, (int)size_bytes);
        length = strlen(buffer);
    }
    network_unlock();
    return length;
}

/* Thread context, no locks. */
static void change_run(struct deferred_work *work)
{
    char name[NAME_BYTES];
    static char told_name[NAME_BYTES]; /* this work runs once at a time */

    network_lock();
    memcpy(name, host_name, sizeof(name));
    bool present = address_present();
    network_unlock();
    atomic_store(&is_configured, present);
    if (present)
        wait_queue_wake_all(&configured_queue, 0);
    if (present && address_changed != NULL)
        address_changed();
    if (strcmp(name, told_name) != 0 && host_name_changed != NULL) {
        memcpy(told_name, name, sizeof(name));
        host_name_changed(name);
    }
}

void network_note_change(void)
{
    deferred_work_schedule(&change_work);
}

void network_note_host_name(const char *name, size_t length_bytes)
{
    size_t length = minimum(length_bytes, sizeof(host_name) - 1);

    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (c == '\0') {
            length = i;
            break;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return;
    }
    if (length == 0 || host_name[0] != '\0')
        return;
    memcpy(host_name, name, length);
    host_name[length] = '\0';
    network_note_change();
}

/* lwIP: an interface has changed. Core lock held. */
static void interface_event(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *arguments)
{
    netlink_interface_event(netif, reason, arguments);
    network_note_change();
}

NETIF_DECLARE_EXT_CALLBACK(event_callback)

void network_set_patience(uint64_t deadline_ns)
{
    atomic_store(&patience_end_ns, deadline_ns);
}

int network_wait_configured(void)
{
    uint64_t deadline_ns = atomic_load(&patience_end_ns);

    if (likely(deadline_ns == 0) || atomic_load(&is_configured))
        return 0;
    int error = WAIT_UNTIL(&configured_queue, atomic_load(&is_configured), deadline_ns, WAIT_INTERRUPTIBLE);
    if (error == -EINTR)
        return error;
    if (atomic_exchange(&patience_end_ns, 0) != 0 && error != 0)
        log_warning("network: no address yet; programs go on without one");
    return error;
}

void network_set_address_listener(void (*changed)(void))
{
    address_changed = changed;
    network_note_change();
}

size_t network_resolver_text(char *buffer, size_t size_bytes)
{
    char address[IPADDR_STRLEN_MAX];
    size_t length = 0;

    if (size_bytes == 0)
        return 0;
    buffer[0] = '\0';
    network_lock();
    for (u8_t i = 0; i < DNS_MAX_SERVERS && length < size_bytes; i++) {
        const ip_addr_t *server = dns_getserver(i);
        if (ip_addr_isany(server))
            continue;
        ipaddr_ntoa_r(server, address, sizeof(address));
        length += (size_t)format_string(buffer + length, size_bytes - length, "nameserver %s\n", address);
    }
    network_unlock();
    return minimum(length, size_bytes - 1);
}

size_t network_host_name(char *buffer, size_t size_bytes)
{
    network_lock();
    size_t length = strlen(host_name);
    if (length < size_bytes)
        memcpy(buffer, host_name, length + 1);
    network_unlock();
    return length < size_bytes ? length : 0;
}

void network_set_host_name(const char *name)
{
    network_lock();
    host_name[0] = '\0';
    network_note_host_name(name, strlen(name));
    network_unlock();
}

void network_set_host_name_listener(void (*changed)(const char *name))
{
    host_name_changed = changed;
}

/* Buffers that sockets have while the program sets none: less on small guests. */
static uint32_t default_buffer_bytes(void)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    uint64_t bytes = statistics.total_pages * PAGE_SIZE / 256;
    return (uint32_t)minimum(maximum(bytes, (uint64_t)128 * 1024), (uint64_t)1024 * 1024);
}

int network_start(void)
{
    wait_queue_init(&configured_queue);
    deferred_work_init(&change_work, change_run);
    inet_stream_default_bytes = default_buffer_bytes();
    int error = packet_start();
    if (error == 0)
        error = reception_start();
    if (error == 0)
        error = network_core_start();
    if (error == 0)
        error = inet_start();
    if (error == 0)
        error = unix_start();
    if (error == 0)
        error = netlink_start();
    if (error == 0) {
        network_lock();
        netif_add_ext_callback(&event_callback, interface_event);
        network_unlock();
    }
    return error;
}
