/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of local ports. See the header for the rules.
 */
#include "kernel/net/port.h"

#include <lwip/ip_addr.h>

#include "kernel/base/error.h"
#include "kernel/device/random.h"

#define BUCKETS 1024u /* a power of two */
#define EPHEMERAL_FIRST 32768u
#define EPHEMERAL_COUNT (60999u - EPHEMERAL_FIRST + 1)

static struct list buckets[PORT_PROTOCOLS][BUCKETS];

void port_start(void)
{
    for (unsigned int protocol = 0; protocol < PORT_PROTOCOLS; protocol++)
        for (unsigned int i = 0; i < BUCKETS; i++)
            list_init(&buckets[protocol][i]);
}

static struct list *bucket_of(enum port_protocol protocol, uint16_t port)
{
    return &buckets[protocol][port % BUCKETS];
}

static bool addresses_overlap(const struct port_binding *a, const struct port_binding *b)
{
    bool a_any = ip_addr_isany(&a->address), b_any = ip_addr_isany(&b->address);
    bool a_v6 = IP_IS_V6_VAL(a->address), b_v6 = IP_IS_V6_VAL(b->address);

    if (IP_IS_ANY_TYPE_VAL(a->address) || IP_IS_ANY_TYPE_VAL(b->address))
        return true; /* both families */
    if (a_v6 != b_v6)
        return false;
    return a_any || b_any || ip_addr_cmp_zoneless(&a->address, &b->address);
}

/* Is b, which is there, in the way of a? */
static bool in_the_way(const struct port_binding *a, const struct port_binding *b)
{
    if (a->port != b->port || !addresses_overlap(a, b))
        return false;
    if (a->interface != 0 && b->interface != 0 && a->interface != b->interface)
        return false;
    if (a->reuse_address && b->reuse_address && !(a->protocol == PORT_TCP && b->listening))
        return false;
    return !(a->reuse_port && b->reuse_port && a->uid == b->uid);
}

int port_check(const struct port_binding *binding)
{
    struct list *bucket = bucket_of(binding->protocol, binding->port);
    const struct port_binding *other;

    list_for_each (other, bucket, link)
        if (other != binding && in_the_way(binding, other))
            return -EADDRINUSE;
    return 0;
}

static bool port_empty(enum port_protocol protocol, uint16_t port)
{
    const struct port_binding *other;
    list_for_each (other, bucket_of(protocol, port), link)
        if (other->port == port)
            return false;
    return true;
}

static void port_add(struct port_binding *binding)
{
    list_add_last(bucket_of(binding->protocol, binding->port), &binding->link);
}

int port_bind(struct port_binding *binding)
{
    if (binding->port != 0) {
        int error = port_check(binding);
        if (error != 0)
            binding->port = 0;
        else
            port_add(binding);
        return error;
    }
    /* A port nobody has, from a random place on; then one where we are in nobody's way. */
    unsigned int start = (unsigned int)random_below(EPHEMERAL_COUNT);
    for (unsigned int pass = 0; pass < 2; pass++)
        for (unsigned int i = 0; i < EPHEMERAL_COUNT; i++) {
            uint16_t port = (uint16_t)(EPHEMERAL_FIRST + (start + i) % EPHEMERAL_COUNT);
            binding->port = port;
            if (pass == 0 ? port_empty(binding->protocol, port) : port_check(binding) == 0) {
                port_add(binding);
                return 0;
            }
        }
    binding->port = 0;
    return -EADDRINUSE;
}

void port_share(struct port_binding *binding, const struct port_binding *listener)
{
    binding->protocol = listener->protocol;
    binding->port = listener->port;
    binding->reuse_address = listener->reuse_address;
    binding->reuse_port = listener->reuse_port;
    binding->uid = listener->uid;
    binding->connected = true;
    port_add(binding);
}

static bool tuple_free(const struct port_binding *binding, uint16_t port)
{
    const struct port_binding *other;
    list_for_each (other, bucket_of(binding->protocol, port), link)
        if (other->port == port && (!other->connected || (other->remote_port == binding->remote_port && ip_addr_cmp_zoneless(&other->remote_address, &binding->remote_address))))
            return false;
    return true;
}

int port_bind_connecting(struct port_binding *binding)
{
    unsigned int start = (unsigned int)random_below(EPHEMERAL_COUNT);

    for (unsigned int pass = 0; pass < 2; pass++)
        for (unsigned int i = 0; i < EPHEMERAL_COUNT; i++) {
            uint16_t port = (uint16_t)(EPHEMERAL_FIRST + (start + i) % EPHEMERAL_COUNT);
            if (pass == 0 ? port_empty(binding->protocol, port) : tuple_free(binding, port)) {
                binding->port = port;
                binding->connected = true;
                port_add(binding);
                return 0;
            }
        }
    return -EADDRNOTAVAIL;
}

void port_release(struct port_binding *binding)
{
    if (binding->port == 0)
        return;
    list_remove(&binding->link);
    binding->port = 0;
}

void port_for_each(enum port_protocol protocol, uint16_t port, bool (*visit)(struct port_binding *binding, void *context), void *context)
{
    struct port_binding *binding, *following;
    list_for_each_safe (binding, following, bucket_of(protocol, port), link)
        if (binding->port == port && !visit(binding, context))
            return;
}
