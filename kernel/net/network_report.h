/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of /proc/net and /proc/sys/net: what programs read about interfaces, sockets, counters and limits, in Linux's layout. The roof makes
 * files of them.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Where a report goes. Called with locks held: must not sleep. */
struct network_report_sink {
    void (*emit)(struct network_report_sink *sink, const char *text, size_t length_bytes);
};

struct network_report {
    const char *path;                                  /* in /proc: "net/tcp6" */
    void (*print)(struct network_report_sink *sink);   /* thread context, no locks held */
    const char *text;                                  /* instead of print: what never changes */
};

extern const struct network_report network_reports[];
extern const size_t network_report_count;
