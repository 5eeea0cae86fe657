/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hash functions: mixing of integers and of byte strings, for tables inside the kernel (not against chosen keys unless
 * the seed is random).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_integer(uint64_t key)
{
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdull;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53ull;
    return key ^ (key >> 33);
}

uint64_t hash_bytes(const void *bytes, size_t length_bytes, uint64_t seed);
