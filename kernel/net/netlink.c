/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netlink sockets: requests in, replies on the socket's own queue before send() returns; news of changes to the members of groups.
 * Only NETLINK_ROUTE is there, and only its questions: the configuration is the kernel command line's.
 *
 * Locks: core lock (while messages are made) → list_lock (all sockets, their groups and queues; spinlock).
 */
#include "kernel/net/netlink.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/net/address.h"
#include "kernel/net/core.h"
#include "kernel/net/interface.h"
#include "kernel/net/netlink_route.h"
#include "kernel/net/socket_object.h"
#include "kernel/sched/mutex.h"

#define NETLINK_ROUTE 0
#define NETLINK_LIMIT 32
#define REQUEST_LIMIT 32768u
#define GROUP_LIMIT 32u

enum { NETLINK_ADD_MEMBERSHIP = 1, NETLINK_DROP_MEMBERSHIP = 2, NETLINK_PKTINFO = 3, NETLINK_BROADCAST_ERROR = 4, NETLINK_NO_ENOBUFS = 5,
       NETLINK_LIST_MEMBERSHIPS = 9, NETLINK_CAP_ACK = 10, NETLINK_EXT_ACK = 11, NETLINK_GET_STRICT_CHK = 12 };

struct netlink_message {
    struct list link;
    uint32_t group;               /* 0: a reply */
    size_t length_bytes;
    uint8_t bytes[];
};

struct netlink_socket {
    struct socket socket;
    struct list link;             /* list_lock */
    uint32_t port;                /* list_lock; 0: not bound */
    uint32_t groups;              /* list_lock: bit n-1 for group n */
    struct list messages;         /* list_lock */
    _Atomic size_t queue_bytes;   /* list_lock to write */
    struct mutex receive_mutex;
};

static struct spinlock list_lock = SPINLOCK_INITIALIZER("netlink", 0);
static struct list netlink_sockets = LIST_INITIALIZER(netlink_sockets);
static struct netlink_writer event_writer; /* core lock */
static const struct socket_operations netlink_operations;

static struct netlink_socket *netlink_of(struct socket *socket)
{
    return container_of(socket, struct netlink_socket, socket);
}

/* ---- Life ---- */

int netlink_create(int type, int protocol, struct credentials *credentials, struct socket **socket)
{
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol < 0 || protocol >= NETLINK_LIMIT || protocol != NETLINK_ROUTE)
        return -EPROTONOSUPPORT;
    *socket = socket_allocate(sizeof(struct netlink_socket), &netlink_operations, AF_NETLINK, type, protocol, credentials);
    if (*socket == NULL)
        return -ENOBUFS;
    struct netlink_socket *netlink = netlink_of(*socket);
    list_init(&netlink->messages);
    mutex_init(&netlink->receive_mutex, "netlink receive", 0);
    spinlock_lock(&list_lock);
    list_add_last(&netlink_sockets, &netlink->link);
    spinlock_unlock(&list_lock);
    return 0;
}

static void netlink_release(struct socket *socket)
{
    struct netlink_socket *netlink = netlink_of(socket);

    spinlock_lock(&list_lock);
    list_remove(&netlink->link);
    spinlock_unlock(&list_lock);
    while (!list_empty(&netlink->messages)) {
        struct netlink_message *message = list_first(&netlink->messages, struct netlink_message, link);
        list_remove(&message->link);
        memory_free(message);
    }
    socket_free(socket);
}

/* list_lock held. */
static bool port_taken(uint32_t port, const struct netlink_socket *but)
{
    const struct netlink_socket *other;
    list_for_each (other, &netlink_sockets, link)
        if (other != but && other->port == port)
            return true;
    return false;
}

/* list_lock held. Linux gives the process's number to its first socket, then numbers of no process. */
static void bind_automatic(struct netlink_socket *netlink)
{
    uint32_t port = (uint32_t)netlink->socket.identity.pid;
    static uint32_t next = UINT32_MAX - 4096;

    while (port == 0 || port_taken(port, netlink))
        port = next--;
    netlink->port = port;
}

static int netlink_bind(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes)
{
    struct netlink_socket *netlink = netlink_of(socket);
    struct sockaddr_nl name;
    int error = 0;

    if (address_bytes < sizeof(name))
        return -EINVAL;
    memcpy(&name, address, sizeof(name));
    if (name.family != AF_NETLINK)
        return -EINVAL;
    spinlock_lock(&list_lock);
    if (netlink->port != 0 && name.port != 0 && name.port != netlink->port)
        error = -EINVAL;
    else if (name.port != 0 && port_taken(name.port, netlink))
        error = -EADDRINUSE;
    else if (name.port != 0)
        netlink->port = name.port;
    else if (netlink->port == 0)
        bind_automatic(netlink);
    if (error == 0)
        netlink->groups = name.groups;
    spinlock_unlock(&list_lock);
    return error;
}

