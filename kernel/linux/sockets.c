/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls on sockets that move no data: making, naming, connecting, accepting, options. Addresses and options are copied
 * here; kernel/net/socket.h does the rest.
 */
#include "kernel/net/socket.h"

#include "kernel/base/error.h"
#include "kernel/linux/abi/socket.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/descriptors.h"
#include "kernel/linux/socket_arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define OPTION_FEW_BYTES 128u
#define OPTION_MOST_BYTES 65536u

struct socket_identity socket_identity_mine(void)
{
    const struct credentials *mine = task_current()->credentials;
    return (struct socket_identity){ process_current()->pid, mine->euid, mine->egid };
}

int socket_argument(int fd, struct file **file)
{
    int error = file_argument(fd, file);
    if (error)
        return error;
    if (!file_is_socket(*file)) {
        file_release(*file);
        return -ENOTSOCK;
    }
    return 0;
}

int address_argument(uint8_t *kernel, uint64_t address, int length_bytes)
{
    if (length_bytes < 0 || length_bytes > SOCKET_ADDRESS_LIMIT)
        return -EINVAL;
    return length_bytes == 0 ? 0 : user_copy_in(kernel, address, (size_t)length_bytes);
}

int address_answer(uint64_t address, uint64_t length_address, const uint8_t *kernel, size_t length_bytes)
{
    int32_t room, length = (int32_t)length_bytes;
    if (user_load(&room, length_address))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    size_t copied = minimum(minimum((size_t)room, length_bytes), (size_t)SOCKET_ADDRESS_LIMIT);
    if (user_copy_out(address, kernel, copied))
        return -EFAULT;
    return user_store(length_address, &length);
}

/* Splits SOCK_NONBLOCK and SOCK_CLOEXEC off; they have the open flags' numbers. */
static int type_split(int *type, unsigned int *flags)
{
    _Static_assert(LINUX_SOCK_NONBLOCK == FILE_NONBLOCK && LINUX_SOCK_CLOEXEC == FILE_CLOSE_ON_EXEC, "same numbers");
    *flags = (unsigned int)*type & ~(unsigned int)LINUX_SOCK_TYPE_MASK;
    *type &= LINUX_SOCK_TYPE_MASK;
    return *flags & ~(unsigned int)(FILE_NONBLOCK | FILE_CLOSE_ON_EXEC) ? -EINVAL : 0;
}

