/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A socket behind its file: what all families have in common, and the table of what differs.
 *
 * The file owns the socket; release() ends it when the file's last reference goes. Operations run in thread context with no locks held.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/net/abi.h"
#include "kernel/net/socket.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/poll.h"

struct socket;

/* A missing member answers -EOPNOTSUPP (options: -ENOPROTOOPT; ioctl: -ENOTTY). */
struct socket_operations {
    /* The file is gone: closes, and frees the socket now or when the protocol is through with it. */
    void (*release)(struct socket *socket);
    int (*bind)(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes);
    int (*connect)(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes, bool nonblocking);
    int (*listen)(struct socket *socket, int backlog);
    /* A new socket, connected, without a file yet. */
    int (*accept)(struct socket *socket, bool nonblocking, struct socket **accepted);
    long (*send)(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking);
    long (*receive)(struct socket *socket, struct socket_message *message, bool nonblocking);
    int (*shutdown)(struct socket *socket, int how);
    /* Fills up to 128 bytes; its length, or -ENOTCONN. */
    long (*get_name)(struct socket *socket, bool peer, void *address);
    /* Levels other than SOL_SOCKET. */
    int (*get_option)(struct socket *socket, int level, int name, void *value, size_t *length_bytes);
    int (*set_option)(struct socket *socket, int level, int name, const void *value, size_t length_bytes);
    /* A SOL_SOCKET option has been stored that the protocol must hear of (SO_KEEPALIVE, SO_RCVBUF, SO_SNDBUF, SO_BROADCAST, SO_BINDTODEVICE). May be NULL. */
    void (*option_changed)(struct socket *socket, int name);
    uint32_t (*poll)(struct socket *socket);
    /* FIONREAD, SIOCOUTQ: bytes, or -Exxx. */
    long (*input_bytes)(struct socket *socket);
    long (*output_bytes)(struct socket *socket);
};

/* Locks: f fixed; a single words read and written anywhere; k all_lock. */
struct socket {
    const struct socket_operations *operations; /* f */
    struct file *file;                          /* f once installed; NULL after release */
    int family, type, protocol;                 /* f */
    uint64_t number;                            /* f its inode number */
    uint32_t uid;                               /* f of the creator */
    struct wait_queue wait;
    struct list all_link;                       /* k */
    struct socket_identity identity;            /* f creator's, or listener's at listen() */
    struct socket_identity peer;                /* a SO_PEERCRED */
    struct credentials *credentials;            /* f referenced */

    _Atomic int error;                          /* a SO_ERROR, positive */
    _Atomic uint64_t receive_timeout_ns;        /* a 0: none */
    _Atomic uint64_t send_timeout_ns;           /* a */
    _Atomic uint32_t send_buffer;               /* a bytes, as SO_SNDBUF reports */
    _Atomic uint32_t receive_buffer;            /* a */
    bool send_buffer_set, receive_buffer_set;   /* a by the program */
    uint32_t receive_low_water;                 /* a */
    bool reuse_address, reuse_port, keepalive, broadcast, dont_route, out_of_band_inline, pass_credentials, no_check, debug; /* a */
    bool timestamp, timestamp_ns;               /* a */
    bool linger_on;                             /* a */
    bool listening;                             /* a SO_ACCEPTCONN */
    uint32_t linger_seconds;                    /* a */
    uint32_t priority, mark;                    /* a */
    uint8_t bound_interface;                    /* a index, 0: none */
    bool receive_shut, send_shut;               /* a shutdown() */
};

/* Sets up the common part; `size_bytes` ≥ sizeof(struct socket), zeroed. NULL: out of memory. */
struct socket *socket_allocate(size_t size_bytes, const struct socket_operations *operations, int family, int type, int protocol, struct credentials *credentials);
/* The end of what socket_allocate() began. */
void socket_free(struct socket *socket);
struct socket *socket_of_file(const struct file *file);

/* Sleepers and pollers hear of `events` (POLL_*). */
static inline void socket_wake(struct socket *socket, uint32_t events)
{
    wait_queue_wake_all(&socket->wait, events);
}

/* Takes the pending error: 0 or -Exxx. */
int socket_take_error(struct socket *socket);
/* When a wait with this timeout (0: none) ends. */
uint64_t socket_deadline(uint64_t timeout_ns);
/* What a wait that ended badly answers: -EAGAIN at the deadline; -ERESTARTSYS, or -EINTR where a timeout was set, for a signal. */
int socket_wait_error(int error, uint64_t timeout_ns);
/* Appends a control message where there is room, else sets MSG_CTRUNC. */
void socket_put_control(struct socket_message *message, size_t *used_bytes, int level, int type, const void *data, size_t length_bytes);
/* SO_TIMESTAMP(NS) of a received message. */
void socket_put_timestamp(const struct socket *socket, struct socket_message *message, size_t *used_bytes, uint64_t real_ns);
/* Walks the control messages of a send: NULL at the end, -EINVAL in *error for a malformed one. */
const struct control_header *socket_next_control(const struct socket_message *message, const struct control_header *after, int *error);
/* Copies an option's value out, cut to *length_bytes, which becomes what was copied. */
int socket_option_out(void *value, size_t *length_bytes, const void *from, size_t from_bytes);
/* An int, or a single byte where Linux takes one (levels IP). */
int socket_option_in(const void *value, size_t length_bytes, int *number);
/* Every socket, for /proc/net; under a lock: must not sleep nor take socket locks. */
void socket_for_each(void (*visit)(struct socket *socket, void *context), void *context);

/* SOL_SOCKET: socket_option.c. */
int socket_option_get(struct socket *socket, int name, void *value, size_t *length_bytes);
int socket_option_set(struct socket *socket, int name, const void *value, size_t length_bytes);

/* The families. 0 and a socket without a file. */
int inet_stream_create(int family, int protocol, struct credentials *credentials, struct socket **socket);
int inet_datagram_create(int family, int protocol, struct credentials *credentials, struct socket **socket);
int raw_create(int family, int type, int protocol, struct credentials *credentials, struct socket **socket);
int unix_create(int type, struct credentials *credentials, struct socket **socket);
/* Connects two fresh unix sockets. */
void unix_pair(struct socket *one, struct socket *other);
int netlink_create(int type, int protocol, struct credentials *credentials, struct socket **socket);
int inet_start(void);
int unix_start(void);
int netlink_start(void);

/* Interface ioctls on any socket (interface_info.c): -ENOTTY when it is none of them. */
long interface_ioctl(struct socket *socket, unsigned int command, uint64_t argument);