static int netlink_connect(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking)
{
    struct netlink_socket *netlink = netlink_of(socket);
    struct sockaddr_nl name;

    if (address_bytes < sizeof(name))
        return -EINVAL;
    memcpy(&name, address, sizeof(name));
    if (name.family != AF_NETLINK && name.family != AF_UNSPEC)
        return -EINVAL;
    if (name.port != 0)
        return -ECONNREFUSED;
    spinlock_lock(&list_lock);
    if (netlink->port == 0)
        bind_automatic(netlink);
    spinlock_unlock(&list_lock);
    return 0;
}

static long netlink_get_name(struct socket *socket, bool peer, void *address)
{
    struct netlink_socket *netlink = netlink_of(socket);
    struct sockaddr_nl name = {.family = AF_NETLINK};

    if (!peer) {
        name.port = netlink->port;
        name.groups = netlink->groups;
    }
    memcpy(address, &name, sizeof(name));
    return sizeof(name);
}

/* ---- Replies ---- */

/* list_lock held; takes the message over. */
static void queue_add(struct netlink_socket *netlink, struct netlink_message *message)
{
    list_add_last(&netlink->messages, &message->link);
    atomic_fetch_add(&netlink->queue_bytes, message->length_bytes);
}

static struct netlink_message *message_create(const void *bytes, size_t length_bytes, uint32_t group)
{
    struct netlink_message *message = memory_allocate(sizeof(*message) + length_bytes);
    if (message == NULL)
        return NULL;
    message->group = group;
    message->length_bytes = length_bytes;
    memcpy(message->bytes, bytes, length_bytes);
    return message;
}

/* A chunk for the asker. */
static void reply_full(struct netlink_writer *writer, void *context)
{
    struct netlink_socket *netlink = context;
    struct netlink_message *message = writer->used > 0 ? message_create(writer->bytes, writer->used, 0) : NULL;

    if (message == NULL) {
        if (writer->used > 0)
            atomic_store(&netlink->socket.error, ENOBUFS);
        return;
    }
    spinlock_lock(&list_lock);
    queue_add(netlink, message);
    spinlock_unlock(&list_lock);
    socket_wake(&netlink->socket, POLL_IN | POLL_READ_NORMAL);
}

static void write_error(struct netlink_writer *writer, const struct netlink_header *request, int error)
{
    struct {
        int32_t error;
        struct netlink_header request;
    } answer = {error, *request};

    writer->flags = 0x100; /* NLM_F_CAPPED: only the request's header comes back */
    netlink_write_begin(writer, NLMSG_ERROR, &answer, sizeof(answer));
    netlink_write_end(writer);
}

static void write_done(struct netlink_writer *writer)
{
    int32_t zero = 0;
    netlink_write_begin(writer, NLMSG_DONE, &zero, sizeof(zero));
    netlink_write_end(writer);
}

static int dump(struct netlink_writer *writer, uint16_t type, uint8_t family)
{
    writer->flags = NLM_F_MULTI;
    switch (type) {
    case RTM_GETLINK: netlink_write_links(writer); break;
    case RTM_GETADDR: netlink_write_addresses(writer, family); break;
    case RTM_GETROUTE: netlink_write_routes(writer, family); break;
    case RTM_GETNEIGH: netlink_write_neighbours(writer, family); break;
    case RTM_GETRULE:
    case RTM_GETQDISC: break; /* there are none */
    default: return -EOPNOTSUPP;
    }
    write_done(writer);
    return 0;
}

/* The first attribute of that type behind the fixed part; its data, or NULL. */
static const uint8_t *attribute_find(const uint8_t *body, size_t body_bytes, size_t fixed_bytes, uint16_t type, size_t *length_bytes)
{
    size_t at = fixed_bytes;

    while (at + 4 <= body_bytes) {
        uint16_t header[2];
        memcpy(header, body + at, sizeof(header));
        if (header[0] < 4 || header[0] > body_bytes - at)
            return NULL;
        if ((header[1] & 0x3fff) == type) {
            *length_bytes = header[0] - 4u;
            return body + at + 4;
        }
        at += round_up((size_t)header[0], 4);
    }
    return NULL;
}

