/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets: receiving.
 *
 * lwIP's call-back adds pbufs at the end of the queue (queue_lock); the reader, who alone takes from its front
 * (receive_mutex), copies from them without a lock. What he has consumed is told to lwIP in large steps, so that the window opens with few
 * messages. Small segments are gathered: they neither keep a device's page each nor cost a block of memory each.
 */
#include "kernel/net/inet_stream.h"

#include <lwip/priv/tcp_priv.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/net/core.h"
#include "kernel/net/packet.h"

#define GATHER_BYTES 256       /* segments up to this are put together when others wait before them */
#define GATHER_BLOCK_BYTES 2048
#define REPORT_BYTES (128u * 1024)

/* ---- Under the core lock ---- */

/* The window that the socket's buffer allows: never less than two segments, or updates would starve. */
static uint32_t window_wanted(const struct inet_stream *stream)
{
    const struct tcp_pcb *pcb = stream->pcb;
    uint32_t limit = stream->socket.receive_buffer_set ? stream->socket.receive_buffer : inet_stream_default_bytes;

    if (stream->window_clamp != 0)
        limit = minimum(limit, stream->window_clamp);
    limit = maximum(limit, 2u * pcb->mss);
    return minimum(limit, (uint32_t)TCP_WND_MAX(pcb));
}

void inet_stream_set_window(struct inet_stream *stream)
{
    struct tcp_pcb *pcb = stream->pcb;
    uint32_t wanted = window_wanted(stream), before = stream->window_bytes;

    stream->window_bytes = wanted;
    if (before == 0) { /* just connected */
        pcb->rcv_wnd = wanted;
        pcb->rcv_ann_wnd = wanted;
        /* lwIP counts the largest window as announced by a SYN, which cannot say more than 64 KiB */
        pcb->rcv_ann_right_edge = pcb->rcv_nxt + wanted;
    } else if (wanted > before) {
        uint32_t more = wanted - before, paid = minimum(more, stream->window_debt);
        stream->window_debt -= paid;
        pcb->rcv_wnd = minimum(pcb->rcv_wnd + (more - paid), (tcpwnd_size_t)TCP_WND_MAX(pcb));
        tcp_update_rcv_ann_wnd(pcb);
    } else {
        stream->window_debt += before - wanted;
    }
}

/* Appends a small segment to the block at the queue's end, or begins one; false: not done. */
static bool queue_gather(struct inet_stream *stream, struct pbuf *packet)
{
    u16_t length = packet->tot_len;
    struct pbuf *block = NULL;

    if (length > GATHER_BYTES || stream->queue_tail == NULL)
        return false;
    if (stream->tail_room < length) {
        block = pbuf_alloc(PBUF_RAW, GATHER_BLOCK_BYTES, PBUF_RAM);
        if (block == NULL)
            return false;
        block->len = block->tot_len = 0;
        block->link = NULL;
    }
    spinlock_lock(&stream->queue_lock);
    bool possible = stream->queue_tail != NULL; /* the reader may have emptied it */
    if (possible && block != NULL) {
        stream->queue_tail->next = block;
        stream->queue_tail = block;
        stream->tail_room = GATHER_BLOCK_BYTES;
        block = NULL;
    }
    if (possible && stream->tail_room >= length) {
        struct pbuf *tail = stream->queue_tail;
        pbuf_copy_partial(packet, (uint8_t *)tail->payload + tail->len, length, 0);
        tail->len += length;
        stream->tail_room -= length;
        atomic_fetch_add(&stream->queue_bytes, length);
    } else {
        possible = false;
    }
    spinlock_unlock(&stream->queue_lock);
    if (block != NULL)
        pbuf_free(block);
    if (possible)
        pbuf_free(packet);
    return possible;
}

void inet_stream_queue(struct inet_stream *stream, struct pbuf *packet)
{
    if (!queue_gather(stream, packet)) {
        packet = packet_compact(packet);
        struct pbuf *last = packet;
        while (last->next != NULL)
            last = last->next;
        spinlock_lock(&stream->queue_lock);
        if (stream->queue_head == NULL)
            stream->queue_head = packet;
        else
            stream->queue_tail->next = packet;
        stream->queue_tail = last;
        stream->tail_room = 0;
        atomic_fetch_add(&stream->queue_bytes, packet->tot_len);
        spinlock_unlock(&stream->queue_lock);
    }
    socket_wake(&stream->socket, POLL_IN | POLL_READ_NORMAL);
}

/* ---- The program's side ---- */

void inet_stream_drop_queue(struct inet_stream *stream)
{
    while (stream->queue_head != NULL) {
        struct pbuf *p = stream->queue_head;
        stream->queue_head = p->next;
        p->next = NULL;
        p->tot_len = p->len;
        packet_free(p);
    }
    stream->queue_tail = NULL;
    atomic_store(&stream->queue_bytes, 0);
}

/* Tells lwIP what was consumed, when it is much or when the sender has little window left. receive_mutex held. */
static void window_report(struct inet_stream *stream)
{
    uint32_t bytes = stream->unreported_bytes;

    if (bytes == 0 || (bytes < REPORT_BYTES && bytes < stream->window_bytes / 4))
        return;
    stream->unreported_bytes = 0;
    network_lock();
    uint32_t paid = minimum(bytes, stream->window_debt);
    stream->window_debt -= paid;
    bytes -= paid;
    while (bytes > 0 && stream->pcb != NULL && stream->pcb->state != TIME_WAIT) {
        u16_t part = (u16_t)minimum(bytes, 0xffffu);
        tcp_recved(stream->pcb, part);
        bytes -= part;
    }
    network_unlock();
}

