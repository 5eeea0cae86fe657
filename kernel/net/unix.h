/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets of the unix family: their own queues, without lwIP. One copy in, one copy out.
 *
 * A message is made in the sender's thread and put on the receiver's queue; it holds a reference of its sender, whose
 * SO_SNDBUF it is counted against until it is consumed. Listening sockets queue fresh ends, already connected.
 *
 * Locks, outermost first: connect_mutex (one connect() or bind() at a time) → the names' table → a socket's lock (spinlock; never two).
 * receive_mutex is taken with none of them held.
 *   f fixed; l lock; a atomic; n names' lock.
 */
#pragma once

#include "kernel/base/reference.h"
#include "kernel/net/socket_object.h"
#include "kernel/sched/mutex.h"
#include "xen/machine/spinlock.h"

struct inode;

enum unix_state { UNIX_IDLE, UNIX_CONNECTED, UNIX_LISTENING, UNIX_DEAD };

struct unix_socket;

struct unix_message {
    struct list link;
    struct unix_socket *sender;      /* referenced */
    struct socket_identity identity;
    struct file **files;             /* referenced; NULL when there are none */
    size_t file_count;
    uint64_t real_ns;
    size_t length_bytes;
    size_t offset;                   /* consumed, of a stream */
    uint8_t bytes[];
};

struct unix_socket {
    struct socket socket;
    struct reference reference;
    struct mutex connect_mutex;
    struct mutex receive_mutex;
    struct spinlock lock;
    _Atomic int state;               /* l to write */
    struct unix_socket *peer;        /* l referenced */
    struct list messages;            /* l */
    _Atomic size_t queue_bytes;      /* l to write: unread */
    _Atomic unsigned int queue_count;/* l to write */
    _Atomic size_t sent_bytes;       /* a cost of own messages not yet consumed */
    struct list accept_queue;        /* l fresh ends by accept_link */
    struct list accept_link;         /* listener's l */
    _Atomic unsigned int accept_count; /* l to write */
    unsigned int backlog;            /* l */

    struct sockaddr_un name;         /* n, f once bound */
    size_t name_bytes;               /* n length of the whole address; 0: unnamed */
    struct path path;                /* n referenced: where it is bound; the inode's endpoint is this socket */
    struct list name_link;           /* n abstract names */
};

static inline struct unix_socket *unix_socket(struct socket *socket)
{
    return container_of(socket, struct unix_socket, socket);
}

void unix_take(struct unix_socket *end);
void unix_release_reference(struct unix_socket *end);
/* The other end, referenced, or NULL. */
struct unix_socket *unix_peer(struct unix_socket *end);

/* unix_name.c */
int unix_bind(struct socket *socket, const struct fs_context *context, const void *address, size_t address_bytes);
/* The socket bound to that name, referenced. -ECONNREFUSED, -ENOENT, -EACCES, -EPROTOTYPE, -EINVAL... */
int unix_find(const struct fs_context *context, const void *address, size_t address_bytes, int type, struct unix_socket **found);
void unix_unbind(struct unix_socket *end);
void unix_names_start(void);

/* unix_message.c */
long unix_send(struct socket *socket, const struct fs_context *context, struct socket_message *message, bool nonblocking);
long unix_receive(struct socket *socket, struct socket_message *message, bool nonblocking);
bool unix_writable(const struct unix_socket *end);
/* Drops what nobody will read; answers whether there was something. */
bool unix_drop_messages(struct unix_socket *end);
long unix_first_bytes(struct unix_socket *end);
