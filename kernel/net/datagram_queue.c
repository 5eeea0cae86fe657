/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues of datagrams. See the header.
 */
#include "kernel/net/datagram_queue.h"

#include <lwip/ip.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/net/packet.h"
#include "xen/machine/clock.h"

#define OVERHEAD_BYTES 512u   /* counted for each datagram besides its bytes */
#define ERROR_LIMIT 64u

void datagram_queue_init(struct datagram_queue *queue)
{
    spinlock_init(&queue->lock, "datagrams", 0);
    mutex_init(&queue->receive_mutex, "datagram receive", 0);
    list_init(&queue->datagrams);
    list_init(&queue->errors);
}

static void datagram_free(struct datagram *datagram)
{
    if (datagram->packet != NULL)
        packet_free(datagram->packet);
    memory_free(datagram);
}

static void list_clear(struct list *datagrams)
{
    while (!list_empty(datagrams)) {
        struct datagram *datagram = list_first(datagrams, struct datagram, link);
        list_remove(&datagram->link);
        datagram_free(datagram);
    }
}

void datagram_queue_clear(struct datagram_queue *queue)
{
    list_clear(&queue->datagrams);
    list_clear(&queue->errors);
    atomic_store(&queue->bytes, 0);
}

static size_t datagram_cost(const struct datagram *datagram)
{
    return datagram->packet->tot_len + OVERHEAD_BYTES;
}

/* What lwIP knows of the packet in hand. */
static void datagram_describe(struct datagram *datagram)
{
    datagram->destination = *ip_current_dest_addr();
    datagram->interface = ip_current_input_netif() != NULL ? netif_get_index(ip_current_input_netif()) : 0;
    if (ip_current_is_v6()) {
        datagram->ttl = IP6H_HOPLIM(ip6_current_header());
        datagram->tos = IP6H_TC(ip6_current_header());
    } else if (ip4_current_header() != NULL) {
        datagram->ttl = IPH_TTL(ip4_current_header());
        datagram->tos = IPH_TOS(ip4_current_header());
    }
    datagram->real_ns = clock_real_ns();
}

void datagram_queue_add(struct datagram_queue *queue, struct socket *socket, struct pbuf *packet, const ip_addr_t *source, uint16_t source_port, uint16_t destination_port)
{
    struct datagram *datagram = NULL;

    if (atomic_load(&queue->bytes) < socket->receive_buffer && !socket->receive_shut)
        datagram = memory_allocate_zeroed(sizeof(*datagram));
    if (datagram == NULL) {
        atomic_fetch_add(&queue->dropped, 1);
        pbuf_free(packet);
        return;
    }
    datagram_describe(datagram);
    datagram->source = *source;
    datagram->source_port = source_port;
    datagram->destination_port = destination_port;
    datagram->packet = packet_compact(packet);
    spinlock_lock(&queue->lock);
    list_add_last(&queue->datagrams, &datagram->link);
    atomic_fetch_add(&queue->bytes, datagram_cost(datagram));
    spinlock_unlock(&queue->lock);
    socket_wake(socket, POLL_IN | POLL_READ_NORMAL);
}

void datagram_queue_add_error(struct datagram_queue *queue, struct socket *socket, const struct extended_error *error, const struct pbuf *packet, size_t skip_bytes, const ip_addr_t *offender, const ip_addr_t *destination, uint16_t destination_port)
{
    size_t length = packet != NULL && packet->tot_len > skip_bytes ? packet->tot_len - skip_bytes : 0;
    struct datagram *entry = memory_allocate_zeroed(sizeof(*entry));
    struct pbuf *copy = entry != NULL ? pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_RAM) : NULL;

    if (copy == NULL) {
        memory_free(entry);
        return;
    }
    if (length > 0)
        pbuf_copy_partial(packet, copy->payload, (u16_t)length, (u16_t)skip_bytes);
    entry->packet = copy;
    entry->error = *error;
    entry->source = *offender;
    entry->destination = *destination;
    entry->destination_port = destination_port;
    entry->real_ns = clock_real_ns();
    spinlock_lock(&queue->lock);
    bool room = queue->error_count < ERROR_LIMIT;
    if (room) {
        list_add_last(&queue->errors, &entry->link);
        queue->error_count++;
    }
    spinlock_unlock(&queue->lock);
    if (!room)
        datagram_free(entry);
    socket_wake(socket, POLL_ERROR);
}

/* ---- recvmsg() ---- */

static void put_number(struct socket_message *message, size_t *used, int level, int type, int number)
{
    int32_t whole = number;
    socket_put_control(message, used, level, type, &whole, sizeof(whole));
}

