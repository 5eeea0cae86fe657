/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's view of the compiler and of the kernel below it: formats, random numbers, assertions, memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_CTYPE_H 1
#ifdef XENOLITH_HOST /* the host has an ssize_t of its own */
#define LWIP_NO_UNISTD_H 0
#else
#define LWIP_NO_UNISTD_H 1
#endif
#define X8_F "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"

#ifndef BYTE_ORDER
#define BYTE_ORDER LITTLE_ENDIAN
#endif

void panic(const char *format, ...) __attribute__((__format__(__printf__, 1, 2), noreturn));
uint64_t random_u64(void);
void *memory_allocate(size_t size_bytes);
void *memory_allocate_zeroed(size_t size_bytes);
void memory_free(void *memory);
void network_assert_locked(void);
/* The Internet checksum, not inverted, of bytes at any address. */
uint16_t network_checksum(const void *bytes, int length_bytes);

static inline void *lwip_allocate_zeroed(size_t count, size_t size_bytes)
{
    return memory_allocate_zeroed(count * size_bytes);
}

#define LWIP_RAND() ((uint32_t)random_u64())
#define LWIP_PLATFORM_DIAG(message) ((void)0)
#define LWIP_PLATFORM_ASSERT(message) panic("lwIP: %s (%s:%d)", (message), __FILE__, __LINE__)
