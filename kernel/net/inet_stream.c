/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets: life, lwIP's call-backs, names, poll. See the header for how the parts work together.
 */
#include "kernel/net/inet_stream.h"

#include <lwip/etharp.h>
#include <lwip/priv/tcp_priv.h>

#include "kernel/base/error.h"
#include "kernel/memory/page.h"
#include "kernel/net/core.h"
#include "kernel/net/packet.h"
#include "xen/machine/clock.h"

#define POLL_TICKS 12              /* about a second: for connections that are not making progress */
#define SYN_TICKS (LWIP_TCP_RTO_TIME / TCP_SLOW_INTERVAL)
#define UNREACHABLE_NS 3000000000ull
#define INITIAL_SEGMENTS 10        /* RFC 6928 */
#define QUICK_SEGMENTS 16          /* acknowledged at once, unless the program answers them anyway */
#define POLL_ALL (POLL_IN | POLL_READ_NORMAL | POLL_OUT | POLL_WRITE_NORMAL | POLL_READ_HANGUP | POLL_HANGUP | POLL_ERROR)

u8_t inet_stream_argument;
uint32_t inet_stream_default_bytes;

/* ---- Life ---- */

struct inet_stream *inet_stream_allocate(int family, struct credentials *credentials)
{
    struct socket *socket = socket_allocate(sizeof(struct inet_stream), &inet_stream_operations, family, SOCK_STREAM, IPPROTO_TCP, credentials);
    if (socket == NULL)
        return NULL;
    struct inet_stream *stream = inet_stream(socket);
    reference_init(&stream->reference);
    socket->send_buffer = 16384; /* what Linux begins with; the real limits are inet_stream_default_bytes until they are set */
    socket->receive_buffer = 131072;
    inet_options_init(&stream->options);
    mutex_init(&stream->send_mutex, "stream send", 0);
    mutex_init(&stream->receive_mutex, "stream receive", 0);
    spinlock_init(&stream->queue_lock, "stream queue", 0);
    list_init(&stream->send_pages);
    list_init(&stream->feed_link);
    list_init(&stream->group_link);
    list_init(&stream->accept_queue);
    list_init(&stream->accept_link);
    list_init(&stream->half_open);
    stream->keep_idle_s = 7200;
    stream->keep_interval_s = 75;
    stream->keep_count = 9;
    stream->syn_retries = 6;
    stream->quick_ack = true;
    stream->binding.protocol = PORT_TCP;
    return stream;
}

int inet_stream_create(int family, int protocol, struct credentials *credentials, struct socket **socket)
{
    if (protocol != 0 && protocol != IPPROTO_TCP)
        return -EPROTONOSUPPORT;
    struct inet_stream *stream = inet_stream_allocate(family, credentials);
    if (stream == NULL)
        return -ENOBUFS;
    *socket = &stream->socket;
    return 0;
}

/* The last one frees; core lock held or not. */
void inet_stream_release_reference(struct inet_stream *stream)
{
    if (!reference_release(&stream->reference))
        return;
    bool locked = network_locked();
    if (!locked)
        network_lock();
    port_release(&stream->binding);
    if (!locked)
        network_unlock();
    inet_stream_drop_queue(stream);
    inet_stream_drop_pages(stream);
    inet_stream_drop_tail(stream);
    socket_free(&stream->socket);
}

/* ---- Call-backs of lwIP: all under the core lock ---- */

void inet_stream_end(struct inet_stream *stream, int error)
{
    if (error != 0)
        atomic_store(&stream->socket.error, error);
    atomic_store(&stream->state, STREAM_CLOSED);
    atomic_store(&stream->fin_received, true);
    inet_stream_drop_pages(stream);
    socket_wake(&stream->socket, POLL_ALL);
}

/* lwIP is about to free the pcb, whatever the reason. */
static void stream_pcb_destroyed(u8_t id, void *data)
{
    struct inet_stream *stream = data;
    if (stream == NULL)
        return;
    /* Where lwIP tells the error only after the pcb is free, that call-back ends the stream: nobody may see the end before the error. */
    bool error_follows = stream->pcb->errf != NULL && stream->pcb->state != TIME_WAIT;
    stream->pcb = NULL;
    list_remove(&stream->feed_link);
    inet_listen_forget(stream);
    if (stream->orphan)
        port_release(&stream->binding);
    if (atomic_load(&stream->state) != STREAM_CLOSED && !error_follows)
        inet_stream_end(stream, 0);
    inet_stream_release_reference(stream);
}

