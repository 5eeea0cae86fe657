/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's command line: words, each `name` or `name=value`, and after `--` the first program and its arguments.
 * Double or single quotes keep spaces in a word; a backslash keeps the next character, except between single quotes.
 * Fixed once parsed. Names: see command_line.c.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Splits boot_info.command_line in place, and reports unknown words in one line. */
void command_line_parse(char *text);
/* The value of the last word of that name; "" for a word without `=`; NULL where it is not there. */
const char *command_line_value(const char *name);
/* For words that may come several times (env): the next value after *cursor, which starts at 0; NULL at the end. */
const char *command_line_next(const char *name, size_t *cursor);
/* The first program and its arguments, NULL-terminated; *count may be 0. */
char *const *command_line_arguments(size_t *count);
