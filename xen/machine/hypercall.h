/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls. Every one goes through one gate (hypercall_gate, a few bytes in a section of its own, so that the
 * system-call entry can tell a hypercall made in guest-user mode by its rip); boot points the gate at syscall, vmcall
 * or vmmcall. Numbers and structs come from Xen's public headers.
 *
 * The queue gathers hypercalls whose results matter only collectively (page-table updates, flushes, event sends) and
 * sends them as one multicall; it is per CPU, and is used with events masked or under a spinlock.
 */
#pragma once

#include <stdint.h>

long hypercall_0(unsigned int number);
long hypercall_1(unsigned int number, uint64_t a);
long hypercall_2(unsigned int number, uint64_t a, uint64_t b);
long hypercall_3(unsigned int number, uint64_t a, uint64_t b, uint64_t c);
long hypercall_4(unsigned int number, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
long hypercall_5(unsigned int number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);

/* Appends; flushes by itself when the queue is full. */
void hypercall_queue(unsigned int number, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* Sends what is queued; 0, or the first negative result of any entry (all entries were tried). */
int hypercall_queue_flush(void);

/* How many hypercalls were made on all CPUs, by number (0..63): for benches and /proc/xenolith/hypercalls. */
void hypercall_counts(uint64_t counts[64]);