static int one_link(struct netlink_writer *writer, const uint8_t *body, size_t body_bytes)
{
    int32_t index = 0;
    size_t length = 0;

    if (body_bytes < 16)
        return -EINVAL;
    memcpy(&index, body + 4, sizeof(index));
    struct netif *netif = index > 0 && index < 256 ? netif_get_by_index((u8_t)index) : NULL;
    const uint8_t *name = attribute_find(body, body_bytes, 16, 3, &length);
    if (index == 0 && name != NULL)
        netif = interface_by_name((const char *)name, strnlen((const char *)name, length));
    if (netif == NULL)
        return -ENODEV;
    netlink_write_link(writer, RTM_NEWLINK, netif);
    return 0;
}

static int one_route(struct netlink_writer *writer, const uint8_t *body, size_t body_bytes)
{
    uint32_t words[4] = {0};
    ip_addr_t destination;
    size_t length = 0;

    if (body_bytes < 12)
        return -EINVAL;
    const uint8_t *data = attribute_find(body, body_bytes, 12, 1, &length);
    size_t wanted = body[0] == AF_INET6 ? 16 : 4;
    if (data == NULL || length < wanted)
        return -EINVAL;
    memcpy(words, data, wanted);
    if (body[0] == AF_INET6)
        IP_ADDR6(&destination, words[0], words[1], words[2], words[3]);
    else
        ip_addr_set_ip4_u32_val(destination, words[0]);
    return netlink_write_route_to(writer, &destination);
}

/* Core lock held. */
static int answer(struct netlink_writer *writer, const struct netlink_header *request, const uint8_t *body, size_t body_bytes)
{
    uint8_t family = body_bytes > 0 ? body[0] : AF_UNSPEC;

    if (request->type < RTM_NEWLINK || (request->type - RTM_NEWLINK) % 4 == 3)
        return -EOPNOTSUPP; /* RTM_SET* */
    if ((request->type - RTM_NEWLINK) % 4 != 2)
        return -EPERM; /* RTM_NEW*, RTM_DEL* */
    if ((request->flags & NLM_F_DUMP) == NLM_F_DUMP)
        return dump(writer, request->type, family);
    writer->flags = 0;
    switch (request->type) {
    case RTM_GETLINK: return one_link(writer, body, body_bytes);
    case RTM_GETROUTE: return one_route(writer, body, body_bytes);
    case RTM_GETADDR:
    case RTM_GETNEIGH: return dump(writer, request->type, family);
    default: return -EOPNOTSUPP;
    }
}

static int requests_answer(struct netlink_socket *netlink, struct netlink_writer *writer, const uint8_t *bytes, size_t length_bytes)
{
    size_t at = 0;

    while (length_bytes - at >= sizeof(struct netlink_header)) {
        struct netlink_header request;
        memcpy(&request, bytes + at, sizeof(request));
        if (request.length_bytes < sizeof(request) || request.length_bytes > length_bytes - at)
            return at > 0 ? 0 : -EINVAL;
        if ((request.flags & NLM_F_REQUEST) && request.type >= RTM_NEWLINK) {
            writer->sequence = request.sequence;
            writer->port = netlink->port;
            writer->used = 0;
            int error = answer(writer, &request, bytes + at + sizeof(request), request.length_bytes - sizeof(request));
            if (error != 0)
                writer->used = 0;
            if (error != 0 || (request.flags & NLM_F_ACK && (request.flags & NLM_F_DUMP) != NLM_F_DUMP))
                write_error(writer, &request, error);
            reply_full(writer, netlink);
        }
        at = minimum(at + round_up((size_t)request.length_bytes, 4), length_bytes);
    }
    return 0;
}

static long netlink_send(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking)
{
    struct netlink_socket *netlink = netlink_of(socket);
    size_t length = message->data->remaining_bytes;
    struct sockaddr_nl name;

    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (message->address != NULL && message->address_bytes > 0) {
        if (message->address_bytes < sizeof(name))
            return -EINVAL;
        memcpy(&name, message->address, sizeof(name));
        if (name.family != AF_NETLINK)
            return -EINVAL;
        if (name.port != 0)
            return -ECONNREFUSED; /* only the kernel listens */
    }
    if (length > REQUEST_LIMIT)
        return -EMSGSIZE;
    uint8_t *bytes = memory_allocate(maximum(length, (size_t)1));
    struct netlink_writer *writer = memory_allocate(sizeof(*writer));
    long result = -ENOBUFS;
    if (bytes != NULL && writer != NULL) {
        result = io_vector_get(message->data, bytes, length) == length ? 0 : -EFAULT;
        if (result == 0) {
            writer->full = reply_full;
            writer->context = netlink;
            network_lock();
            spinlock_lock(&list_lock);
            if (netlink->port == 0)
                bind_automatic(netlink);
            spinlock_unlock(&list_lock);
            result = requests_answer(netlink, writer, bytes, length);
            network_unlock();
        }
    }
    memory_free(bytes);
    memory_free(writer);
    return result != 0 ? result : (long)length;
}

