/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of the Internet families. See the header.
 */
#include "kernel/net/address.h"

#include <lwip/err.h>
#include <lwip/ip.h>
#include <lwip/netif.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/net/abi.h"
#include "kernel/net/core.h"
#include "kernel/net/interface.h"

static bool mapped_v4(const uint8_t bytes[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

static int parse_v4(const void *address, size_t length_bytes, struct endpoint *endpoint)
{
    struct sockaddr_in name;
    if (length_bytes < sizeof(name))
        return -EINVAL;
    memcpy(&name, address, sizeof(name));
    ip_addr_set_ip4_u32_val(endpoint->address, name.address);
    endpoint->port = lwip_ntohs(name.port);
    return 0;
}

static int parse_v6(bool v6_only, const void *address, size_t length_bytes, struct endpoint *endpoint)
{
    struct sockaddr_in6 name = {0};
    if (length_bytes < offsetof(struct sockaddr_in6, scope)) /* RFC 2133's form lacks the scope */
        return -EINVAL;
    memcpy(&name, address, minimum(length_bytes, sizeof(name)));
    endpoint->port = lwip_ntohs(name.port);
    uint32_t words[4];
    memcpy(words, name.address, sizeof(words));
    if (mapped_v4(name.address)) {
        if (v6_only)
            return -ENETUNREACH;
        ip_addr_set_ip4_u32_val(endpoint->address, words[3]);
        return 0;
    }
    IP_ADDR6(&endpoint->address, words[0], words[1], words[2], words[3]);
    ip6_addr_t *v6 = ip_2_ip6(&endpoint->address);
    if (ip6_addr_has_scope(v6, IP6_UNKNOWN) && name.scope != 0 && name.scope < 256)
        ip6_addr_set_zone(v6, (u8_t)name.scope);
    return 0;
}

int address_parse(int family, bool v6_only, const void *address, size_t length_bytes, struct endpoint *endpoint)
{
    uint16_t given;
    if (length_bytes < sizeof(given))
        return -EINVAL;
    memcpy(&given, address, sizeof(given));
    memset(endpoint, 0, sizeof(*endpoint));
    if (family == AF_INET) {
        if (length_bytes < sizeof(struct sockaddr_in))
            return -EINVAL;
        /* AF_UNSPEC with the any-address is an old habit that bind() takes for AF_INET. */
        if (given != AF_INET && given != AF_UNSPEC)
            return -EAFNOSUPPORT;
        return parse_v4(address, length_bytes, endpoint);
    }
    if (given == AF_INET6)
        return parse_v6(v6_only, address, length_bytes, endpoint);
    return -EAFNOSUPPORT;
}

void address_bytes(const ip_addr_t *address, uint8_t bytes[16])
{
    memset(bytes, 0, 16);
    if (IP_IS_V4(address)) {
        bytes[10] = bytes[11] = 0xff;
        memcpy(bytes + 12, ip_2_ip4(address), 4);
    } else {
        memcpy(bytes, ip_2_ip6(address)->addr, 16);
    }
}

size_t address_format(int family, const ip_addr_t *address, uint16_t port, void *text)
{
    if (family == AF_INET) {
        struct sockaddr_in name = {AF_INET, lwip_htons(port), IP_IS_V4(address) ? ip4_addr_get_u32(ip_2_ip4(address)) : 0, {0}};
        memcpy(text, &name, sizeof(name));
        return sizeof(name);
    }
    struct sockaddr_in6 name = {.family = AF_INET6, .port = lwip_htons(port)};
    if (IP_IS_V4(address) && ip4_addr_isany_val(*ip_2_ip4(address))) {
        memset(name.address, 0, 16); /* an unbound dual-stack socket */
    } else {
        address_bytes(address, name.address);
        if (IP_IS_V6_VAL(*address))
            name.scope = ip6_addr_zone(ip_2_ip6(address));
    }
    memcpy(text, &name, sizeof(name));
    return sizeof(name);
}

bool address_is_local(const ip_addr_t *address)
{
    struct netif *netif;

    if (IP_IS_V4(address)) {
        if (ip4_addr_isloopback(ip_2_ip4(address)))
            return true;
        NETIF_FOREACH (netif)
            if (!ip4_addr_isany_val(*netif_ip4_addr(netif)) && ip4_addr_cmp(netif_ip4_addr(netif), ip_2_ip4(address)))
                return true;
        return false;
    }
    NETIF_FOREACH (netif)
        for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
            if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) && ip6_addr_cmp_zoneless(netif_ip6_addr(netif, i), ip_2_ip6(address)))
                return true;
    return false;
}

