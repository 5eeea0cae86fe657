/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets: sending.
 *
 *   send() → pages of the socket (one copy, no core lock) → inet_stream_feed: references for lwIP, as much as its window can
 *   soon take → acknowledged → page released, sender woken
 *
 * A page's index holds its first unacknowledged byte and the end of its bytes. The sender keeps the last page to write on; what it
 * adds is beyond what anybody else looks at, so only the numbers change under the core lock.
 */
#include "kernel/net/inet_stream.h"

#include <lwip/priv/tcp_priv.h>

#include "kernel/base/error.h"
#include "kernel/memory/page.h"
#include "kernel/net/core.h"
#include "xen/machine/clock.h"

#define ROUND_PAGES 16              /* copied between two visits to lwIP */
#define FEED_BYTES (64u * 1024)     /* lwIP's unsent queue is kept about this long */
#define TAIL_BYTES_MINIMUM 64       /* a page with less room is not written on */

#define ANSWER_NS 40000000ull       /* a program that sends so soon after it received needs no acknowledgement of its own */

static struct list feed_list = LIST_INITIALIZER(feed_list); /* core lock */

static uint32_t page_start(const struct page *page)
{
    return (uint32_t)(page->index >> 32);
}

static uint32_t page_end(const struct page *page)
{
    return (uint32_t)page->index;
}

static void page_set(struct page *page, uint32_t start, uint32_t end)
{
    page->index = (uint64_t)start << 32 | end;
}

static uint64_t send_limit(const struct inet_stream *stream)
{
    return stream->socket.send_buffer_set ? stream->socket.send_buffer : inet_stream_default_bytes;
}

/* As Linux: a third of the buffer must be free before a poller hears of it. */
bool inet_stream_writable(const struct inet_stream *stream)
{
    return atomic_load(&stream->queued_bytes) * 3 <= send_limit(stream) * 2;
}

/* ---- Under the core lock ---- */

void inet_stream_drop_pages(struct inet_stream *stream)
{
    while (!list_empty(&stream->send_pages)) {
        struct page *page = list_first(&stream->send_pages, struct page, link);
        list_remove(&page->link);
        page_release(page);
    }
    stream->feed_page = NULL;
    stream->unfed_bytes = stream->kept_bytes = 0;
    atomic_store(&stream->queued_bytes, 0);
}

/* Bytes [start, end) of the page are to be sent. */
static void send_append(struct inet_stream *stream, struct page *page, uint32_t start, uint32_t end)
{
    if (stream->unfed_bytes == 0) {
        stream->feed_page = page;
        stream->feed_offset = start;
    }
    if (atomic_load(&stream->queued_bytes) == 0)
        stream->progress_ns = clock_monotonic_ns();
    if (list_linked(&page->link)) {
        page_set(page, page_start(page), end);
    } else {
        page_take(page);
        page_set(page, start, end);
        list_add_last(&stream->send_pages, &page->link);
    }
    stream->unfed_bytes += end - start;
    atomic_fetch_add(&stream->queued_bytes, end - start);
}

/* To the page after one that has been fed whole; there is one, as bytes are unfed. */
static void feed_advance(struct inet_stream *stream)
{
    stream->feed_page = list_entry(stream->feed_page->link.next, struct page, link);
    stream->feed_offset = page_start(stream->feed_page);
}

/*
 * Acknowledged bytes that lwIP may send again: it keeps a segment until all of it is acknowledged, and what waits to be sent again
 * may have been filled up with bytes that were never sent.
 */
static uint32_t bytes_kept(const struct tcp_pcb *pcb)
{
    const struct tcp_seg *firsts[] = {pcb->unacked, pcb->unsent};
    uint32_t from = pcb->lastack;

    for (unsigned int i = 0; i < array_count(firsts); i++)
        if (firsts[i] != NULL && TCP_SEQ_LT(lwip_ntohl(firsts[i]->tcphdr->seqno), from))
            from = lwip_ntohl(firsts[i]->tcphdr->seqno);
    return pcb->lastack - from;
}

void inet_stream_acknowledged(struct inet_stream *stream, uint32_t length_bytes)
{
    uint32_t acknowledged = stream->kept_bytes + length_bytes;

    stream->kept_bytes = stream->pcb != NULL ? minimum(bytes_kept(stream->pcb), acknowledged) : 0;
    uint32_t released = acknowledged - stream->kept_bytes, left = released;
    while (left > 0 && !list_empty(&stream->send_pages)) {
        struct page *page = list_first(&stream->send_pages, struct page, link);
        uint32_t start = page_start(page), part = minimum(left, page_end(page) - start);
        page_set(page, start + part, page_end(page));
        left -= part;
        if (start + part == page_end(page)) {
            if (page == stream->feed_page && stream->unfed_bytes > 0)
                feed_advance(stream);
            list_remove(&page->link);
            page_release(page);
        }
    }
    atomic_fetch_sub(&stream->queued_bytes, released - left);
    stream->progress_ns = clock_monotonic_ns();
    if (atomic_load(&stream->send_blocked) && inet_stream_writable(stream)) {
        atomic_store(&stream->send_blocked, false);
        socket_wake(&stream->socket, POLL_OUT | POLL_WRITE_NORMAL);
    } else if (stream->orphan && atomic_load(&stream->queued_bytes) == 0) {
        socket_wake(&stream->socket, POLL_OUT); /* close() with SO_LINGER */
    }
}