long sys_socket(int family, int type, int protocol)
{
    struct file *file;
    unsigned int flags;
    struct socket_identity identity = socket_identity_mine();
    int error = type_split(&type, &flags);
    if (!error)
        error = socket_create(family, type, protocol, flags & FILE_NONBLOCK, &identity, task_current()->credentials, &file);
    return error ? error : file_install(file, (flags & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_socketpair(int family, int type, int protocol, uint64_t fds)
{
    struct file *files[2];
    unsigned int flags;
    struct socket_identity identity = socket_identity_mine();
    int error = type_split(&type, &flags);
    if (!error)
        error = socket_create_pair(family, type, protocol, flags & FILE_NONBLOCK, &identity, task_current()->credentials, files);
    return error ? error : file_install_pair(files[0], files[1], (flags & FILE_CLOSE_ON_EXEC) != 0, fds);
}

/* bind and connect differ in one call. */
static long name_call(int fd, uint64_t address, int address_bytes,
                      int (*call)(struct file *file, const struct fs_context *context, const void *address, size_t address_bytes))
{
    uint8_t kernel[SOCKET_ADDRESS_LIMIT];
    struct fs_context context;
    struct file *file;
    int error = socket_argument(fd, &file);
    if (error)
        return error;
    error = address_argument(kernel, address, address_bytes);
    if (!error) {
        task_fs_context(&context);
        error = call(file, &context, kernel, (size_t)address_bytes);
        task_fs_context_release(&context);
    }
    file_release(file);
    return error;
}

long sys_bind(int fd, uint64_t address, int address_bytes)
{
    return name_call(fd, address, address_bytes, socket_bind);
}

long sys_connect(int fd, uint64_t address, int address_bytes)
{
    return name_call(fd, address, address_bytes, socket_connect);
}

long sys_listen(int fd, int backlog)
{
    struct socket_identity identity = socket_identity_mine();
    struct file *file;
    int error = socket_argument(fd, &file);
    if (error)
        return error;
    error = socket_listen(file, backlog, &identity);
    file_release(file);
    return error;
}

long sys_accept4(int fd, uint64_t address, uint64_t address_bytes, int flags)
{
    uint8_t kernel[SOCKET_ADDRESS_LIMIT];
    size_t length = sizeof(kernel);
    struct file *file, *accepted;
    unsigned int wanted = (unsigned int)flags;
    if (wanted & ~(unsigned int)(FILE_NONBLOCK | FILE_CLOSE_ON_EXEC))
        return -EINVAL;
    int error = socket_argument(fd, &file);
    if (error)
        return error;
    error = socket_accept(file, wanted & FILE_NONBLOCK, &accepted, kernel, &length);
    file_release(file);
    if (!error && address) {
        error = address_answer(address, address_bytes, kernel, length);
        if (error)
            file_release(accepted);
    }
    return error ? error : file_install(accepted, (wanted & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_accept(int fd, uint64_t address, uint64_t address_bytes)
{
    return sys_accept4(fd, address, address_bytes, 0);
}

long sys_shutdown(int fd, int how)
{
    struct file *file;
    int error = socket_argument(fd, &file);
    if (error)
        return error;
    error = how < 0 || how > 2 ? -EINVAL : socket_shutdown(file, how);
    file_release(file);
    return error;
}

static long name_get(int fd, uint64_t address, uint64_t address_bytes, bool peer)
{
    uint8_t kernel[SOCKET_ADDRESS_LIMIT];
    size_t length = sizeof(kernel);
    struct file *file;
    int error = socket_argument(fd, &file);
    if (error)
        return error;
    error = socket_get_name(file, peer, kernel, &length);
    file_release(file);
    return error ? error : address_answer(address, address_bytes, kernel, length);
}

long sys_getsockname(int fd, uint64_t address, uint64_t address_bytes)
{
    return name_get(fd, address, address_bytes, false);
}

long sys_getpeername(int fd, uint64_t address, uint64_t address_bytes)
{
    return name_get(fd, address, address_bytes, true);
}

long sys_setsockopt(int fd, int level, int name, uint64_t value, int length_bytes)
{
    uint8_t few[OPTION_FEW_BYTES], *kernel = few;
    struct file *file;
    if (length_bytes < 0)
        return -EINVAL;
    int error = socket_argument(fd, &file);
    if (error)
        return error;
    if ((size_t)length_bytes > OPTION_MOST_BYTES)
        error = -ENOMEM;
    else if ((size_t)length_bytes > sizeof(few) && !(kernel = memory_allocate((size_t)length_bytes)))
        error = -ENOMEM;
    if (!error)
        error = user_copy_in(kernel, value, (size_t)length_bytes);
    if (!error)
        error = socket_set_option(file, level, name, kernel, (size_t)length_bytes);
    if (kernel != few)
        memory_free(kernel);
    file_release(file);
    return error;
}

long sys_getsockopt(int fd, int level, int name, uint64_t value, uint64_t length_address)
{
    uint8_t few[OPTION_FEW_BYTES], *kernel = few;
    int32_t room;
    struct file *file;
    int error = socket_argument(fd, &file);
    if (error)
        return error;
    if (user_load(&room, length_address))
        error = -EFAULT;
    else if (room < 0)
        error = -EINVAL;
    size_t length = error ? 0 : minimum((size_t)room, (size_t)OPTION_MOST_BYTES);
    if (length > sizeof(few) && !(kernel = memory_allocate(length)))
        error = -ENOMEM;
    size_t used = length;
    if (!error)
        error = socket_get_option(file, level, name, kernel, &used);
    if (!error) {
        int32_t answered = (int32_t)minimum(used, length);
        if (user_copy_out(value, kernel, (size_t)answered) || user_store(length_address, &answered))
            error = -EFAULT;
    }
    if (kernel != few)
        memory_free(kernel);
    file_release(file);
    return error;
}
