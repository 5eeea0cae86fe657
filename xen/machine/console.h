/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: Xen's shared ring once connected, CONSOLEIO_write before it and in panics where the ring is full.
 * Input is handed, as it arrives, to the registered receiver (kernel/vfs's terminal), in event context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Writes what fits at once without waiting; returns how many bytes were taken. Any context. */
size_t console_write_some(const char *bytes, size_t length_bytes);
/* Writes everything, waiting for the backend by polling: for log lines and panics; gives up on a dead backend after a second. */
void console_write_all(const char *bytes, size_t length_bytes);
/* Called in event context when the ring may have room again. */
void console_set_room_handler(void (*handler)(void));
void console_set_receiver(void (*receiver)(const char *bytes, size_t length_bytes));
/* Whether the last byte written ended a line. */
bool console_at_line_start(void);
