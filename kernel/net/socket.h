/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets: files whose operations are the network's. kernel/linux has copied addresses and options in and turned
 * descriptors of control messages into files; data goes straight between io_vector and lwIP or the peer's queue.
 *
 * Blocking, FILE_NONBLOCK, SO_RCVTIMEO/SO_SNDTIMEO and signals (-ERESTARTSYS, -EINTR with a timeout) are handled here.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/vfs/file.h"
#include "kernel/vm/io_vector.h"

#define SOCKET_FILES_LIMIT 253   /* SCM_RIGHTS */
#define SOCKET_ADDRESS_LIMIT 128 /* struct sockaddr_storage */

struct socket_identity { int pid; uint32_t uid, gid; };

/* One message for send or receive; address and control buffers are kernel memory. */
struct socket_message {
    void *address;                 /* NULL: none */
    size_t address_bytes;          /* receive: in size, out length (may exceed what was copied) */
    struct io_vector *data;
    unsigned int flags;            /* MSG_*; receive: out msg_flags */
    struct file **files;           /* SCM_RIGHTS: send in (references taken by the call), receive out (references given) */
    size_t file_count;             /* receive: in capacity, out count */
    struct socket_identity identity; /* SCM_CREDENTIALS: send in, receive out */
    bool has_identity;
    /* Other control messages as raw cmsghdr bytes: IP_PKTINFO, IP_TTL, SO_TIMESTAMP(NS)...; receive: in size, out length. */
    uint8_t *control;
    size_t control_bytes;
};

/* type without SOCK_NONBLOCK/SOCK_CLOEXEC; file flags given apart. identity is the caller's, for SO_PEERCRED. */
int socket_create(int family, int type, int protocol, unsigned int file_flags, const struct socket_identity *identity, struct credentials *credentials, struct file **file);
int socket_create_pair(int family, int type, int protocol, unsigned int file_flags, const struct socket_identity *identity, struct credentials *credentials, struct file *files[2]);
bool file_is_socket(const struct file *file);
/* AF_UNIX paths are walked with `context`. */
int socket_bind(struct file *file, const struct fs_context *context, const void *address, size_t address_bytes);
int socket_connect(struct file *file, const struct fs_context *context, const void *address, size_t address_bytes);
int socket_listen(struct file *file, int backlog, const struct socket_identity *identity);
int socket_accept(struct file *file, unsigned int file_flags, struct file **accepted, void *address, size_t *address_bytes);
long socket_send(struct file *file, const struct fs_context *context, struct socket_message *message);
long socket_receive(struct file *file, struct socket_message *message);
int socket_shutdown(struct file *file, int how);
int socket_get_name(struct file *file, bool peer, void *address, size_t *address_bytes);
/* Options in kernel memory; *length in: room, out: used. */
int socket_get_option(struct file *file, int level, int name, void *value, size_t *length_bytes);
int socket_set_option(struct file *file, int level, int name, const void *value, size_t length_bytes);
