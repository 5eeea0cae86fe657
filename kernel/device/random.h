/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random numbers: a ChaCha20 generator with fast key erasure (each request's first 32 output bytes become the next key, so that what
 * was handed out cannot be computed back), keyed from a pool into which all sources are hashed: rdseed and rdrand where the
 * processor has them, the jitter of the time-stamp counter, times of events, and what the host left in xenstore.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Once, at boot, single-threaded: gathers from the processor. */
void random_init(void);

/*
 * Fills the buffer. Any context; never fails, never sleeps: before random_ready() the bytes are as good as the sources seen so far
 * (getrandom() without GRND_INSECURE waits for random_ready()).
 */
void random_bytes(void *buffer, size_t length_bytes);
uint64_t random_u64(void);
/* Evenly spread over 0 .. limit - 1; limit > 0. */
uint64_t random_below(uint64_t limit);

/* Stirs bytes into the pool, credited with at most `entropy_bits`. Any context. */
void random_add_entropy(const void *bytes, size_t length_bytes, unsigned int entropy_bits);
/* For event handlers: stirs in the moment and `source`; a few instructions, credited cautiously. */
void random_add_event(uint32_t source);

/* 256 bits have been credited. */
bool random_ready(void);
/* Sleeps until random_ready() or the deadline: 0, -ETIMEDOUT or -EINTR. */
int random_wait(uint64_t deadline_ns, bool interruptible);
/* Bits credited so far, at most 256: for /proc/sys/kernel/random/entropy_avail. */
unsigned int random_entropy_bits(void);
