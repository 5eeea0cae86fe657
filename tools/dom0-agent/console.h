/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's console as raw bytes (console.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <xenforeignmemory.h>

#include "tools/base/text.h"
#include "tools/dom0-agent/domain.h"

/* A guest's console: the pty that xenconsoled keeps, and the shared ring behind it. */
struct console {
    int tty_fd;
    int log_fd; /* copy of the output, or -1 */
    struct text log; /* what is not in the log yet */
    bool echo; /* to our stdout too */
    bool held_cr; /* a carriage return that may belong to a line end */
    xenforeignmemory_handle *foreign_memory;
    void *ring; /* struct xencons_interface, read only, or NULL */
};

int console_open(struct console *console, const struct domain *domain, const char *log_path, bool echo);
int console_take(struct console *console);
void console_give(const struct console *console, const void *bytes, size_t length);
void console_log_flush(struct console *console);
void console_drain(struct console *console);
void console_close(struct console *console);
