/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What programs ask about interfaces: flags and sizes as Linux numbers them, and the ioctls of netdevice(7), which any socket takes. Changing
 * them is the kernel command line's business.
 */
#include "kernel/net/interface_info.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/net/core.h"
#include "kernel/net/interface.h"
#include "kernel/net/loopback.h"
#include "kernel/net/socket_object.h"
#include "xen/x86/user_access.h"

#define NAME_BYTES 16
#define CONFIGURATION_LIMIT 32

/* struct ifreq: the name, then 24 bytes by command. */
struct interface_request {
    char name[NAME_BYTES];
    union {
        struct sockaddr_in address;
        struct {
            uint16_t family;
            uint8_t bytes[14];
        } hardware;
        int16_t flags;
        int32_t number;
        uint8_t bytes[24];
    };
};
_Static_assert(sizeof(struct interface_request) == 40, "struct ifreq");

/* struct ifconf. */
struct interface_configuration {
    int32_t length_bytes;
    int32_t padding;
    uint64_t requests;
};

uint32_t interface_flags(const struct netif *netif)
{
    uint32_t flags = 0;
    if (netif_is_up(netif))
        flags |= IFF_UP;
    if (netif_is_link_up(netif))
        flags |= IFF_RUNNING | IFF_LOWER_UP;
    if (netif == loopback_netif())
        return flags | IFF_LOOPBACK;
    return flags | IFF_BROADCAST | IFF_MULTICAST;
}

uint32_t interface_mtu(const struct netif *netif)
{
    return netif == loopback_netif() ? 65536 : netif->mtu;
}

static void put_address(struct interface_request *request, uint32_t address)
{
    memset(request->bytes, 0, sizeof(request->bytes));
    request->address.family = AF_INET;
    request->address.address = address;
}

/* Core lock held. */
static int answer(const struct netif *netif, unsigned int command, struct interface_request *request)
{
    uint32_t address = ip4_addr_get_u32(netif_ip4_addr(netif)), mask = ip4_addr_get_u32(netif_ip4_netmask(netif));

    switch (command) {
    case SIOCGIFFLAGS: request->flags = (int16_t)interface_flags(netif); return 0;
    case SIOCGIFINDEX: request->number = netif_get_index(netif); return 0;
    case SIOCGIFMTU: request->number = (int32_t)interface_mtu(netif); return 0;
    case SIOCGIFMETRIC: request->number = 0; return 0;
    case SIOCGIFTXQLEN: request->number = 1000; return 0;
    case SIOCGIFMAP: memset(request->bytes, 0, sizeof(request->bytes)); return 0;
    case SIOCGIFHWADDR:
        memset(request->bytes, 0, sizeof(request->bytes));
        request->hardware.family = netif == loopback_netif() ? 772 : 1; /* ARPHRD_LOOPBACK, ARPHRD_ETHER */
        memcpy(request->hardware.bytes, netif->hwaddr, 6);
        return 0;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK:
        if (address == 0)
            return -EADDRNOTAVAIL;
        if (command == SIOCGIFNETMASK)
            address = mask;
        else if (command == SIOCGIFBRDADDR)
            address = netif == loopback_netif() ? 0 : address | ~mask;
        put_address(request, address);
        return 0;
    default: return -ENOTTY;
    }
}

static long by_name(unsigned int command, uint64_t argument)
{
    struct interface_request request;
    int error = -ENODEV;

    if (user_load(&request, argument) != 0)
        return -EFAULT;
    size_t length = 0;
    while (length < NAME_BYTES - 1 && request.name[length] != '\0' && request.name[length] != ':')
        length++;
    network_lock();
    struct netif *netif = interface_by_name(request.name, length);
    if (netif != NULL)
        error = answer(netif, command, &request);
    network_unlock();
    return error != 0 ? error : user_store(argument, &request);
}

static long name_of_index(uint64_t argument)
{
    struct interface_request request;
    char name[INTERFACE_NAME_BYTES];

    if (user_load(&request, argument) != 0)
        return -EFAULT;
    network_lock();
    struct netif *netif = request.number > 0 && request.number < 256 ? netif_get_by_index((u8_t)request.number) : NULL;
    if (netif != NULL)
        interface_name(netif, name);
    network_unlock();
    if (netif == NULL)
        return -ENODEV;
    memcpy(request.name, name, NAME_BYTES);
    return user_store(argument, &request);
}

/* SIOCGIFCONF: those with an IPv4 address. */
static long configuration(uint64_t argument)
{
    struct interface_configuration configuration;
    struct interface_request requests[CONFIGURATION_LIMIT];
    size_t count = 0;
    struct netif *netif;

    if (user_load(&configuration, argument) != 0)
        return -EFAULT;
    memset(requests, 0, sizeof(requests));
    network_lock();
    for (unsigned int index = 1; index < 256 && count < CONFIGURATION_LIMIT; index++) {
        netif = netif_get_by_index((u8_t)index);
        if (netif == NULL || ip4_addr_isany_val(*netif_ip4_addr(netif)))
            continue;
        interface_name(netif, requests[count].name);
        put_address(&requests[count++], ip4_addr_get_u32(netif_ip4_addr(netif)));
    }
    network_unlock();
    size_t bytes = count * sizeof(requests[0]);
    if (configuration.requests != 0) {
        if (configuration.length_bytes < 0)
            return -EINVAL;
        bytes = minimum(bytes, (size_t)configuration.length_bytes / sizeof(requests[0]) * sizeof(requests[0]));
        if (user_copy_out(configuration.requests, requests, bytes) != 0)
            return -EFAULT;
    }
    configuration.length_bytes = (int32_t)bytes;
    return user_store(argument, &configuration);
}

long interface_ioctl(struct socket *socket, unsigned int command, uint64_t argument)
{
    switch (command) {
    case SIOCGIFNAME: return name_of_index(argument);
    case SIOCGIFCONF: return configuration(argument);
    case SIOCGIFFLAGS:
    case SIOCGIFINDEX:
    case SIOCGIFMTU:
    case SIOCGIFMETRIC:
    case SIOCGIFTXQLEN:
    case SIOCGIFMAP:
    case SIOCGIFHWADDR:
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK: return by_name(command, argument);
    default: return -ENOTTY;
    }
}
