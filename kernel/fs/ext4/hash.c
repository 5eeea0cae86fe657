/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The three hashes of directory names: ext3's first one, half of MD4 (mke2fs's default), and the tiny encryption
 * algorithm. Each takes the name's characters as signed or unsigned, as the machine that made the file system did.
 * Sources: MD4 is RFC 1320 (three rounds of eight steps here), TEA is Wheeler and Needham, 1994.
 */
#include "kernel/fs/ext4/ext4.h"

#include <string.h>

static uint32_t rotate_left(uint32_t value, unsigned int count)
{
    return value << count | value >> (32 - count);
}

static int character(const char *name, size_t index, bool unsigned_characters)
{
    return unsigned_characters ? (int)(unsigned char)name[index] : (int)(signed char)name[index];
}

/* Packs up to words * 4 characters into words, big end first; what is missing is filled with the length. */
static void pack_name(const char *name, size_t length, bool unsigned_characters, uint32_t *packed, size_t words)
{
    uint32_t fill = (uint32_t)length | (uint32_t)length << 8;

    fill |= fill << 16;
    for (size_t word = 0; word < words; word++) {
        uint32_t value = fill;

        for (size_t i = word * 4; i < word * 4 + 4 && i < length; i++)
            value = (uint32_t)character(name, i, unsigned_characters) + (value << 8);
        packed[word] = value;
    }
}

static uint32_t md4_choose(uint32_t x, uint32_t y, uint32_t z)
{
    return z ^ (x & (y ^ z));
}

static uint32_t md4_majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) + ((x ^ y) & z);
}

static uint32_t md4_parity(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

static void half_md4_block(uint32_t state[4], const uint32_t in[8])
{
    static const struct {
        uint32_t (*mix)(uint32_t x, uint32_t y, uint32_t z);
        uint32_t constant;
        uint8_t order[8];
        uint8_t shifts[4];
    } rounds[3] = {
        { md4_choose, 0, { 0, 1, 2, 3, 4, 5, 6, 7 }, { 3, 7, 11, 19 } },
        { md4_majority, 0x5a827999, { 1, 3, 5, 7, 0, 2, 4, 6 }, { 3, 5, 9, 13 } },
        { md4_parity, 0x6ed9eba1, { 3, 7, 2, 6, 1, 5, 0, 4 }, { 3, 9, 11, 15 } },
    };
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];

    for (unsigned int round = 0; round < 3; round++)
        for (unsigned int step = 0; step < 8; step++) {
            uint32_t sum = a + rounds[round].mix(b, c, d) + in[rounds[round].order[step]] + rounds[round].constant;

            a = d;
            d = c;
            c = b;
            b = rotate_left(sum, rounds[round].shifts[step % 4]);
        }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void tea_block(uint32_t state[4], const uint32_t in[4])
{
    uint32_t sum = 0, first = state[0], second = state[1];

    for (unsigned int round = 0; round < 16; round++) {
        sum += 0x9e3779b9;
        first += ((second << 4) + in[0]) ^ (second + sum) ^ ((second >> 5) + in[1]);
        second += ((first << 4) + in[2]) ^ (first + sum) ^ ((first >> 5) + in[3]);
    }
    state[0] += first;
    state[1] += second;
}

static uint32_t legacy_hash(const char *name, size_t length, bool unsigned_characters)
{
    uint32_t newest = 0x12a3fe2d, older = 0x37abe8f9;

    for (size_t i = 0; i < length; i++) {
        uint32_t hash = older + (newest ^ (uint32_t)(character(name, i, unsigned_characters) * 7152373));

        if (hash & 0x80000000)
            hash -= 0x7fffffff;
        older = newest;
        newest = hash;
    }
    return newest << 1;
}

bool ext4_hash_name(unsigned int version, bool unsigned_characters, const uint32_t seed[4], const char *name,
                    size_t length, uint32_t *hash)
{
    uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
    uint32_t packed[8];

    if (seed[0] || seed[1] || seed[2] || seed[3])
        memcpy(state, seed, sizeof(state));
    switch (version) {
    case EXT4_HASH_LEGACY:
        *hash = legacy_hash(name, length, unsigned_characters);
        break;
    case EXT4_HASH_HALF_MD4:
        for (size_t at = 0; at < length; at += 32) {
            pack_name(name + at, length - at, unsigned_characters, packed, 8);
            half_md4_block(state, packed);
        }
        *hash = state[1];
        break;
    case EXT4_HASH_TEA:
        for (size_t at = 0; at < length; at += 16) {
            pack_name(name + at, length - at, unsigned_characters, packed, 4);
            tea_block(state, packed);
        }
        *hash = state[0];
        break;
    default:
        return false;
    }
    *hash &= ~1u;
    if (*hash == 0xfffffffe) /* kept free as the end of the directory */
        *hash = 0xfffffffc;
    return true;
}
