/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of the system calls as a whole: names, how often each was made, and which were asked for in vain.
 */
#pragma once

#include "kernel/base/compiler.h"

/* NULL: no such number. */
const char *system_call_name(uint32_t number);
/* The argument kinds of syscalls.def; "" for none. */
const char *system_call_kinds(uint32_t number);
uint64_t system_call_count(uint32_t number);

/* For /proc/xenolith: "number name count" a line. Length of the whole text; at most size_bytes are written. */
size_t system_calls_text(char *buffer, size_t size_bytes);
/* Calls answered ENOSYS because nobody wrote them, or refused: "number name count errno" a line. */
size_t system_calls_unknown_text(char *buffer, size_t size_bytes);
