/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071) for lwIP (lwipopts.h, LWIP_CHKSUM): eight bytes at a time.
 *
 * The one's-complement sum is the same for words of 16 and of 64 bits, folded; a sum begun at an odd address is the byte-swapped one.
 */
#include <stddef.h>
#include <stdint.h>

#include <arch/cc.h>

#include <string.h>

static uint64_t sum_add(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word);
}

uint16_t network_checksum(const void *bytes, int length_bytes)
{
    const uint8_t *at = bytes;
    size_t left = length_bytes > 0 ? (size_t)length_bytes : 0;
    uint64_t sum = 0, word;

    for (; left >= 32; left -= 32, at += 32) {
        uint64_t words[4];
        memcpy(words, at, sizeof(words));
        sum = sum_add(sum_add(sum, words[0]), words[1]);
        sum = sum_add(sum_add(sum, words[2]), words[3]);
    }
    for (; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, sizeof(word));
        sum = sum_add(sum, word);
    }
    word = 0;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (8 * i);
    sum = sum_add(sum, word);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