static void put_info_v4(struct socket_message *message, size_t *used, const struct datagram *datagram, const struct inet_options *options)
{
    uint32_t destination = ip4_addr_get_u32(ip_2_ip4(&datagram->destination));
    if (options->packet_info) {
        struct in_pktinfo info = {datagram->interface, destination, destination};
        socket_put_control(message, used, SOL_IP, IP_PKTINFO, &info, sizeof(info));
    }
    if (options->receive_ttl)
        put_number(message, used, SOL_IP, IP_TTL, datagram->ttl);
    if (options->receive_tos)
        socket_put_control(message, used, SOL_IP, IP_TOS, &datagram->tos, 1);
    if (options->receive_destination) {
        struct sockaddr_in name = {AF_INET, lwip_htons(datagram->destination_port), destination, {0}};
        socket_put_control(message, used, SOL_IP, IP_RECVORIGDSTADDR, &name, sizeof(name));
    }
}

static void put_info_v6(struct socket_message *message, size_t *used, const struct datagram *datagram, const struct inet_options *options)
{
    if (options->packet_info_v6) {
        struct in6_pktinfo info = {.interface = datagram->interface};
        address_bytes(&datagram->destination, info.address);
        socket_put_control(message, used, SOL_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    if (options->receive_hops)
        put_number(message, used, SOL_IPV6, IPV6_HOPLIMIT, datagram->ttl);
    if (options->receive_class)
        put_number(message, used, SOL_IPV6, IPV6_TCLASS, datagram->tos);
}

static void put_error(struct socket *socket, struct socket_message *message, size_t *used, const struct datagram *entry)
{
    uint8_t record[sizeof(struct extended_error) + sizeof(struct sockaddr_in6)] = {0};
    bool v6 = socket->family == AF_INET6;

    memcpy(record, &entry->error, sizeof(entry->error));
    size_t name = address_format(socket->family, &entry->source, 0, record + sizeof(entry->error));
    socket_put_control(message, used, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_RECVERR : IP_RECVERR, record, sizeof(entry->error) + name);
}

/* The address, control messages and flags of a datagram that is handed out. */
static void datagram_tell(struct socket *socket, const struct datagram *datagram, const struct inet_options *options, struct socket_message *message, bool truncated)
{
    uint8_t name[SOCKET_ADDRESS_LIMIT] = {0};
    bool error = datagram->error.number != 0;
    size_t used = 0;

    message->flags = truncated ? MSG_TRUNC : 0;
    if (message->address != NULL) {
        size_t length = address_format(socket->family, error ? &datagram->destination : &datagram->source, error ? datagram->destination_port : datagram->source_port, name);
        memcpy(message->address, name, minimum(length, message->address_bytes));
        message->address_bytes = length;
    }
    socket_put_timestamp(socket, message, &used, datagram->real_ns);
    if (error) {
        message->flags |= MSG_ERRQUEUE;
        put_error(socket, message, &used, datagram);
    } else if (IP_IS_V4(&datagram->destination)) {
        put_info_v4(message, &used, datagram, options);
        if (socket->family == AF_INET6)
            put_info_v6(message, &used, datagram, options);
    } else {
        put_info_v6(message, &used, datagram, options);
    }
    message->control_bytes = used;
    message->file_count = 0;
    message->has_identity = false;
}

/* The first datagram or error, left on its list. receive_mutex held: it stays. */
static struct datagram *queue_first(struct datagram_queue *queue, bool errors)
{
    spinlock_lock(&queue->lock);
    struct datagram *first = list_first(errors ? &queue->errors : &queue->datagrams, struct datagram, link);
    spinlock_unlock(&queue->lock);
    return first;
}

static void queue_remove(struct datagram_queue *queue, struct datagram *datagram, bool error)
{
    spinlock_lock(&queue->lock);
    list_remove(&datagram->link);
    if (error)
        queue->error_count--;
    else
        atomic_fetch_sub(&queue->bytes, datagram_cost(datagram));
    spinlock_unlock(&queue->lock);
    datagram_free(datagram);
}

/* One try: the result, or -EAGAIN when there is none. */
static long receive_first(struct socket *socket, struct datagram_queue *queue, const struct inet_options *options, struct socket_message *message, unsigned int flags)
{
    bool errors = flags & MSG_ERRQUEUE;
    size_t room = message->data->remaining_bytes;
    long result = -EAGAIN;

    mutex_lock(&queue->receive_mutex);
    struct datagram *datagram = queue_first(queue, errors);
    if (datagram != NULL) {
        size_t length = datagram->packet->tot_len, part = minimum(room, length);
        size_t copied = packet_put(datagram->packet, 0, message->data, part);
        if (copied < part) {
            result = -EFAULT;
        } else {
            datagram_tell(socket, datagram, options, message, length > room);
            result = (flags & MSG_TRUNC) ? (long)length : (long)copied;
        }
        if (!(flags & MSG_PEEK))
            queue_remove(queue, datagram, errors);
    }
    mutex_unlock(&queue->receive_mutex);
    return result;
}

static bool receive_ready(struct socket *socket, struct datagram_queue *queue)
{
    return atomic_load(&queue->bytes) > 0 || atomic_load(&socket->error) != 0 || socket->receive_shut;
}

long datagram_receive(struct socket *socket, struct datagram_queue *queue, const struct inet_options *options, struct socket_message *message, bool nonblocking)
{
    uint64_t timeout_ns = socket->receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
    unsigned int flags = message->flags;

    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    for (;;) {
        if (!(flags & MSG_ERRQUEUE)) {
            int error = socket_take_error(socket);
            if (error != 0)
                return error;
        }
        long result = receive_first(socket, queue, options, message, flags);
        if (result != -EAGAIN || (flags & MSG_ERRQUEUE))
            return result;
        if (socket->receive_shut) {
            message->address_bytes = message->control_bytes = message->file_count = 0;
            message->flags = 0;
            return 0;
        }
        if (nonblocking)
            return -EAGAIN;
        int error = WAIT_UNTIL(&socket->wait, receive_ready(socket, queue), deadline_ns, WAIT_INTERRUPTIBLE);
        if (error != 0)
            return socket_wait_error(error, timeout_ns);
    }
}

uint32_t datagram_poll(struct socket *socket, struct datagram_queue *queue)
{
    uint32_t events = POLL_OUT | POLL_WRITE_NORMAL;

    if (atomic_load(&socket->error) != 0 || !list_empty(&queue->errors))
        events |= POLL_ERROR;
    if (socket->receive_shut)
        events |= POLL_READ_HANGUP | POLL_IN | POLL_READ_NORMAL;
    if (socket->receive_shut && socket->send_shut)
        events |= POLL_HANGUP;
    if (atomic_load(&queue->bytes) > 0)
        events |= POLL_IN | POLL_READ_NORMAL;
    return events;
}

long datagram_input_bytes(struct datagram_queue *queue)
{
    spinlock_lock(&queue->lock);
    const struct datagram *first = list_first(&queue->datagrams, struct datagram, link);
    long length = first != NULL ? first->packet->tot_len : 0;
    spinlock_unlock(&queue->lock);
    return length;
}

/* ---- sendmsg()'s control messages ---- */

static int control_number(const struct control_header *header, int *number)
{
    return socket_option_in(header + 1, header->length_bytes - sizeof(*header), number);
}

static int control_info(const struct control_header *header, bool v6, struct datagram_control *control)
{
    size_t length = header->length_bytes - sizeof(*header);

    if (v6) {
        struct in6_pktinfo info;
        uint32_t words[4];
        if (length < sizeof(info))
            return -EINVAL;
        memcpy(&info, header + 1, sizeof(info));
        memcpy(words, info.address, sizeof(words));
        if (words[0] == 0 && words[1] == 0 && words[2] == PP_HTONL(0xffff))
            ip_addr_set_ip4_u32_val(control->source, words[3]);
        else
            IP_ADDR6(&control->source, words[0], words[1], words[2], words[3]);
        control->interface = (uint8_t)info.interface;
        return 0;
    }
    struct in_pktinfo info;
    if (length < sizeof(info))
        return -EINVAL;
    memcpy(&info, header + 1, sizeof(info));
    ip_addr_set_ip4_u32_val(control->source, info.specified);
    control->interface = (uint8_t)info.interface;
    return 0;
}

int datagram_control_parse(const struct socket *socket, const struct socket_message *message, struct datagram_control *control)
{
    int error;

    *control = (struct datagram_control){.ttl = -1, .tos = -1};
    const struct control_header *header = socket_next_control(message, NULL, &error);
    for (; header != NULL; header = socket_next_control(message, header, &error)) {
        int problem = 0;
        if (header->level == SOL_IP && header->type == IP_PKTINFO)
            problem = control_info(header, false, control);
        else if (header->level == SOL_IPV6 && header->type == IPV6_PKTINFO && socket->family == AF_INET6)
            problem = control_info(header, true, control);
        else if ((header->level == SOL_IP && header->type == IP_TTL) || (header->level == SOL_IPV6 && header->type == IPV6_HOPLIMIT))
            problem = control_number(header, &control->ttl);
        else if ((header->level == SOL_IP && header->type == IP_TOS) || (header->level == SOL_IPV6 && header->type == IPV6_TCLASS))
            problem = control_number(header, &control->tos);
        else if (header->level == SOL_IP || header->level == SOL_IPV6)
            problem = -EINVAL;
        if (problem != 0)
            return problem;
    }
    return error;
}
