/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hash of byte strings: eight bytes at a time, each folded in by a 64 x 64 -> 128 bit multiplication whose halves are
 * xored; the length goes in at the end, so that strings that differ only in trailing zeros differ.
 */
#include "kernel/base/hash.h"

#include <string.h>

static uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(const void *bytes, size_t length_bytes, uint64_t seed)
{
    const unsigned char *cursor = bytes;
    size_t left = length_bytes;
    uint64_t state = seed ^ 0x9e3779b97f4a7c15ull;

    while (left >= 8) {
        uint64_t word;
        __builtin_memcpy(&word, cursor, 8);
        state = hash_fold(state ^ word, 0xd6e8feb86659fd93ull);
        cursor += 8;
        left -= 8;
    }

    uint64_t tail = 0;
    if (left > 0)
        memcpy(&tail, cursor, left);
    state = hash_fold(state ^ tail, 0xa0761d6478bd642full);
    return hash_integer(state ^ length_bytes);
}
