/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See text_buffer.h. Room doubles, so that a long text costs few moves.
 */
#include "kernel/fs/procfs/text_buffer.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"

#define TEXT_FIRST_BYTES 512

void text_buffer_init(struct text_buffer *text)
{
    memset(text, 0, sizeof(*text));
}

void text_buffer_destroy(struct text_buffer *text)
{
    memory_free(text->bytes);
    text_buffer_init(text);
}

static bool text_reserve(struct text_buffer *text, size_t more_bytes)
{
    size_t room_bytes = text->room_bytes ? text->room_bytes : TEXT_FIRST_BYTES;

    if (text->failed)
        return false;
    while (room_bytes - text->length_bytes < more_bytes)
        room_bytes *= 2;
    if (room_bytes == text->room_bytes)
        return true;

    char *bytes = memory_reallocate(text->bytes, room_bytes);

    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->room_bytes = room_bytes;
    return true;
}

void text_print(struct text_buffer *text, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int length = format_string_list(NULL, 0, format, list);
    va_end(list);
    if (!text_reserve(text, (size_t)length + 1))
        return;
    va_start(list, format);
    format_string_list(text->bytes + text->length_bytes, (size_t)length + 1, format, list);
    va_end(list);
    text->length_bytes += (size_t)length;
}

void text_append(struct text_buffer *text, const void *bytes, size_t length_bytes)
{
    if (!text_reserve(text, length_bytes))
        return;
    memcpy(text->bytes + text->length_bytes, bytes, length_bytes);
    text->length_bytes += length_bytes;
}

void text_print_list(struct text_buffer *text, uint64_t mask)
{
    const char *between = "";

    for (unsigned int first = 0; first < 64; first++) {
        unsigned int last = first;

        if (!((mask >> first) & 1))
            continue;
        while (last < 63 && ((mask >> (last + 1)) & 1))
            last++;
        text_print(text, last > first ? "%s%u-%u" : "%s%u", between, first, last);
        between = ",";
        first = last;
    }
    text_print(text, "\n");
}
