/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Printing into a strace line. Pure: no locks, nothing of the program is touched, so the host's unit tests run it as it
 * is. The tables of words are in strace_flags.c and strace_values.c.
 */
#include "kernel/linux/strace_text.h"

#include "kernel/base/format.h"

void strace_print(struct strace_text *text, const char *format, ...)
{
    if (text->length + 1 >= text->size_bytes)
        return;
    va_list list;
    va_start(list, format);
    size_t room = text->size_bytes - text->length;
    int length = format_string_list(text->buffer + text->length, room, format, list);
    va_end(list);
    if (length > 0)
        text->length += minimum((size_t)length, room - 1);
}

void strace_quote(struct strace_text *text, const uint8_t *bytes, size_t length_bytes, bool more)
{
    strace_print(text, "\"");
    for (size_t i = 0; i < length_bytes; i++) {
        uint8_t byte = bytes[i];
        if (byte == '\n')
            strace_print(text, "\\n");
        else if (byte == '\t')
            strace_print(text, "\\t");
        else if (byte == '\r')
            strace_print(text, "\\r");
        else if (byte == '"' || byte == '\\')
            strace_print(text, "\\%c", byte);
        else if (byte >= 0x20 && byte < 0x7f)
            strace_print(text, "%c", byte);
        else if (i + 1 < length_bytes && bytes[i + 1] >= '0' && bytes[i + 1] <= '7')
            strace_print(text, "\\%03o", byte);
        else
            strace_print(text, "\\%o", byte);
    }
    strace_print(text, more ? "\"..." : "\"");
}

void strace_words(struct strace_text *text, const struct strace_word *words, uint64_t value)
{
    const char *separator = "";
    uint64_t rest = value;
    for (; words->name; words++) {
        if ((value & words->mask) != words->bits || (rest & words->mask) != words->bits)
            continue;
        strace_print(text, "%s%s", separator, words->name);
        separator = "|";
        rest &= ~words->mask;
    }
    if (rest != 0)
        strace_print(text, "%s0x%llx", separator, (unsigned long long)rest);
    else if (*separator == '\0')
        strace_print(text, "0");
}
