/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One argument of a system call as text, by the kind that syscalls.def gives it.
 */
#pragma once

#include "kernel/linux/strace_text.h"

/*
 * Prints arguments[index]; some kinds look at their neighbours (a buffer at its length). `kind` is kind_bytes long and
 * may begin with '>' (filled by the call: read only when result ≥ 0). An unknown kind is printed in hexadecimal.
 */
void strace_argument(struct strace_text *text, const char *kind, size_t kind_bytes, const uint64_t *arguments, unsigned int index, long result);
/* Whether the word is one of ours ('>' before it does not matter): for tests of syscalls.def. */
bool strace_kind_known(const char *kind, size_t kind_bytes);
/* The call's answer: a number, or the error's name. */
void strace_result(struct strace_text *text, long result);
