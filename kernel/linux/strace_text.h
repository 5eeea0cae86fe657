/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of one strace line, and words for numbers: exact values (enumerations) and sets of bits.
 */
#pragma once

#include "kernel/base/compiler.h"

/* One thread's. A text that is full stays full and terminated. */
struct strace_text {
    char *buffer;
    size_t size_bytes, length;
};

void strace_print(struct strace_text *text, const char *format, ...) attribute_printf(2, 3);
/* Bytes of the kernel's as a quoted string with C escapes; `more` adds "...". */
void strace_quote(struct strace_text *text, const uint8_t *bytes, size_t length_bytes, bool more);

/* A word for a value under a mask: value & mask == bits. Tables end with a NULL name. */
struct strace_word {
    uint64_t mask, bits;
    const char *name;
};

/* The words that fit, joined by '|', and the rest in hexadecimal; "0" for nothing. */
void strace_words(struct strace_text *text, const struct strace_word *words, uint64_t value);

extern const struct strace_word strace_open_words[], strace_protection_words[], strace_map_words[], strace_at_words[],
    strace_message_words[], strace_socket_type_words[], strace_clone_words[], strace_mremap_words[], strace_msync_words[],
    strace_wait_words[], strace_access_words[], strace_getrandom_words[], strace_poll_words[], strace_epoll_words[],
    strace_signal_action_words[], strace_flock_words[];
extern const struct strace_word strace_whence_words[], strace_clock_words[], strace_family_words[], strace_fcntl_words[],
    strace_futex_words[], strace_madvise_words[], strace_fadvise_words[], strace_resource_words[], strace_prctl_words[],
    strace_arch_prctl_words[], strace_itimer_words[], strace_shutdown_words[], strace_ipc_words[], strace_socket_level_words[],
    strace_sigmask_words[], strace_epoll_control_words[], strace_ioctl_words[], strace_signal_words[], strace_error_words[];
