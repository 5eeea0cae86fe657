/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tool tells its user: errors, notes, and progress when something takes longer than a second (report.c). */
#pragma once

#include <stdbool.h>

/* Exit status of the tool when the tool itself, not the program it runs, failed. */
#define EXIT_TOOL 125
#define EXIT_TIMED_OUT 124

void report_name_set(const char *name);
int report_error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_progress_start(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_progress_end(void);
void report_after_fork(void);
double report_seconds_now(void);