void address_any_is_loopback(ip_addr_t *remote)
{
    if (!ip_addr_isany(remote))
        return;
    if (IP_IS_V6(remote))
        IP_ADDR6_HOST(remote, 0, 0, 0, 1);
    else
        ip_addr_set_ip4_u32_val(*remote, PP_HTONL(IPADDR_LOOPBACK));
}

bool address_is_broadcast(const ip_addr_t *address)
{
    struct netif *netif;

    if (IP_IS_V6(address))
        return false;
    if (ip4_addr_get_u32(ip_2_ip4(address)) == IPADDR_BROADCAST)
        return true;
    NETIF_FOREACH (netif)
        if ((netif->flags & NETIF_FLAG_BROADCAST) && !ip4_addr_isany_val(*netif_ip4_addr(netif)) && ip4_addr_isbroadcast(ip_2_ip4(address), netif))
            return true;
    return false;
}

bool address_is_bindable(const ip_addr_t *address)
{
    return ip_addr_isany(address) || ip_addr_ismulticast(address) || address_is_broadcast(address) || address_is_local(address);
}

void address_select_source(const ip_addr_t *remote, ip_addr_t *local)
{
    if (!address_is_local(remote))
        return;
    if (IP_IS_V4(remote) && ip4_addr_isloopback(ip_2_ip4(remote)))
        ip_addr_set_ip4_u32_val(*local, PP_HTONL(IPADDR_LOOPBACK));
    else
        ip_addr_copy(*local, *remote);
}

uint8_t address_interface_index(const char *name, size_t length_bytes)
{
    network_lock();
    struct netif *netif = interface_by_name(name, length_bytes);
    uint8_t index = netif != NULL ? netif_get_index(netif) : 0;
    network_unlock();
    return index;
}

void address_interface_name(uint8_t index, char name[16])
{
    name[0] = '\0';
    network_lock();
    struct netif *netif = netif_get_by_index(index);
    if (netif != NULL)
        interface_name(netif, name);
    network_unlock();
}

bool address_interface_exists(uint8_t index)
{
    network_lock();
    bool exists = netif_get_by_index(index) != NULL;
    network_unlock();
    return exists;
}

int address_error(int lwip_error)
{
    switch (lwip_error) {
    case ERR_OK: return 0;
    case ERR_MEM:
    case ERR_BUF: return -ENOBUFS;
    case ERR_TIMEOUT: return -ETIMEDOUT;
    case ERR_RTE: return -ENETUNREACH;
    case ERR_INPROGRESS: return -EINPROGRESS;
    case ERR_VAL:
    case ERR_ARG: return -EINVAL;
    case ERR_WOULDBLOCK: return -EAGAIN;
    case ERR_USE: return -EADDRINUSE;
    case ERR_ALREADY: return -EALREADY;
    case ERR_ISCONN: return -EISCONN;
    case ERR_CONN:
    case ERR_CLSD: return -ENOTCONN;
    case ERR_IF: return -ENETDOWN;
    case ERR_ABRT: return -ETIMEDOUT; /* retransmissions or probes were given up */
    case ERR_RST: return -ECONNRESET;
    default: return -EIO;
    }
}