/* The front pbuf and what of it is there now. */
static struct pbuf *queue_front(struct inet_stream *stream, size_t *bytes)
{
    spinlock_lock(&stream->queue_lock);
    struct pbuf *front = stream->queue_head;
    *bytes = front != NULL ? front->len - stream->head_offset : 0;
    spinlock_unlock(&stream->queue_lock);
    return front;
}

static void queue_consume(struct inet_stream *stream, struct pbuf *front, size_t bytes)
{
    spinlock_lock(&stream->queue_lock);
    stream->head_offset += bytes;
    atomic_fetch_sub(&stream->queue_bytes, bytes);
    bool empty = stream->head_offset == front->len;
    if (empty) {
        stream->queue_head = front->next;
        stream->head_offset = 0;
        if (stream->queue_head == NULL) {
            stream->queue_tail = NULL;
            stream->tail_room = 0;
        }
    }
    spinlock_unlock(&stream->queue_lock);
    stream->unreported_bytes += (uint32_t)bytes;
    if (empty) {
        front->next = NULL;
        front->tot_len = front->len;
        packet_free(front);
    }
}

static size_t copy_out(const struct pbuf *p, size_t offset, size_t bytes, struct io_vector *vector, bool discard)
{
    if (!discard)
        return io_vector_put(vector, (const uint8_t *)p->payload + offset, bytes);
    io_vector_skip(vector, bytes);
    return bytes;
}

/* Moves what there is to the program, and consumes it. */
static size_t take_bytes(struct inet_stream *stream, struct io_vector *vector, bool discard)
{
    size_t done = 0;

    while (vector->remaining_bytes > 0) {
        size_t bytes;
        struct pbuf *front = queue_front(stream, &bytes);
        if (front == NULL)
            break;
        bytes = minimum(bytes, vector->remaining_bytes);
        size_t copied = copy_out(front, stream->head_offset, bytes, vector, discard);
        queue_consume(stream, front, copied);
        done += copied;
        if (copied < bytes)
            break;
    }
    return done;
}

/* MSG_PEEK: what lies from `skip` on, without consuming it. */
static size_t peek_bytes(struct inet_stream *stream, struct io_vector *vector, size_t skip)
{
    size_t done = 0, available;
    struct pbuf *p = queue_front(stream, &available);
    size_t offset = stream->head_offset + skip;

    while (p != NULL && vector->remaining_bytes > 0) {
        spinlock_lock(&stream->queue_lock); /* the end of the chain moves */
        size_t length = p->len;
        struct pbuf *next = p->next;
        spinlock_unlock(&stream->queue_lock);
        if (offset >= length) {
            offset -= length;
        } else {
            size_t bytes = minimum(length - offset, vector->remaining_bytes);
            size_t copied = io_vector_put(vector, (const uint8_t *)p->payload + offset, bytes);
            done += copied;
            if (copied < bytes)
                break;
            offset = 0;
        }
        p = next;
    }
    return done;
}

static bool receive_ended(const struct inet_stream *stream)
{
    return atomic_load(&stream->fin_received) || stream->socket.receive_shut || atomic_load(&stream->state) == STREAM_CLOSED;
}

static bool receive_ready(struct inet_stream *stream, size_t more_than)
{
    return atomic_load(&stream->queue_bytes) > more_than || receive_ended(stream) || atomic_load(&stream->socket.error) != 0;
}

static long receive_loop(struct inet_stream *stream, struct socket_message *message, bool nonblocking, size_t target)
{
    struct socket *socket = &stream->socket;
    bool peek = message->flags & MSG_PEEK, discard = message->flags & MSG_TRUNC;
    uint64_t timeout_ns = socket->receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
    size_t done = 0;

    for (;;) {
        bool ended = receive_ended(stream); /* before the queue is looked at: data comes first */
        mutex_lock(&stream->receive_mutex);
        done += peek ? peek_bytes(stream, message->data, done) : take_bytes(stream, message->data, discard);
        window_report(stream);
        mutex_unlock(&stream->receive_mutex);
        if (done >= target || message->data->faulted || message->data->remaining_bytes == 0)
            return (long)done;
        if (done > 0 && (ended || nonblocking || atomic_load(&socket->error) != 0))
            return (long)done;
        int error = socket_take_error(socket);
        if (error != 0)
            return error;
        if (ended)
            return 0;
        if (nonblocking)
            return -EAGAIN;
        error = WAIT_UNTIL(&socket->wait, receive_ready(stream, peek ? done : 0), deadline_ns, WAIT_INTERRUPTIBLE);
        if (error != 0)
            return done > 0 ? (long)done : socket_wait_error(error, timeout_ns);
    }
}

long inet_stream_receive(struct socket *socket, struct socket_message *message, bool nonblocking)
{
    struct inet_stream *stream = inet_stream(socket);
    size_t wanted = message->data->remaining_bytes;
    unsigned int flags = message->flags;

    message->address_bytes = 0;
    message->control_bytes = 0;
    message->file_count = 0;
    message->has_identity = false;
    if (flags & MSG_OOB)
        return -EINVAL; /* there is no urgent data to be had */
    if (flags & MSG_ERRQUEUE)
        return -EAGAIN;
    int state = atomic_load(&stream->state);
    if (state == STREAM_IDLE || state == STREAM_LISTENING)
        return -ENOTCONN;
    if (state == STREAM_CONNECTING && nonblocking)
        return -EAGAIN;
    size_t target = (flags & MSG_WAITALL) ? wanted : minimum(wanted, maximum(socket->receive_low_water, 1u));
    long result = receive_loop(stream, message, nonblocking, target);
    message->flags = 0;
    return result;
}
