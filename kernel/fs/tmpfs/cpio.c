/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading cpio archives out of memory: header (110 bytes of hexadecimal text), name, data, each padded to 4 bytes. A name
 * may be shorter than its length says, as Linux takes it, too: so the data behind it can begin with a page. The archive is foreign: every length is checked against what is left before it is used.
 */
#include "kernel/fs/tmpfs/cpio.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"

#define HEADER_BYTES 110u
#define NAME_LIMIT 4096u
#define TRAILER "TRAILER!!!"

/* Places of the 8-digit fields. */
enum { FIELD_INODE, FIELD_MODE, FIELD_UID, FIELD_GID, FIELD_LINKS, FIELD_MODIFY_TIME, FIELD_SIZE, FIELD_DEVICE_MAJOR,
       FIELD_DEVICE_MINOR, FIELD_NUMBER_MAJOR, FIELD_NUMBER_MINOR, FIELD_NAME_BYTES, FIELD_CHECKSUM, FIELD_COUNT };

static int refuse(size_t offset, const char *why)
{
    log_error("initramfs: at byte %zu: %s", offset, why);
    return -EINVAL;
}

/*
 * A field, its eight digits at a time, one in each byte of a word: no byte of the sums carries into the next. A digit's value, written in lower case
 * again, must give its text. False: it is not hexadecimal.
 */
static inline bool read_field(const char *text, uint32_t *value)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t word;

    __builtin_memcpy(&word, text, sizeof(word));
    uint64_t letters = word >> 6 & ones;
    uint64_t digits = (word & ones * 0xf) + letters * 9;
    uint64_t large = (digits + ones * 6) >> 4 & ones; /* of ten and more */
    if ((word | letters << 5) != digits + ones * '0' + letters * ('a' - '0' - 10) || large != letters || (digits & ones * 0x10) != 0)
        return false;
    digits = __builtin_bswap64(digits);
    digits = (digits | digits >> 4) & 0x00ff00ff00ff00ff;
    digits = (digits | digits >> 8) & 0x0000ffff0000ffff;
    *value = (uint32_t)(digits | digits >> 16);
    return true;
}

static bool read_fields(const char *header, uint32_t *fields)
{
    for (unsigned int i = 0; i < FIELD_COUNT; i++)
        if (!read_field(header + 6 + i * 8, &fields[i]))
            return false;
    return true;
}

static uint64_t device_number(uint32_t major, uint32_t minor)
{
    return ((uint64_t)(major & 0xfff) << 8) | (minor & 0xff) | ((uint64_t)(minor & ~0xffu) << 12);
}

static bool checksum_right(const struct cpio_member *member, uint32_t checksum)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < member->size_bytes; i++)
        sum += member->data[i];
    return sum == checksum;
}

/* The member at *offset, which moves behind it. 0 or -EINVAL. */
static int read_member(const char *archive, size_t size_bytes, size_t *offset, struct cpio_member *member)
{
    size_t start = *offset, left = size_bytes - start;
    uint32_t fields[FIELD_COUNT];

    if (left < HEADER_BYTES)
        return refuse(start, "the archive ends within a header");
    if (memcmp(archive + start, "07070", 5) != 0 || (archive[start + 5] != '1' && archive[start + 5] != '2'))
        return refuse(start, (uint8_t)archive[start] == 0x1f ? "it is compressed (gzip): give it uncompressed"
                                                             : "no cpio header of the newc format (compressed?)");
    if (!read_fields(archive + start, fields))
        return refuse(start, "a header field is not hexadecimal");
    left -= HEADER_BYTES;

    size_t name_bytes = fields[FIELD_NAME_BYTES];
    if (name_bytes < 1 || name_bytes > NAME_LIMIT || name_bytes > left)
        return refuse(start, "the length of a name is impossible");
    member->name = archive + start + HEADER_BYTES;
    if (member->name[name_bytes - 1] != 0)
        return refuse(start, "a name is not terminated");

    size_t data = round_up(start + HEADER_BYTES + name_bytes, 4u);
    if (data > size_bytes || fields[FIELD_SIZE] > size_bytes - data)
        return refuse(start, "a file is longer than the archive");
    member->data = (const uint8_t *)archive + data;
    member->size_bytes = fields[FIELD_SIZE];
    member->mode = fields[FIELD_MODE] & 0177777;
    member->uid = fields[FIELD_UID];
    member->gid = fields[FIELD_GID];
    member->links = fields[FIELD_LINKS];
    member->modify_time_seconds = fields[FIELD_MODIFY_TIME];
    member->inode_number = fields[FIELD_INODE];
    member->device = device_number(fields[FIELD_DEVICE_MAJOR], fields[FIELD_DEVICE_MINOR]);
    member->device_number = device_number(fields[FIELD_NUMBER_MAJOR], fields[FIELD_NUMBER_MINOR]);
    if (archive[start + 5] == '2' && !checksum_right(member, fields[FIELD_CHECKSUM]))
        return refuse(start, "the checksum of a file is wrong");
    *offset = minimum(round_up(data + member->size_bytes, 4u), size_bytes);
    return 0;
}

int cpio_read(const void *archive, size_t size_bytes, int (*visit)(void *context, const struct cpio_member *member), void *context)
{
    const char *bytes = archive;
    struct cpio_member member;
    bool inside = true;
    size_t offset = 0;

    while (offset < size_bytes) {
        if (!inside && bytes[offset] == 0) { /* padding between archives */
            offset++;
            continue;
        }
        int error = read_member(bytes, size_bytes, &offset, &member);
        if (error)
            return error;
        inside = strcmp(member.name, TRAILER) != 0;
        if (!inside)
            continue;
        error = visit(context, &member);
        if (error)
            return error;
    }
    return inside ? refuse(size_bytes, "the archive ends without its trailer") : 0;
}