static const struct tcp_ext_arg_callbacks stream_argument_callbacks = {stream_pcb_destroyed, inet_listen_passive_open};

/* Reset, time-out or (ERR_CLSD) the regular end; the pcb is or will be gone. Only streams that somebody holds have this call-back. */
static void stream_error(void *argument, err_t err)
{
    struct inet_stream *stream = argument;
    int error = err == ERR_CLSD ? 0 : -address_error(err);

    /* The destroyed-call-back may have been here before: the state tells what the connection was then. */
    if (err == ERR_RST && atomic_load(&stream->state) == STREAM_CONNECTING)
        error = ECONNREFUSED;
    else if (err == ERR_RST && stream->pcb != NULL && stream->pcb->state == CLOSE_WAIT)
        error = EPIPE;
    inet_stream_end(stream, error);
}

static err_t stream_received(void *argument, struct tcp_pcb *pcb, struct pbuf *packet, err_t err)
{
    struct inet_stream *stream = argument;

    if (packet == NULL) {
        atomic_store(&stream->fin_received, true);
        if (stream->listener != NULL)
            inet_listen_arrived(stream);
        socket_wake(&stream->socket, POLL_IN | POLL_READ_NORMAL | POLL_READ_HANGUP | (stream->fin_wanted ? POLL_HANGUP : 0));
        return ERR_OK;
    }
    if (stream->orphan) { /* nobody will read it: the sender is to know */
        pbuf_free(packet);
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    bool several = packet->tot_len > pcb->mss; /* segments in one packet, which lwIP takes for one and would not acknowledge alone */
    inet_stream_queue(stream, packet);
    if (stream->listener != NULL)
        inet_listen_arrived(stream);
    stream->received_ns = clock_monotonic_ns();
    if (stream->quick_left > 0 || several)
        tcp_ack_now(pcb); /* lwIP sends it at the end of this segment */
    stream->quick_left -= stream->quick_left > 0;
    return ERR_OK;
}

static err_t stream_sent(void *argument, struct tcp_pcb *pcb, u16_t length)
{
    struct inet_stream *stream = argument;
    inet_stream_acknowledged(stream, length);
    inet_stream_feed(stream);
    return ERR_OK;
}

void inet_stream_established(struct inet_stream *stream)
{
    struct tcp_pcb *pcb = stream->pcb;

    if (stream->maximum_segment != 0 && stream->maximum_segment < pcb->mss)
        pcb->mss = (u16_t)stream->maximum_segment;
    pcb->cwnd = INITIAL_SEGMENTS * (tcpwnd_size_t)pcb->mss;
    stream->window_bytes = 0;
    inet_stream_set_window(stream);
    stream->progress_ns = clock_monotonic_ns();
    stream->quick_left = stream->quick_ack ? QUICK_SEGMENTS : 0;
    atomic_store(&stream->state, STREAM_CONNECTED);
}

/* The next hop does not answer ARP. */
static bool stream_unreachable(const struct tcp_pcb *pcb)
{
    struct eth_addr *hardware;
    const ip4_addr_t *known;

    if (!IP_IS_V4_VAL(pcb->remote_ip))
        return false;
    struct netif *netif = ip_route(&pcb->local_ip, &pcb->remote_ip);
    if (netif == NULL)
        return true;
    if ((netif->flags & NETIF_FLAG_ETHARP) == 0)
        return false;
    const ip4_addr_t *hop = ip_2_ip4(&pcb->remote_ip);
    if (!ip4_addr_netcmp(hop, netif_ip4_addr(netif), netif_ip4_netmask(netif)))
        hop = netif_ip4_gw(netif);
    return etharp_find_addr(netif, hop, &hardware, &known) < 0;
}

/* Ends a connection that lwIP would keep: its error first, so that the call-backs find it. */
static err_t stream_give_up(struct inet_stream *stream, int error)
{
    struct tcp_pcb *pcb = stream->pcb;
    tcp_err(pcb, NULL);
    inet_stream_end(stream, error);
    tcp_abort(pcb);
    return ERR_ABRT;
}

/* About once a second. lwIP repeats a SYN at even intervals and 12 times at most: here the interval is doubled, as Linux does. */
static err_t stream_poll(void *argument, struct tcp_pcb *pcb)
{
    struct inet_stream *stream = argument;
    uint64_t now_ns = clock_monotonic_ns();

    if (pcb->state == SYN_RCVD)
        return ERR_OK;
    if (pcb->state == SYN_SENT) {
        if (pcb->nrtx > stream->syn_retries)
            return stream_give_up(stream, ETIMEDOUT);
        if (now_ns - stream->connect_started_ns > UNREACHABLE_NS && stream_unreachable(pcb))
            return stream_give_up(stream, EHOSTUNREACH);
        pcb->rto = (s16_t)minimum(SYN_TICKS << pcb->nrtx, 0x7000);
        return ERR_OK;
    }
    if (stream->queued_bytes != 0 && stream->user_timeout_ms != 0 && now_ns - stream->progress_ns > stream->user_timeout_ms * 1000000ull)
        return stream_give_up(stream, ETIMEDOUT);
    if (stream->queued_bytes == 0 && mutex_try_lock(&stream->send_mutex)) {
        inet_stream_drop_tail(stream); /* an idle connection keeps no page */
        mutex_unlock(&stream->send_mutex);
    }
    if (stream->listener != NULL && !stream->queued && now_ns - stream->progress_ns > stream->listener->defer_accept_s * 1000000000ull)
        inet_listen_arrived(stream); /* TCP_DEFER_ACCEPT has waited long enough */
    bool cork = stream->cork;
    stream->cork = false; /* what was held back goes out after a while */
    inet_stream_feed(stream);
    stream->cork = cork;
    return ERR_OK;
}

void inet_stream_unreachable(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port, int error)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {
        if (pcb->state != SYN_SENT || pcb->local_port != local_port || pcb->remote_port != remote_port || !ip_addr_cmp(&pcb->remote_ip, remote))
            continue;
        stream_give_up(pcb->callback_arg, error);
        return;
    }
}