/* One reference of lwIP's to the next bytes; false when it takes no more now. */
static bool feed_once(struct inet_stream *stream)
{
    struct tcp_pcb *pcb = stream->pcb;

    if (stream->feed_offset == page_end(stream->feed_page))
        feed_advance(stream);
    struct page *page = stream->feed_page;
    uint64_t part = minimum((uint64_t)(page_end(page) - stream->feed_offset), stream->unfed_bytes);
    part = minimum(part, (uint64_t)tcp_sndbuf(pcb));
    if (part == 0)
        return false;
    u8_t flags = stream->unfed_bytes > part ? TCP_WRITE_FLAG_MORE : 0;
    if (tcp_write(pcb, (uint8_t *)page_address(page) + stream->feed_offset, (u16_t)part, flags) != ERR_OK)
        return false;
    stream->feed_offset += (uint32_t)part;
    stream->unfed_bytes -= part;
    return true;
}

static bool feed_wanted(const struct inet_stream *stream)
{
    const struct tcp_pcb *pcb = stream->pcb;

    if (stream->unfed_bytes == 0)
        return false;
    if (stream->cork && !stream->fin_wanted && stream->unfed_bytes < pcb->mss)
        return false;
    return pcb->snd_lbb - pcb->snd_nxt < FEED_BYTES;
}

/*
 * A segment for this connection is about to be looked at (network_hook_segment): it may open the window without acknowledging anything,
 * of which lwIP tells nobody.
 */
void inet_stream_note_segment(struct inet_stream *stream)
{
    if (stream->unfed_bytes > 0 && !list_linked(&stream->feed_link))
        list_add_last(&feed_list, &stream->feed_link);
}

bool inet_stream_feed_pending(void)
{
    struct list pending;
    bool some = !list_empty(&feed_list);

    if (!some)
        return false;
    list_init(&pending);
    list_move_all(&pending, &feed_list);
    while (!list_empty(&pending)) {
        struct inet_stream *stream = list_first(&pending, struct inet_stream, feed_link);
        list_remove(&stream->feed_link);
        inet_stream_feed(stream);
    }
    return true;
}

/* All has gone to lwIP, and no more will come: FIN. */
static void feed_fin(struct inet_stream *stream)
{
    struct tcp_pcb *pcb = stream->pcb;

    if (stream->orphan) {
        stream->fin_sent = true;
        /* lwIP takes a window that is not wide open for unread data, and would reset. Ours is narrower on purpose. */
        pcb->rcv_wnd = TCP_WND_MAX(pcb);
        tcp_close(pcb);
    } else if (!stream->fin_sent) {
        stream->fin_sent = tcp_shutdown(pcb, 0, 1) == ERR_OK;
    }
}

void inet_stream_feed(struct inet_stream *stream)
{
    struct tcp_pcb *pcb = stream->pcb;
    bool fed = false;

    if (pcb == NULL || pcb->state == TIME_WAIT)
        return;
    while (feed_wanted(stream) && feed_once(stream)) {
        fed = true;
        if (pcb->snd_lbb - pcb->snd_nxt >= FEED_BYTES)
            tcp_output(pcb); /* what can go, goes; there may be room again */
    }
    if (fed)
        tcp_output(pcb);
    if (stream->fin_wanted && stream->unfed_bytes == 0 && (!stream->fin_sent || stream->orphan))
        feed_fin(stream);
}

/* ---- The program's side ---- */

void inet_stream_drop_tail(struct inet_stream *stream)
{
    if (stream->tail_page == NULL)
        return;
    page_release(stream->tail_page);
    stream->tail_page = NULL;
}

/* Parts of pages filled in one round, for lwIP. */
struct round {
    struct {
        struct page *page;
        uint32_t start, end;
    } parts[ROUND_PAGES + 1];
    unsigned int count;
    size_t bytes;
    int error;
};

static struct page *round_page(struct inet_stream *stream)
{
    if (stream->tail_page != NULL && PAGE_SIZE - stream->tail_used >= TAIL_BYTES_MINIMUM)
        return stream->tail_page;
    struct page *page = page_allocate(0, PAGE_KERNEL, 0);
    if (page == NULL)
        return NULL;
    list_init(&page->link);
    inet_stream_drop_tail(stream);
    stream->tail_page = page;
    stream->tail_used = 0;
    return page;
}

