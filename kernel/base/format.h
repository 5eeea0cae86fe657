/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatting into buffers: %d %i %u %x %X %o %c %s %p %% with width, precision, flags "-0+ #" and lengths hh h l ll z t j.
 * No floating point. Always terminates the buffer when size_bytes > 0; returns the length that would have been needed.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "kernel/base/compiler.h"

int format_string(char *buffer, size_t size_bytes, const char *format, ...) attribute_printf(3, 4);
int format_string_list(char *buffer, size_t size_bytes, const char *format, va_list list) attribute_printf(3, 0);

/* Strict decimal / any-base parse of the whole of `text` (length_bytes long, need not be terminated). 0, -EINVAL or -ERANGE. */
int parse_unsigned(const char *text, size_t length_bytes, unsigned int base, uint64_t *value);
