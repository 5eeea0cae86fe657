/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bit arithmetic and bitmaps of 64-bit words. Plain accesses: the caller holds the lock.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Index of the lowest / highest set bit; `word` must not be 0. */
static inline unsigned int bits_lowest(uint64_t word)
{
    return (unsigned int)__builtin_ctzll(word);
}

static inline unsigned int bits_highest(uint64_t word)
{
    return 63u - (unsigned int)__builtin_clzll(word);
}

static inline unsigned int bits_count(uint64_t word)
{
    unsigned int count = 0;

    for (; word != 0; word &= word - 1) /* no popcnt: the kernel runs on any x86-64 */
        count++;
    return count;
}

static inline bool bits_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

#define BITMAP_WORDS(count) (((count) + 63) / 64)

static inline bool bitmap_test(const uint64_t *map, size_t index)
{
    return (map[index / 64] >> (index % 64)) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t index)
{
    map[index / 64] |= 1ull << (index % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t index)
{
    map[index / 64] &= ~(1ull << (index % 64));
}

/* First clear / set bit at or after `from`; `count` where there is none. */
size_t bitmap_find_clear(const uint64_t *map, size_t count, size_t from);
size_t bitmap_find_set(const uint64_t *map, size_t count, size_t from);