/* Copies up to `room` bytes into pages. send_mutex held, no core lock: the program's memory may have to be brought in. */
static void round_fill(struct inet_stream *stream, struct io_vector *vector, size_t room, struct round *round)
{
    round->count = 0;
    round->bytes = 0;
    round->error = 0;
    while (room > 0 && vector->remaining_bytes > 0 && round->count <= ROUND_PAGES) {
        struct page *page = round_page(stream);
        if (page == NULL) {
            round->error = -ENOBUFS;
            return;
        }
        size_t part = minimum(minimum(room, vector->remaining_bytes), (size_t)PAGE_SIZE - stream->tail_used);
        size_t copied = io_vector_get(vector, (uint8_t *)page_address(page) + stream->tail_used, part);
        if (copied > 0) {
            page_take(page);
            round->parts[round->count].page = page;
            round->parts[round->count].start = stream->tail_used;
            round->parts[round->count++].end = stream->tail_used + (uint32_t)copied;
            stream->tail_used += (uint32_t)copied;
            round->bytes += copied;
            room -= copied;
        }
        if (copied < part) {
            round->error = -EFAULT;
            return;
        }
    }
}

static int send_state_error(struct inet_stream *stream)
{
    int error = socket_take_error(&stream->socket);
    if (error != 0)
        return error;
    if (stream->socket.send_shut || atomic_load(&stream->state) != STREAM_CONNECTED)
        return -EPIPE;
    return 0;
}

/* Takes the references of the round's parts over. */
static int round_send(struct inet_stream *stream, struct round *round, bool more)
{
    network_lock();
    int error = send_state_error(stream);
    if (error == 0 && stream->pcb == NULL)
        error = -EPIPE;
    for (unsigned int i = 0; i < round->count; i++) {
        if (error == 0)
            send_append(stream, round->parts[i].page, round->parts[i].start, round->parts[i].end);
        page_release(round->parts[i].page);
    }
    if (error == 0) {
        if (clock_monotonic_ns() - stream->received_ns < ANSWER_NS)
            stream->quick_left = 0;
        bool cork = stream->cork;
        stream->cork = cork || more;
        inet_stream_feed(stream);
        stream->cork = cork;
    }
    network_unlock();
    return error;
}

/* One round under send_mutex: bytes taken, or -Exxx. */
static long send_round(struct inet_stream *stream, struct socket_message *message)
{
    struct round round;
    uint64_t queued = atomic_load(&stream->queued_bytes), limit = send_limit(stream);

    if (queued >= limit)
        return -EAGAIN;
    round_fill(stream, message->data, limit - queued, &round);
    if (round.count == 0)
        return round.error;
    bool more = (message->flags & MSG_MORE) || message->data->remaining_bytes > 0;
    int error = round_send(stream, &round, more && round.error == 0);
    return error != 0 ? error : (long)round.bytes;
}

static bool send_ready(struct inet_stream *stream)
{
    if (inet_stream_writable(stream) || atomic_load(&stream->state) != STREAM_CONNECTED || stream->socket.send_shut || atomic_load(&stream->socket.error) != 0)
        return true;
    atomic_store(&stream->send_blocked, true);
    return inet_stream_writable(stream);
}

/* A socket that is being connected is waited for. */
static int send_wait_connected(struct inet_stream *stream, bool nonblocking)
{
    uint64_t timeout_ns = stream->socket.send_timeout_ns;

    if (atomic_load(&stream->state) != STREAM_CONNECTING)
        return 0;
    if (nonblocking)
        return -EAGAIN;
    return socket_wait_error(WAIT_UNTIL(&stream->socket.wait, atomic_load(&stream->state) != STREAM_CONNECTING, socket_deadline(timeout_ns), WAIT_INTERRUPTIBLE), timeout_ns);
}

long inet_stream_send(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking)
{
    struct inet_stream *stream = inet_stream(socket);
    uint64_t timeout_ns = socket->send_timeout_ns;
    size_t sent = 0;

    if (message->flags & (MSG_OOB | MSG_FASTOPEN))
        return -EOPNOTSUPP; /* no urgent data: see docs; no TFO cookies */
    long result = send_wait_connected(stream, nonblocking);
    if (result == 0)
        result = send_state_error(stream);
    uint64_t deadline_ns = socket_deadline(timeout_ns);
    while (result == 0 && message->data->remaining_bytes > 0) {
        mutex_lock(&stream->send_mutex);
        long part = send_round(stream, message);
        mutex_unlock(&stream->send_mutex);
        if (part >= 0) {
            sent += (size_t)part;
            if (message->data->faulted)
                break;
            continue;
        }
        result = part;
        if (part != -EAGAIN || nonblocking) {
            if (part == -EAGAIN && sent == 0)
                send_ready(stream); /* an edge-triggered poller is to hear of the room to come */
            break;
        }
        result = socket_wait_error(WAIT_UNTIL(&socket->wait, send_ready(stream), deadline_ns, WAIT_INTERRUPTIBLE), timeout_ns);
        if (result == 0)
            result = send_state_error(stream);
    }
    return sent > 0 ? (long)sent : result;
}