void inet_stream_adopt(struct inet_stream *stream, struct tcp_pcb *pcb)
{
    reference_take(&stream->reference);
    stream->pcb = pcb;
    tcp_arg(pcb, stream);
    tcp_ext_arg_set_callbacks(pcb, inet_stream_argument, &stream_argument_callbacks);
    tcp_ext_arg_set(pcb, inet_stream_argument, stream);
    tcp_recv(pcb, stream_received);
    tcp_sent(pcb, stream_sent);
    tcp_poll(pcb, stream_poll, POLL_TICKS);
    inet_stream_apply_options(stream);
}

void inet_stream_watch_errors(struct inet_stream *stream)
{
    tcp_err(stream->pcb, stream_error);
}

/* ---- The end ---- */

static int stream_shutdown(struct socket *socket, int how)
{
    struct inet_stream *stream = inet_stream(socket);
    int error = 0;

    network_lock();
    int state = atomic_load(&stream->state);
    if (state == STREAM_LISTENING) {
        if (how != SHUT_WR) {
            inet_listen_close(stream);
            atomic_store(&stream->state, STREAM_IDLE);
        }
    } else if (state == STREAM_IDLE || (state == STREAM_CLOSED && stream->pcb == NULL)) {
        error = -ENOTCONN;
    } else if (state == STREAM_CONNECTING) {
        tcp_err(stream->pcb, NULL);
        inet_stream_end(stream, ECONNRESET);
        tcp_abort(stream->pcb);
    } else {
        if (how != SHUT_WR)
            socket->receive_shut = true;
        if (how != SHUT_RD) {
            socket->send_shut = true;
            stream->fin_wanted = true;
            inet_stream_feed(stream);
        }
    }
    network_unlock();
    if (error == 0)
        socket_wake(socket, POLL_ALL & ~POLL_ERROR);
    return error;
}

/* SO_LINGER with a time: close() waits until the other end has it all. */
static void stream_linger(struct inet_stream *stream)
{
    uint64_t deadline_ns = clock_monotonic_ns() + stream->socket.linger_seconds * 1000000000ull;
    WAIT_UNTIL(&stream->socket.wait, stream->pcb == NULL || atomic_load(&stream->queued_bytes) == 0, deadline_ns, WAIT_INTERRUPTIBLE);
}

