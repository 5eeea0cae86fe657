/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/linux calls of parts that this build does not have yet: sockets and memory files. Every call is refused as on a
 * Linux without them. Whoever brings such a part takes its functions out of here.
 */
#include "kernel/base/error.h"
#include "kernel/net/socket.h"
#include "kernel/vfs/file.h"

int memory_file_create(const char *name, unsigned int memfd_flags, struct credentials *credentials, struct file **file)
{
    return -ENOSYS;
}

int memory_file_add_seals(struct file *file, unsigned int seals)
{
    return -EINVAL;
}

long memory_file_get_seals(struct file *file)
{
    return -EINVAL;
}

int socket_create(int family, int type, int protocol, unsigned int file_flags, const struct socket_identity *identity,
                  struct credentials *credentials, struct file **file)
{
    return -EAFNOSUPPORT;
}

int socket_create_pair(int family, int type, int protocol, unsigned int file_flags, const struct socket_identity *identity,
                       struct credentials *credentials, struct file *files[2])
{
    return -EAFNOSUPPORT;
}

bool file_is_socket(const struct file *file)
{
    return false;
}

int socket_bind(struct file *file, const struct fs_context *context, const void *address, size_t address_bytes)
{
    return -ENOTSOCK;
}

int socket_connect(struct file *file, const struct fs_context *context, const void *address, size_t address_bytes)
{
    return -ENOTSOCK;
}

int socket_listen(struct file *file, int backlog, const struct socket_identity *identity)
{
    return -ENOTSOCK;
}

int socket_accept(struct file *file, unsigned int file_flags, struct file **accepted, void *address, size_t *address_bytes)
{
    return -ENOTSOCK;
}

long socket_send(struct file *file, const struct fs_context *context, struct socket_message *message)
{
    return -ENOTSOCK;
}

long socket_receive(struct file *file, struct socket_message *message)
{
    return -ENOTSOCK;
}

int socket_shutdown(struct file *file, int how)
{
    return -ENOTSOCK;
}

int socket_get_name(struct file *file, bool peer, void *address, size_t *address_bytes)
{
    return -ENOTSOCK;
}

int socket_get_option(struct file *file, int level, int name, void *value, size_t *length_bytes)
{
    return -ENOTSOCK;
}

int socket_set_option(struct file *file, int level, int name, const void *value, size_t length_bytes)
{
    return -ENOTSOCK;
}
