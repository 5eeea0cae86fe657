/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel word `strace`: one decoded line in the log for each system call of every program: time, thread, call, result.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Read at each call; set before the first program starts, or any time later. */
extern bool strace_enabled;

struct strace_line;

/* Decodes what goes in, up to the first argument that the call fills. NULL: out of memory, nothing is printed. */
struct strace_line *strace_begin(const char *name, uint32_t number, const char *kinds, const uint64_t *arguments);
/* Decodes the rest and prints the line. Calls that do not return (exit) were printed by strace_begin. */
void strace_end(struct strace_line *line, const uint64_t *arguments, long result);
