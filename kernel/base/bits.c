/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Searches in bitmaps of 64-bit words, a word at a time. Bits past `count` in the last word are never answered,
 * whatever they hold.
 */
#include "kernel/base/bits.h"

static size_t bitmap_find(const uint64_t *map, size_t count, size_t from, uint64_t invert)
{
    if (from >= count)
        return count;

    size_t word = from / 64;
    uint64_t bits = (map[word] ^ invert) & (~0ull << (from % 64));

    while (bits == 0) {
        word++;
        if (word * 64 >= count)
            return count;
        bits = map[word] ^ invert;
    }
    return minimum(word * 64 + bits_lowest(bits), count);
}

size_t bitmap_find_clear(const uint64_t *map, size_t count, size_t from)
{
    return bitmap_find(map, count, from, ~0ull);
}

size_t bitmap_find_set(const uint64_t *map, size_t count, size_t from)
{
    return bitmap_find(map, count, from, 0);
}
