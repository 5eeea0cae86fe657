/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that grows: what a /proc or /sys file says is printed into one of these when the file is read from its start.
 * Running out of memory is remembered and told once, by the reader.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Used by one thread. */
struct text_buffer {
    char *bytes;
    size_t length_bytes;
    size_t room_bytes;
    bool failed; /* out of memory: the text is cut */
};

void text_buffer_init(struct text_buffer *text);
void text_buffer_destroy(struct text_buffer *text);
void text_print(struct text_buffer *text, const char *format, ...) attribute_printf(2, 3);
void text_append(struct text_buffer *text, const void *bytes, size_t length_bytes);
/* CPU or node numbers 0..count-1 as Linux lists them: "0-3\n", "0\n". */
void text_print_range(struct text_buffer *text, unsigned int count);