static void stream_release(struct socket *socket)
{
    struct inet_stream *stream = inet_stream(socket);
    bool linger = socket->linger_on && socket->linger_seconds > 0;

    network_lock();
    if (atomic_load(&stream->state) == STREAM_LISTENING)
        inet_listen_close(stream);
    stream->orphan = true;
    inet_options_release(&stream->options);
    if (stream->pcb == NULL) {
        port_release(&stream->binding);
    } else {
        tcp_err(stream->pcb, NULL);
        bool unread = atomic_load(&stream->queue_bytes) > 0;
        if (unread || (socket->linger_on && socket->linger_seconds == 0)) {
            tcp_abort(stream->pcb);
        } else {
            stream->fin_wanted = true;
            inet_stream_feed(stream);
        }
    }
    network_unlock();
    if (linger)
        stream_linger(stream);
    mutex_lock(&stream->send_mutex);
    inet_stream_drop_tail(stream);
    mutex_unlock(&stream->send_mutex);
    inet_stream_release_reference(stream);
}

/* ---- Names, poll ---- */

static long stream_get_name(struct socket *socket, bool peer, void *address)
{
    struct inet_stream *stream = inet_stream(socket);
    ip_addr_t any = {0};
    long length;

    network_lock();
    if (peer && (stream->pcb == NULL || atomic_load(&stream->state) != STREAM_CONNECTED))
        length = -ENOTCONN;
    else if (peer)
        length = (long)address_format(socket->family, &stream->remote_address, stream->remote_port, address);
    else
        length = (long)address_format(socket->family, stream->binding.port != 0 ? &stream->binding.address : &any, stream->binding.port, address);
    network_unlock();
    return length;
}

/* As Linux's tcp_poll(). */
static uint32_t stream_poll_file(struct socket *socket)
{
    struct inet_stream *stream = inet_stream(socket);
    int state = atomic_load(&stream->state);
    bool input_ended = socket->receive_shut || atomic_load(&stream->fin_received);
    uint32_t events = 0;

    if (state == STREAM_LISTENING)
        return atomic_load(&stream->accept_count) > 0 ? POLL_IN | POLL_READ_NORMAL : 0;
    if (state == STREAM_IDLE || state == STREAM_CLOSED || (input_ended && socket->send_shut))
        events |= POLL_HANGUP;
    if (input_ended && state != STREAM_IDLE)
        events |= POLL_IN | POLL_READ_NORMAL | POLL_READ_HANGUP;
    if (state != STREAM_CONNECTING) {
        size_t queued = atomic_load(&stream->queue_bytes);
        if (queued > 0 && queued >= minimum(socket->receive_low_water, stream->window_bytes / 2 + 1))
            events |= POLL_IN | POLL_READ_NORMAL;
        if (socket->send_shut || inet_stream_writable(stream)) {
            events |= POLL_OUT | POLL_WRITE_NORMAL;
        } else {
            atomic_store(&stream->send_blocked, true);
            if (inet_stream_writable(stream)) /* it may have become so before the mark was seen */
                events |= POLL_OUT | POLL_WRITE_NORMAL;
        }
    }
    if (atomic_load(&socket->error) != 0)
        events |= POLL_ERROR;
    return events;
}

static long stream_input_bytes(struct socket *socket)
{
    if (atomic_load(&inet_stream(socket)->state) == STREAM_LISTENING)
        return -EINVAL;
    return (long)atomic_load(&inet_stream(socket)->queue_bytes);
}

static long stream_output_bytes(struct socket *socket)
{
    if (atomic_load(&inet_stream(socket)->state) == STREAM_LISTENING)
        return -EINVAL;
    return (long)atomic_load(&inet_stream(socket)->queued_bytes);
}

const struct socket_operations inet_stream_operations = {
    .release = stream_release,
    .bind = inet_stream_bind,
    .connect = inet_stream_connect,
    .listen = inet_listen,
    .accept = inet_accept,
    .send = inet_stream_send,
    .receive = inet_stream_receive,
    .shutdown = stream_shutdown,
    .get_name = stream_get_name,
    .get_option = inet_stream_get_option,
    .set_option = inet_stream_set_option,
    .option_changed = inet_stream_option_changed,
    .poll = stream_poll_file,
    .input_bytes = stream_input_bytes,
    .output_bytes = stream_output_bytes,
};
