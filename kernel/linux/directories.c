/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getdents and getdents64: entries are laid out in a kernel buffer, as the directory is locked while it is read, and copied
 * out at the end.
 */
#include "kernel/vfs/directory.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "xen/x86/user_access.h"

#define BUFFER_MOST_BYTES 32768u

struct listing {
    uint8_t *buffer;
    size_t room_bytes, used_bytes;
    bool old;       /* getdents: another layout */
    bool too_small; /* the first entry did not fit */
};

static unsigned int type_of(unsigned int mode_type)
{
    return (mode_type >> 12) & 15;
}

static bool listing_emit(void *context, const char *name, size_t length, uint64_t inode_number, unsigned int mode_type, uint64_t next_offset)
{
    struct listing *listing = context;
    size_t head = listing->old ? offsetof(struct linux_dirent, name) : offsetof(struct linux_dirent64, name);
    size_t bytes = round_up(head + length + (listing->old ? 2 : 1), 8);
    if (bytes > listing->room_bytes - listing->used_bytes) {
        listing->too_small = listing->used_bytes == 0;
        return false;
    }
    uint8_t *place = listing->buffer + listing->used_bytes;
    memset(place, 0, bytes);
    if (listing->old) {
        struct linux_dirent *entry = (struct linux_dirent *)place;
        *entry = (struct linux_dirent){ .inode = inode_number, .next_offset = next_offset, .record_bytes = (uint16_t)bytes };
        memcpy(entry->name, name, length);
        place[bytes - 1] = (uint8_t)type_of(mode_type);
    } else {
        struct linux_dirent64 *entry = (struct linux_dirent64 *)place;
        entry->inode = inode_number;
        entry->next_offset = (int64_t)next_offset;
        entry->record_bytes = (uint16_t)bytes;
        entry->type = (uint8_t)type_of(mode_type);
        memcpy(entry->name, name, length);
    }
    listing->used_bytes += bytes;
    return true;
}

static long entries_read(int fd, uint64_t address, uint32_t length_bytes, bool old)
{
    struct file *file;
    struct listing listing = { .room_bytes = minimum(length_bytes, BUFFER_MOST_BYTES), .old = old };
    long result = file_argument(fd, &file);
    if (result)
        return result;
    listing.buffer = memory_allocate(maximum(listing.room_bytes, (size_t)8));
    result = listing.buffer ? directory_read_entries(file, listing_emit, &listing) : -ENOMEM;
    if (listing.used_bytes > 0)
        result = user_copy_out(address, listing.buffer, listing.used_bytes) ? -EFAULT : (long)listing.used_bytes;
    else if (!result && listing.too_small)
        result = -EINVAL;
    memory_free(listing.buffer);
    file_release(file);
    return result;
}

long sys_getdents64(int fd, uint64_t buffer, uint32_t length_bytes)
{
    return entries_read(fd, buffer, length_bytes, false);
}

long sys_getdents(int fd, uint64_t buffer, uint32_t length_bytes)
{
    return entries_read(fd, buffer, length_bytes, true);
}
