/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets on lwIP's tcp_*().
 *
 *   IDLE --connect--> CONNECTING --SYN|ACK--> CONNECTED --reset, time-out, both ends closed--> CLOSED --connect--> ...
 *     \--listen--> LISTENING --SYN--> (a new one, half open) --ACK--> CONNECTED, in the listener's queue --accept-->
 *
 * Sending: the program's bytes are copied once, into pages of the socket (send_pages, oldest first), and lwIP gets
 * references to them, never more than it can soon send (its own queue is a list it walks). A page leaves when all of it is acknowledged;
 * devices and loopback hold references of their own.
 * Receiving: lwIP's pbufs are chained on queue_head; the reader copies from them to the program with no lock but his
 * mutex, and opens the window again in large steps.
 *
 * Life: one reference is the file's, one the pcb's (dropped when lwIP frees it, through the pcb's extra argument), one the
 * accept queue's. A closed socket whose data is still to be sent lives on without a file.
 *
 * Locks (order in core.h): f fixed; c core lock; s send_mutex; r receive_mutex; q queue_lock; a atomic.
 */
#pragma once

#include <lwip/tcp.h>

#include "kernel/base/reference.h"
#include "kernel/net/inet_option.h"
#include "kernel/net/port.h"
#include "kernel/net/socket_object.h"
#include "kernel/sched/mutex.h"

enum stream_state { STREAM_IDLE, STREAM_CONNECTING, STREAM_CONNECTED, STREAM_LISTENING, STREAM_CLOSED };

/* The listeners that share one address and port: one pcb of lwIP. */
struct listen_group {
    struct tcp_pcb *pcb;            /* c */
    struct list listeners;          /* c */
    unsigned int count;             /* c */
};

struct inet_stream {
    struct socket socket;
    struct reference reference;     /* a */
    _Atomic int state;              /* c to write */
    struct tcp_pcb *pcb;            /* c */
    struct port_binding binding;    /* c */
    struct inet_options options;
    ip_addr_t remote_address;       /* c while connecting and after */
    uint16_t remote_port;           /* c */
    bool source_chosen;             /* c the binding's address is our choice, not the program's */
    bool orphan;                    /* c the file is gone */
    bool connect_reported;          /* c a call of connect() has told of the success */
    uint64_t connect_started_ns;    /* c */

    struct mutex send_mutex;
    struct page *tail_page;         /* s referenced: where small writes go on */
    uint32_t tail_used;             /* s */
    struct list send_pages;         /* c by page->link; page->index: first unacknowledged byte << 32 | end of the bytes */
    struct page *feed_page;         /* c where lwIP is to be fed from */
    uint32_t feed_offset;           /* c */
    uint64_t unfed_bytes;           /* c */
    _Atomic uint64_t queued_bytes;  /* c to write: not yet acknowledged */
    atomic_bool send_blocked;       /* a somebody found no room */
    struct list feed_link;          /* c in the list of those to be fed when the core lock is released */
    bool fin_wanted, fin_sent;      /* c */
    uint64_t progress_ns;           /* c last time something was acknowledged, for TCP_USER_TIMEOUT */

    struct mutex receive_mutex;
    struct spinlock queue_lock;
    struct pbuf *queue_head, *queue_tail; /* q */
    uint32_t tail_room;             /* q bytes that can be appended to the last pbuf */
    size_t head_offset;             /* r */
    _Atomic size_t queue_bytes;     /* q to write */
    uint32_t unreported_bytes;      /* r consumed, window not yet opened */
    uint32_t window_debt;           /* c SO_RCVBUF was made smaller by this */
    uint32_t window_bytes;          /* c the window we offer when the queue is empty */
    atomic_bool fin_received;

    struct listen_group *group;     /* c */
    struct list group_link;         /* c */
    struct inet_stream *listener;   /* c of one half open or not yet accepted */
    bool queued;                    /* c in the listener's accept_queue */
    struct list accept_queue;       /* c */
    struct list accept_link;        /* c in the listener's accept_queue or half_open list */
    struct list half_open;          /* c */
    _Atomic unsigned int accept_count; /* c to write */
    unsigned int half_open_count;   /* c */
    unsigned int backlog;           /* c */

    bool no_delay, cork, quick_ack; /* a */
    uint32_t quick_left;            /* c segments that are acknowledged at once */
    uint32_t kept_bytes;            /* c acknowledged, and of segments that lwIP has not done with */
    uint64_t received_ns;           /* c when the last data came */
    uint32_t keep_idle_s, keep_interval_s, keep_count; /* a */
    uint32_t user_timeout_ms, defer_accept_s, window_clamp, maximum_segment, syn_retries, not_sent_low_water; /* a */
    int linger2_s;                  /* a */
};

static inline struct inet_stream *inet_stream(struct socket *socket)
{
    return container_of(socket, struct inet_stream, socket);
}

/* inet_stream.c */
extern const struct socket_operations inet_stream_operations;
struct inet_stream *inet_stream_allocate(int family, struct credentials *credentials);
void inet_stream_release_reference(struct inet_stream *stream);
/* Core lock held: makes lwIP's pcb the stream's (its reference is taken), with options and call-backs. */
void inet_stream_adopt(struct inet_stream *stream, struct tcp_pcb *pcb);
/* Core lock held: resets and time-outs of the pcb end the stream. Not for half open ones, which nobody else holds. */
void inet_stream_watch_errors(struct inet_stream *stream);
/* Core lock held: ICMP says that a SYN did not arrive. error: positive. */
void inet_stream_unreachable(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote, uint16_t remote_port, int error);
/* Core lock held: the pcb is connected. */
void inet_stream_established(struct inet_stream *stream);
/* Core lock held: what poll and sleepers are to see after the end. error: positive, or 0. */
void inet_stream_end(struct inet_stream *stream, int error);

/* inet_stream_connect.c */
int inet_stream_bind(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes);
int inet_stream_connect(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking);

/* inet_stream_send.c; the first five are called under the core lock. */
void inet_stream_feed(struct inet_stream *stream);
/* Feeds those whose windows may have opened; true if there were any. */
bool inet_stream_feed_pending(void);
void inet_stream_note_segment(struct inet_stream *stream);
void inet_stream_acknowledged(struct inet_stream *stream, uint32_t length_bytes);
void inet_stream_drop_pages(struct inet_stream *stream);
void inet_stream_drop_tail(struct inet_stream *stream);
bool inet_stream_writable(const struct inet_stream *stream);
long inet_stream_send(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking);

/* inet_stream_receive.c */
void inet_stream_queue(struct inet_stream *stream, struct pbuf *packet); /* core lock held */
void inet_stream_drop_queue(struct inet_stream *stream);
void inet_stream_set_window(struct inet_stream *stream);                 /* core lock held */
long inet_stream_receive(struct socket *socket, struct socket_message *message, bool nonblocking);

/* inet_listen.c */
int inet_listen(struct socket *socket, int backlog);
int inet_accept(struct socket *socket, bool nonblocking, struct socket **accepted);
void inet_listen_close(struct inet_stream *listener); /* core lock held */
err_t inet_listen_passive_open(u8_t id, struct tcp_pcb_listen *listening, struct tcp_pcb *pcb);
/* Core lock held: a child of a listener died, or has data for TCP_DEFER_ACCEPT. */
void inet_listen_forget(struct inet_stream *child);
void inet_listen_arrived(struct inet_stream *child);

/* inet_stream_option.c */
int inet_stream_get_option(struct socket *socket, int level, int name, void *value, size_t *length_bytes);
int inet_stream_set_option(struct socket *socket, int level, int name, const void *value, size_t length_bytes);
void inet_stream_option_changed(struct socket *socket, int name);
/* Core lock held: all options to a new pcb. */
void inet_stream_apply_options(struct inet_stream *stream);
/* Number of /proc/net/tcp and TCP_INFO. Core lock held. */
int inet_stream_state_number(const struct inet_stream *stream);

/* Number of the extra argument by which a pcb knows its stream or group. */
extern u8_t inet_stream_argument;
/* How much a socket may hold that has set no limits; by the memory there is. */
extern uint32_t inet_stream_default_bytes;
