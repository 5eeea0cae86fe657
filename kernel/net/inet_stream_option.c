/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets: options of level TCP, and those of other levels that lwIP must hear of.
 */
#include <lwip/priv/tcp_priv.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/net/core.h"
#include "kernel/net/inet_stream.h"

/* struct tcp_info as far as Linux 4.9 has it. */
struct tcp_information {
    uint8_t state, congestion_state, retransmits, probes, backoff, options, window_scales, flags;
    uint32_t retransmission_us, delayed_ack_us, send_segment, receive_segment;
    uint32_t unacknowledged, sacked, lost, retransmitted, forward;
    uint32_t last_data_sent_ms, last_ack_sent_ms, last_data_received_ms, last_ack_received_ms;
    uint32_t path_mtu, receive_threshold, round_trip_us, round_trip_variation_us, send_threshold, congestion_window, advertised_segment, reordering;
    uint32_t receive_round_trip_us, receive_space, total_retransmits;
    uint64_t pacing_rate, maximum_pacing_rate, bytes_acknowledged, bytes_received;
    uint32_t segments_out, segments_in, not_sent_bytes, minimum_round_trip_us, data_segments_in, data_segments_out;
};
_Static_assert(sizeof(struct tcp_information) == 160, "struct tcp_info");

#define INFO_TIMESTAMPS 1u
#define INFO_SACK 2u
#define INFO_WINDOW_SCALE 4u
#define TICK_US (TCP_SLOW_INTERVAL * 1000u)

int inet_stream_state_number(const struct inet_stream *stream)
{
    static const uint8_t numbers[] = {
        [CLOSED] = TCP_STATE_CLOSE, [LISTEN] = TCP_STATE_LISTEN, [SYN_SENT] = TCP_STATE_SYN_SENT, [SYN_RCVD] = TCP_STATE_SYN_RECV,
        [ESTABLISHED] = TCP_STATE_ESTABLISHED, [FIN_WAIT_1] = TCP_STATE_FIN_WAIT1, [FIN_WAIT_2] = TCP_STATE_FIN_WAIT2,
        [CLOSE_WAIT] = TCP_STATE_CLOSE_WAIT, [CLOSING] = TCP_STATE_CLOSING, [LAST_ACK] = TCP_STATE_LAST_ACK, [TIME_WAIT] = TCP_STATE_TIME_WAIT,
    };
    if (stream->pcb != NULL)
        return numbers[stream->pcb->state];
    return atomic_load(&stream->state) == STREAM_LISTENING ? TCP_STATE_LISTEN : TCP_STATE_CLOSE;
}