/* ---- Reception ---- */

static void describe(struct netlink_socket *netlink, const struct netlink_message *from, struct socket_message *message)
{
    struct sockaddr_nl name = {.family = AF_NETLINK, .groups = from->group != 0 ? 1u << (from->group - 1) : 0};

    if (message->address != NULL) {
        memcpy(message->address, &name, minimum(sizeof(name), message->address_bytes));
        message->address_bytes = sizeof(name);
    }
    message->flags = 0;
    message->control_bytes = 0;
    message->file_count = 0;
    message->has_identity = netlink->socket.pass_credentials;
    message->identity = (struct socket_identity){0, 0, 0};
}

static long receive_first(struct netlink_socket *netlink, struct socket_message *message, unsigned int flags)
{
    size_t room = message->data->remaining_bytes;
    long result = -EAGAIN;

    mutex_lock(&netlink->receive_mutex);
    spinlock_lock(&list_lock);
    struct netlink_message *first = list_first(&netlink->messages, struct netlink_message, link);
    spinlock_unlock(&list_lock);
    if (first != NULL) {
        size_t length = first->length_bytes, part = minimum(length, room);
        size_t copied = io_vector_put(message->data, first->bytes, part);
        describe(netlink, first, message);
        if (length > room)
            message->flags |= MSG_TRUNC;
        result = copied < part ? -EFAULT : (flags & MSG_TRUNC) ? (long)length : (long)copied;
        if (!(flags & MSG_PEEK)) {
            spinlock_lock(&list_lock);
            list_remove(&first->link);
            atomic_fetch_sub(&netlink->queue_bytes, length);
            spinlock_unlock(&list_lock);
            memory_free(first);
        }
    }
    mutex_unlock(&netlink->receive_mutex);
    return result;
}

static long netlink_receive(struct socket *socket, struct socket_message *message, bool nonblocking)
{
    struct netlink_socket *netlink = netlink_of(socket);
    uint64_t timeout_ns = socket->receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
    unsigned int flags = message->flags;

    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    for (;;) {
        int error = socket_take_error(socket);
        if (error != 0)
            return error;
        long result = receive_first(netlink, message, flags);
        if (result != -EAGAIN || nonblocking)
            return result;
        error = WAIT_UNTIL(&socket->wait, atomic_load(&netlink->queue_bytes) > 0 || atomic_load(&socket->error) != 0, deadline_ns, WAIT_INTERRUPTIBLE);
        if (error != 0)
            return socket_wait_error(error, timeout_ns);
    }
}

static uint32_t netlink_poll(struct socket *socket)
{
    uint32_t events = POLL_OUT | POLL_WRITE_NORMAL;
    if (atomic_load(&socket->error) != 0)
        events |= POLL_ERROR;
    if (atomic_load(&netlink_of(socket)->queue_bytes) > 0)
        events |= POLL_IN | POLL_READ_NORMAL;
    return events;
}

/* ---- Options ---- */

static int netlink_set_option(struct socket *socket, int level, int name, const void *value, size_t length_bytes)
{
    struct netlink_socket *netlink = netlink_of(socket);
    uint32_t number;

    if (level != SOL_NETLINK)
        return -ENOPROTOOPT;
    if (length_bytes < sizeof(number))
        return -EINVAL;
    memcpy(&number, value, sizeof(number));
    switch (name) {
    case NETLINK_ADD_MEMBERSHIP:
    case NETLINK_DROP_MEMBERSHIP:
        if (number == 0 || number > GROUP_LIMIT)
            return -EINVAL;
        spinlock_lock(&list_lock);
        if (name == NETLINK_ADD_MEMBERSHIP)
            netlink->groups |= 1u << (number - 1);
        else
            netlink->groups &= ~(1u << (number - 1));
        spinlock_unlock(&list_lock);
        return 0;
    /* They refine errors and checks that are strict here anyway. */
    case NETLINK_BROADCAST_ERROR:
    case NETLINK_NO_ENOBUFS:
    case NETLINK_CAP_ACK:
    case NETLINK_EXT_ACK:
    case NETLINK_GET_STRICT_CHK: return 0;
    default: return -ENOPROTOOPT;
    }
}

