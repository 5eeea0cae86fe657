/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's messages. A message is one line without its newline; it reaches the sink (the console, registered by
 * the roof) if its level is at or below the log level (kernel word loglevel=, as Linux numbers them), and is kept in
 * a ring of the last 16 KiB either way, which /dev/kmsg and crash reports read. May be called from any context.
 */
#pragma once

#include "kernel/base/compiler.h"

enum log_level { LOG_ANSWER = 0, LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

void log_write(enum log_level level, const char *format, ...) attribute_printf(2, 3);

/* What somebody has asked for: shown at any log level. */
#define log_answer(...) log_write(LOG_ANSWER, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* The sink gets whole lines with their newline; any context; must not log. */
void log_set_sink(void (*sink)(const char *line, size_t length_bytes));
void log_set_level(enum log_level level);
/* The clock the lines are stamped with; before it is set they are stamped 0. */
void log_set_clock(uint64_t (*now_ns)(void));
/* Copies the newest part of the ring, oldest byte first; returns its length. */
size_t log_copy(char *buffer, size_t size_bytes);
