/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What cpio cannot be told: the data of each file of a page or more shall begin with a page of the archive. The guest's kernel makes such pages
 * the file's own then, without a copy, and the root is in its memory once, not twice, while it is unpacked. Linux pads so, too: a name's
 * length (Documentation/driver-api/early-userspace/buffer-format) counts the NUL bytes behind it. Where that would make it longer than a path may be, by a
 * few bytes, the file stays where it comes to lie, and is copied.
 *
 * A file's number of links becomes that in the archive: in the tree it has more, in the cache.
 */
#include "tools/image/archive.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/base/text.h"

#define PAGE_BYTES 4096u
#define ALIGNMENT 4u
#define BLOCK_BYTES 512u /* cpio's own end */
#define HEADER_BYTES 110u
#define FIELD_BYTES 8u
#define TRAILER "TRAILER!!!"

/* Offsets of a header's fields, eight hexadecimal digits each. */
enum { FIELD_INODE = 6, FIELD_MODE = 14, FIELD_LINKS = 38, FIELD_SIZE = 54, FIELD_NAME_BYTES = 94 };

struct member {
    char header[HEADER_BYTES];
    const char *name, *data;
    uint32_t inode, mode, name_bytes, size_bytes;
};

static uint32_t field_get(const char *header, size_t at)
{
    char digits[FIELD_BYTES + 1] = {0};

    memcpy(digits, header + at, FIELD_BYTES);
    return (uint32_t)strtoul(digits, NULL, 16);
}

static void field_set(char *header, size_t at, uint32_t value)
{
    char digits[FIELD_BYTES + 1];

    snprintf(digits, sizeof(digits), "%08X", value);
    memcpy(header + at, digits, FIELD_BYTES);
}

static size_t aligned(size_t offset, size_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

/* The member at *at, which moves behind it; false: there is none that is whole. */
static bool member_read(const struct text *archive, size_t *at, struct member *member)
{
    if (archive->length < HEADER_BYTES || *at > archive->length - HEADER_BYTES)
        return false;
    memcpy(member->header, archive->bytes + *at, HEADER_BYTES);
    member->inode = field_get(member->header, FIELD_INODE);
    member->mode = field_get(member->header, FIELD_MODE);
    member->size_bytes = field_get(member->header, FIELD_SIZE);
    member->name_bytes = field_get(member->header, FIELD_NAME_BYTES);
    size_t name = *at + HEADER_BYTES, data = aligned(name + member->name_bytes, ALIGNMENT);
    if (member->name_bytes == 0 || data + member->size_bytes > archive->length)
        return false;
    member->name = archive->bytes + name;
    member->data = archive->bytes + data;
    *at = aligned(data + member->size_bytes, ALIGNMENT);
    return true;
}

static bool is_trailer(const struct member *member)
{
    return member->name_bytes == sizeof(TRAILER) && memcmp(member->name, TRAILER, sizeof(TRAILER)) == 0;
}

/* How often each inode is there, by its number: cpio gives them from 0 up, to each member one at most. NULL: the archive is not whole. */
static uint32_t *links_count(const struct text *archive)
{
    size_t limit = archive->length / HEADER_BYTES + 1, at = 0;
    uint32_t *links = calloc(limit, sizeof(*links));
    struct member member;

    for (bool more = true; links != NULL && more; more = !is_trailer(&member)) {
        if (!member_read(archive, &at, &member) || member.inode >= limit) {
            free(links);
            return NULL;
        }
        links[member.inode]++;
    }
    return links;
}

static void zeroes_write(FILE *out, size_t count, size_t *written)
{
    for (; count > 0; count--, ++*written)
        putc(0, out);
}

static void bytes_write(FILE *out, const char *bytes, size_t count, size_t *written)
{
    *written += fwrite(bytes, 1, count, out);
}

static void member_write(FILE *out, struct member *member, uint32_t links, size_t *written)
{
    uint32_t name_bytes = member->name_bytes;

    if (member->size_bytes >= PAGE_BYTES) {
        size_t name_end = *written + HEADER_BYTES + name_bytes;
        name_bytes += (uint32_t)(aligned(name_end, PAGE_BYTES) - name_end);
        if (name_bytes > PATH_MAX)
            name_bytes = member->name_bytes;
    }
    field_set(member->header, FIELD_NAME_BYTES, name_bytes);
    if (S_ISREG(member->mode))
        field_set(member->header, FIELD_LINKS, links);
    bytes_write(out, member->header, HEADER_BYTES, written);
    bytes_write(out, member->name, member->name_bytes, written);
    zeroes_write(out, name_bytes - member->name_bytes, written);
    zeroes_write(out, aligned(*written, ALIGNMENT) - *written, written);
    bytes_write(out, member->data, member->size_bytes, written);
    zeroes_write(out, aligned(*written, ALIGNMENT) - *written, written);
}

static int members_write(const struct text *archive, const uint32_t *links, const char *path)
{
    size_t at = 0, written = 0;
    struct member member;
    FILE *out = fopen(path, "we");

    if (out == NULL)
        return -errno;
    do {
        member_read(archive, &at, &member);
        member_write(out, &member, links[member.inode], &written);
    } while (!is_trailer(&member));
    zeroes_write(out, aligned(written, BLOCK_BYTES) - written, &written);
    int error = ferror(out) ? -EIO : 0;
    return fclose(out) == 0 ? error : -errno;
}

int archive_align(const char *path)
{
    struct text archive = {0};

    int error = file_read(path, &archive);
    if (error < 0)
        return report_error(error, "%s", path);
    uint32_t *links = links_count(&archive);
    if (links == NULL)
        error = report_error(-EINVAL, "%s is not the archive that cpio should have written", path);
    else if ((error = members_write(&archive, links, path)) < 0)
        report_error(error, "cannot write %s", path);
    free(links);
    text_free(&archive);
    return error;
}