static int netlink_get_option(struct socket *socket, int level, int name, void *value, size_t *length_bytes)
{
    uint32_t number = 0;

    if (level != SOL_NETLINK)
        return -ENOPROTOOPT;
    switch (name) {
    case NETLINK_LIST_MEMBERSHIPS: number = netlink_of(socket)->groups; break;
    case NETLINK_CAP_ACK: number = 1; break;
    case NETLINK_PKTINFO:
    case NETLINK_BROADCAST_ERROR:
    case NETLINK_NO_ENOBUFS:
    case NETLINK_EXT_ACK:
    case NETLINK_GET_STRICT_CHK: break;
    default: return -ENOPROTOOPT;
    }
    return socket_option_out(value, length_bytes, &number, sizeof(number));
}

/* ---- News ---- */

/* What is in the writer, to every member of the group. Core lock held. */
static void publish(struct netlink_writer *writer, uint32_t group)
{
    struct netlink_socket *netlink;

    spinlock_lock(&list_lock);
    list_for_each (netlink, &netlink_sockets, link) {
        if ((netlink->groups & 1u << (group - 1)) == 0)
            continue;
        bool room = atomic_load(&netlink->queue_bytes) < netlink->socket.receive_buffer;
        struct netlink_message *message = room ? message_create(writer->bytes, writer->used, group) : NULL;
        if (message != NULL)
            queue_add(netlink, message);
        else
            atomic_store(&netlink->socket.error, ENOBUFS); /* Linux tells so that something was lost */
        socket_wake(&netlink->socket, POLL_IN | POLL_READ_NORMAL);
    }
    spinlock_unlock(&list_lock);
    writer->used = 0;
}

static void event_full(struct netlink_writer *writer, void *context)
{
}

static void publish_addresses(struct netif *netif)
{
    if (!ip4_addr_isany_val(*netif_ip4_addr(netif))) {
        netlink_write_address(&event_writer, RTM_NEWADDR, netif, -1);
        publish(&event_writer, RTNLGRP_IPV4_IFADDR);
    }
}

static void publish_old_address(struct netif *netif, const ip_addr_t *old)
{
    ip_addr_t present = netif->ip_addr;

    if (old == NULL || ip_addr_isany(old) || ip_addr_cmp(old, &present))
        return;
    netif->ip_addr = *old; /* the message is made from the interface */
    netlink_write_address(&event_writer, RTM_DELADDR, netif, -1);
    netif->ip_addr = present;
    publish(&event_writer, RTNLGRP_IPV4_IFADDR);
}

void netlink_interface_event(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *arguments)
{
    event_writer.full = event_full;
    event_writer.used = 0;
    event_writer.sequence = event_writer.port = 0;
    event_writer.flags = 0;
    if (reason & (LWIP_NSC_NETIF_ADDED | LWIP_NSC_NETIF_REMOVED | LWIP_NSC_LINK_CHANGED | LWIP_NSC_STATUS_CHANGED)) {
        netlink_write_link(&event_writer, reason & LWIP_NSC_NETIF_REMOVED ? RTM_DELLINK : RTM_NEWLINK, netif);
        publish(&event_writer, RTNLGRP_LINK);
    }
    if (reason & LWIP_NSC_IPV4_SETTINGS_CHANGED) {
        if (reason & LWIP_NSC_IPV4_ADDRESS_CHANGED)
            publish_old_address(netif, arguments->ipv4_changed.old_address);
        publish_addresses(netif);
        netlink_write_routes(&event_writer, AF_INET);
        if (event_writer.used > 0)
            publish(&event_writer, RTNLGRP_IPV4_ROUTE);
    }
    if (reason & LWIP_NSC_IPV6_ADDR_STATE_CHANGED) {
        s8_t index = arguments->ipv6_addr_state_changed.addr_index;
        bool valid = !ip6_addr_isinvalid(netif_ip6_addr_state(netif, index));
        netlink_write_address(&event_writer, valid ? RTM_NEWADDR : RTM_DELADDR, netif, index);
        publish(&event_writer, RTNLGRP_IPV6_IFADDR);
    }
}

int netlink_start(void)
{
    return 0;
}

static const struct socket_operations netlink_operations = {
    .release = netlink_release,
    .bind = netlink_bind,
    .connect = netlink_connect,
    .send = netlink_send,
    .receive = netlink_receive,
    .get_name = netlink_get_name,
    .get_option = netlink_get_option,
    .set_option = netlink_set_option,
    .poll = netlink_poll,
};