static void information_fill(const struct inet_stream *stream, struct tcp_information *info)
{
    const struct tcp_pcb *pcb = stream->pcb;

    memset(info, 0, sizeof(*info));
    info->state = (uint8_t)inet_stream_state_number(stream);
    if (pcb == NULL)
        return;
    uint32_t mss = maximum(pcb->mss, (u16_t)1);
    info->retransmits = pcb->nrtx;
    info->backoff = pcb->nrtx;
    info->probes = pcb->persist_probe;
    info->options = (uint8_t)(((pcb->flags & TF_TIMESTAMP) ? INFO_TIMESTAMPS : 0) | ((pcb->flags & TF_SACK) ? INFO_SACK : 0) | ((pcb->flags & TF_WND_SCALE) ? INFO_WINDOW_SCALE : 0));
    info->window_scales = (uint8_t)((pcb->snd_scale & 15) | (pcb->rcv_scale << 4));
    info->retransmission_us = (uint32_t)pcb->rto * TICK_US;
    info->delayed_ack_us = TCP_TMR_INTERVAL * 1000u;
    info->send_segment = mss;
    info->receive_segment = mss;
    info->advertised_segment = mss;
    for (const struct tcp_seg *segment = pcb->unacked; segment != NULL; segment = segment->next)
        info->unacknowledged++;
    info->last_data_received_ms = (tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL;
    info->last_ack_received_ms = info->last_data_received_ms;
    struct netif *netif = ip_route(&pcb->local_ip, &pcb->remote_ip);
    info->path_mtu = netif != NULL ? netif->mtu : 0;
    info->round_trip_us = (uint32_t)maximum(pcb->sa >> 3, 0) * TICK_US;
    info->round_trip_variation_us = (uint32_t)maximum(pcb->sv >> 2, 0) * TICK_US;
    info->send_threshold = pcb->ssthresh / mss;
    info->congestion_window = maximum(pcb->cwnd / mss, 1u);
    info->receive_threshold = stream->window_bytes;
    info->receive_space = pcb->rcv_wnd;
    info->reordering = 3;
    info->not_sent_bytes = (uint32_t)(stream->unfed_bytes + (pcb->snd_lbb - pcb->snd_nxt));
}

static int out_number(void *value, size_t *length_bytes, uint32_t number)
{
    return socket_option_out(value, length_bytes, &number, sizeof(number));
}

static uint32_t segment_bytes(const struct inet_stream *stream)
{
    if (stream->pcb != NULL && atomic_load(&stream->state) == STREAM_CONNECTED)
        return stream->pcb->mss;
    return stream->maximum_segment != 0 ? stream->maximum_segment : 536;
}

/* Core lock held. */
static int tcp_get(struct inet_stream *stream, int name, void *value, size_t *length_bytes)
{
    static const char congestion[16] = "reno";
    struct tcp_information info;

    switch (name) {
    case TCP_NODELAY: return out_number(value, length_bytes, stream->no_delay);
    case TCP_MAXSEG: return out_number(value, length_bytes, segment_bytes(stream));
    case TCP_CORK: return out_number(value, length_bytes, stream->cork);
    case TCP_KEEPIDLE: return out_number(value, length_bytes, stream->keep_idle_s);
    case TCP_KEEPINTVL: return out_number(value, length_bytes, stream->keep_interval_s);
    case TCP_KEEPCNT: return out_number(value, length_bytes, stream->keep_count);
    case TCP_SYNCNT: return out_number(value, length_bytes, stream->syn_retries);
    case TCP_LINGER2: return out_number(value, length_bytes, (uint32_t)(stream->linger2_s != 0 ? stream->linger2_s : 60));
    case TCP_DEFER_ACCEPT: return out_number(value, length_bytes, stream->defer_accept_s);
    case TCP_WINDOW_CLAMP: return out_number(value, length_bytes, stream->window_clamp);
    case TCP_QUICKACK: return out_number(value, length_bytes, stream->quick_ack);
    case TCP_USER_TIMEOUT: return out_number(value, length_bytes, stream->user_timeout_ms);
    case TCP_NOTSENT_LOWAT: return out_number(value, length_bytes, stream->not_sent_low_water);
    case TCP_FASTOPEN:
    case TCP_FASTOPEN_CONNECT:
    case TCP_THIN_LINEAR_TIMEOUTS:
    case TCP_INQ: return out_number(value, length_bytes, 0);
    case TCP_CONGESTION: return socket_option_out(value, length_bytes, congestion, sizeof(congestion));
    case TCP_INFO:
        information_fill(stream, &info);
        return socket_option_out(value, length_bytes, &info, sizeof(info));
    default: return -ENOPROTOOPT;
    }
}

int inet_stream_get_option(struct socket *socket, int level, int name, void *value, size_t *length_bytes)
{
    struct inet_stream *stream = inet_stream(socket);

    if (level == SOL_IP || level == SOL_IPV6)
        return inet_option_get(socket, &stream->options, level, name, value, length_bytes);
    if (level != SOL_TCP)
        return -EOPNOTSUPP;
    network_lock();
    int error = tcp_get(stream, name, value, length_bytes);
    network_unlock();
    return error;
}

/* Core lock held. */
void inet_stream_apply_options(struct inet_stream *stream)
{
    struct tcp_pcb *pcb = stream->pcb;

    if (pcb == NULL || pcb->state == TIME_WAIT)
        return;
    if (stream->no_delay)
        tcp_nagle_disable(pcb);
    else
        tcp_nagle_enable(pcb);
    if (stream->socket.keepalive)
        ip_set_option(pcb, SOF_KEEPALIVE);
    else
        ip_reset_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = stream->keep_idle_s * 1000;
    pcb->keep_intvl = stream->keep_interval_s * 1000;
    pcb->keep_cnt = stream->keep_count;
    bool v6 = stream->socket.family == AF_INET6;
    pcb->ttl = inet_ttl(&stream->options, v6);
    pcb->tos = v6 ? stream->options.traffic_class : stream->options.tos;
    struct netif *netif = stream->socket.bound_interface != 0 ? netif_get_by_index(stream->socket.bound_interface) : NULL;
    tcp_bind_netif(pcb, netif);
}

static bool in_range(int number, int first, int last)
{
    return number >= first && number <= last;
}

static int set_cork(struct inet_stream *stream, bool on)
{
    stream->cork = on;
    if (!on)
        inet_stream_feed(stream);
    return 0;
}

static int set_no_delay(struct inet_stream *stream, bool on)
{
    stream->no_delay = on;
    inet_stream_apply_options(stream);
    if (on && stream->pcb != NULL && atomic_load(&stream->state) == STREAM_CONNECTED)
        tcp_output(stream->pcb);
    return 0;
}

static int set_in_range(uint32_t *field, int number, int first, int last)
{
    if (!in_range(number, first, last))
        return -EINVAL;
    *field = (uint32_t)number;
    return 0;
}

/* Core lock held. */
static int tcp_set(struct inet_stream *stream, int name, int number)
{
    switch (name) {
    case TCP_NODELAY: return set_no_delay(stream, number != 0);
    case TCP_CORK: return set_cork(stream, number != 0);
    case TCP_MAXSEG: return set_in_range(&stream->maximum_segment, number, 88, 32767);
    case TCP_KEEPIDLE: return set_in_range(&stream->keep_idle_s, number, 1, 32767);
    case TCP_KEEPINTVL: return set_in_range(&stream->keep_interval_s, number, 1, 32767);
    case TCP_KEEPCNT: return set_in_range(&stream->keep_count, number, 1, 127);
    case TCP_SYNCNT: return set_in_range(&stream->syn_retries, number, 1, 127);
    case TCP_LINGER2: stream->linger2_s = number; return 0;
    case TCP_DEFER_ACCEPT: stream->defer_accept_s = number > 0 ? (uint32_t)number : 0; return 0;
    case TCP_WINDOW_CLAMP: stream->window_clamp = number > 0 ? (uint32_t)maximum(number, 2304) : 0; return 0;
    case TCP_QUICKACK:
        stream->quick_ack = number != 0;
        stream->quick_left = number != 0 ? 16 : 0;
        return 0;
    case TCP_USER_TIMEOUT:
        if (number < 0)
            return -EINVAL;
        stream->user_timeout_ms = (uint32_t)number;
        return 0;
    case TCP_NOTSENT_LOWAT: stream->not_sent_low_water = (uint32_t)number; return 0;
    case TCP_THIN_LINEAR_TIMEOUTS: return in_range(number, 0, 1) ? 0 : -EINVAL; /* lwIP's own back-off stays */
    case TCP_FASTOPEN:
    case TCP_FASTOPEN_CONNECT: return -EOPNOTSUPP;
    default: return -ENOPROTOOPT;
    }
}

static int set_congestion(const char *name, size_t length_bytes)
{
    size_t length = 0;
    while (length < length_bytes && length < 15 && name[length] != '\0')
        length++;
    if (length == 0)
        return -EINVAL;
    return length == 4 && memcmp(name, "reno", 4) == 0 ? 0 : -ENOENT;
}

int inet_stream_set_option(struct socket *socket, int level, int name, const void *value, size_t length_bytes)
{
    struct inet_stream *stream = inet_stream(socket);
    int32_t number;

    if (level == SOL_IP || level == SOL_IPV6) {
        int error = inet_option_set(socket, &stream->options, level, name, value, length_bytes);
        if (error == 0)
            inet_stream_option_changed(socket, SO_KEEPALIVE);
        return error;
    }
    if (level != SOL_TCP)
        return -ENOPROTOOPT;
    if (name == TCP_CONGESTION)
        return set_congestion(value, length_bytes);
    if (length_bytes < sizeof(number))
        return -EINVAL;
    memcpy(&number, value, sizeof(number));
    network_lock();
    int error = tcp_set(stream, name, number);
    if (error == 0)
        inet_stream_apply_options(stream);
    network_unlock();
    return error;
}

void inet_stream_option_changed(struct socket *socket, int name)
{
    struct inet_stream *stream = inet_stream(socket);

    network_lock();
    stream->binding.reuse_address = socket->reuse_address;
    stream->binding.reuse_port = socket->reuse_port;
    inet_stream_apply_options(stream);
    if (name == SO_RCVBUF && stream->pcb != NULL && atomic_load(&stream->state) == STREAM_CONNECTED)
        inet_stream_set_window(stream);
    network_unlock();
    if (name == SO_SNDBUF)
        socket_wake(socket, POLL_OUT | POLL_WRITE_NORMAL);
}
