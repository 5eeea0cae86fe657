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
/* The numbers of the bits set, as Linux lists CPUs and nodes, and a newline: "0-3,5", "0", "". */
void text_print_list(struct text_buffer *text, uint64_t mask);
