/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control messages in both directions. The program's buffer is copied once and parsed from the copy; a received message
 * that does not fit is cut as Linux cuts it, with MSG_CTRUNC.
 */
#include "kernel/linux/control_messages.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/abi/socket.h"
#include "kernel/linux/arguments.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define CONTROL_MOST_BYTES 20480u
#define HEADER_BYTES sizeof(struct linux_cmsghdr)

int control_make_room(struct control_block *control, uint64_t length_bytes)
{
    *control = (struct control_block){ 0 };
    if (length_bytes == 0)
        return 0;
    size_t bytes = (size_t)minimum(length_bytes, (uint64_t)CONTROL_MOST_BYTES);
    control->bytes = memory_allocate_zeroed(bytes);
    control->file_room = SOCKET_FILES_LIMIT;
    control->files = memory_allocate(control->file_room * sizeof(struct file *));
    control->length_bytes = bytes;
    if (control->bytes && control->files)
        return 0;
    control_release(control);
    return -ENOMEM;
}

void control_release(struct control_block *control)
{
    for (size_t i = 0; i < control->file_count; i++)
        file_release(control->files[i]);
    memory_free(control->files);
    memory_free(control->bytes);
    *control = (struct control_block){ 0 };
}

static int take_files(struct control_block *control, const uint8_t *data, size_t length_bytes)
{
    size_t count = length_bytes / sizeof(int32_t);
    if (control->file_count + count > control->file_room)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        int32_t fd;
        memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
        int error = file_argument_any(fd, &control->files[control->file_count]);
        if (error)
            return error;
        control->file_count++;
    }
    return 0;
}

/* A program may speak for itself only, unless privileged. */
static int take_identity(struct control_block *control, const uint8_t *data, size_t length_bytes)
{
    const struct credentials *mine = task_current()->credentials;
    struct linux_ucred given;
    if (length_bytes != sizeof(given))
        return -EINVAL;
    memcpy(&given, data, sizeof(given));
    bool pid_ok = given.pid == process_current()->pid || task_capable(CAPABILITY_SYS_ADMIN);
    bool uid_ok = given.uid == mine->uid || given.uid == mine->euid || given.uid == mine->suid || task_capable(CAPABILITY_SETUID);
    bool gid_ok = given.gid == mine->gid || given.gid == mine->egid || given.gid == mine->sgid || task_capable(CAPABILITY_SETGID);
    if (!pid_ok || !uid_ok || !gid_ok)
        return -EPERM;
    control->identity = (struct socket_identity){ given.pid, given.uid, given.gid };
    control->has_identity = true;
    return 0;
}

/* Walks the copy; messages that are not ours are moved together at its front. */
static int control_parse(struct control_block *control, size_t length_bytes)
{
    size_t offset = 0, kept = 0;
    while (length_bytes - offset >= HEADER_BYTES) {
        struct linux_cmsghdr header;
        memcpy(&header, control->bytes + offset, sizeof(header));
        if (header.length_bytes < HEADER_BYTES || header.length_bytes > length_bytes - offset)
            return -EINVAL;
        const uint8_t *data = control->bytes + offset + HEADER_BYTES;
        size_t data_bytes = (size_t)header.length_bytes - HEADER_BYTES;
        size_t whole = (size_t)minimum(LINUX_CMSG_ALIGN(header.length_bytes), (uint64_t)(length_bytes - offset));
        int error = 0;
        if (header.level == LINUX_SOL_SOCKET && header.type == LINUX_SCM_RIGHTS) {
            error = take_files(control, data, data_bytes);
        } else if (header.level == LINUX_SOL_SOCKET && header.type == LINUX_SCM_CREDENTIALS) {
            error = take_identity(control, data, data_bytes);
        } else {
            memmove(control->bytes + kept, control->bytes + offset, whole);
            kept += whole;
        }
        if (error)
            return error;
        offset += whole;
    }
    control->length_bytes = kept;
    return 0;
}

int control_take(struct control_block *control, uint64_t address, uint64_t length_bytes)
{
    *control = (struct control_block){ 0 };
    if (length_bytes > CONTROL_MOST_BYTES)
        return -ENOBUFS;
    if (length_bytes == 0)
        return 0;
    int error = control_make_room(control, length_bytes);
    if (error)
        return error;
    error = user_copy_in(control->bytes, address, (size_t)length_bytes);
    if (!error)
        error = control_parse(control, (size_t)length_bytes);
    if (error)
        control_release(control);
    return error;
}

/* One message at `used`: its header and as much of its data as there is room for. New length used, or -EFAULT. */
static long put_message(uint64_t address, uint64_t room_bytes, uint64_t used, int level, int type, const void *data, size_t data_bytes, bool *truncated)
{
    uint64_t left = room_bytes - used;
    if (left < HEADER_BYTES) {
        *truncated = true;
        return (long)used;
    }
    uint64_t length = HEADER_BYTES + data_bytes;
    if (length > left) {
        *truncated = true;
        length = left;
    }
    struct linux_cmsghdr header = { .length_bytes = length, .level = level, .type = type };
    if (user_store(address + used, &header) || user_copy_out(address + used + HEADER_BYTES, data, (size_t)length - HEADER_BYTES))
        return -EFAULT;
    return (long)minimum(used + LINUX_CMSG_ALIGN(length), room_bytes);
}

/* Descriptors for as many files as fit; the others are dropped, as if they had never been sent. */
static long put_files(struct control_block *control, uint64_t address, uint64_t room_bytes, uint64_t used, bool close_on_exec, bool *truncated)
{
    uint64_t left = room_bytes - used;
    size_t fit = left < HEADER_BYTES ? 0 : (size_t)minimum((left - HEADER_BYTES) / sizeof(int32_t), (uint64_t)control->file_count);
    size_t done = 0;
    for (; done < fit; done++) {
        struct file *file = control->files[done];
        file_take(file);
        long fd = file_install(file, close_on_exec);
        if (fd < 0)
            break;
        int32_t number = (int32_t)fd;
        if (user_store(address + used + HEADER_BYTES + done * sizeof(number), &number)) {
            fd_table_close(task_current()->files, number);
            break;
        }
    }
    if (done < control->file_count)
        *truncated = true;
    if (done == 0)
        return (long)used;
    uint64_t length = HEADER_BYTES + done * sizeof(int32_t);
    struct linux_cmsghdr header = { .length_bytes = length, .level = LINUX_SOL_SOCKET, .type = LINUX_SCM_RIGHTS };
    if (user_store(address + used, &header))
        return -EFAULT;
    return (long)minimum(used + LINUX_CMSG_ALIGN(length), room_bytes);
}

long control_answer(struct control_block *control, uint64_t address, uint64_t room_bytes, bool close_on_exec, bool *truncated)
{
    uint64_t used = minimum((uint64_t)control->length_bytes, room_bytes);
    if (control->length_bytes > room_bytes)
        *truncated = true;
    if (used && user_copy_out(address, control->bytes, (size_t)used))
        return -EFAULT;
    if (control->has_identity) {
        struct linux_ucred identity = { control->identity.pid, control->identity.uid, control->identity.gid };
        long length = put_message(address, room_bytes, used, LINUX_SOL_SOCKET, LINUX_SCM_CREDENTIALS, &identity, sizeof(identity), truncated);
        if (length < 0)
            return length;
        used = (uint64_t)length;
    }
    return control->file_count ? put_files(control, address, room_bytes, used, close_on_exec, truncated) : (long)used;
}
