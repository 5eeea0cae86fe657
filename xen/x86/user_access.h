/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only way to the program's memory. A range is checked to lie in user space, and a fault that the pager cannot
 * satisfy becomes -EFAULT through the exception table. They may sleep (a fault may read the disk): never under a
 * spinlock, never in event context.
 */
#pragma once

#include "kernel/base/compiler.h"

/* 0 or -EFAULT; on -EFAULT a part may have been copied. */
int user_copy_in(void *kernel, uint64_t user, size_t length_bytes) attribute_must_check;
int user_copy_out(uint64_t user, const void *kernel, size_t length_bytes) attribute_must_check;
/* As above, but return how many bytes were copied before the fault: for read() and write(), which then answer short. */
size_t user_copy_in_partial(void *kernel, uint64_t user, size_t length_bytes);
size_t user_copy_out_partial(uint64_t user, const void *kernel, size_t length_bytes);
int user_zero(uint64_t user, size_t length_bytes) attribute_must_check;
/* Copies a terminated string into kernel[size_bytes]; its length without the NUL, -EFAULT, or -ENAMETOOLONG. */
long user_copy_string(char *kernel, uint64_t user, size_t size_bytes) attribute_must_check;

/* Single words, at once; the exchange's address is 4-byte aligned. */
int user_load_u32(uint64_t user, uint32_t *value) attribute_must_check;
int user_load_u64(uint64_t user, uint64_t *value) attribute_must_check;
int user_compare_exchange_u32(uint64_t user, uint32_t expected, uint32_t desired, uint32_t *seen) attribute_must_check;

static inline bool user_range_valid(uint64_t user, size_t length_bytes)
{
    return user <= 0x7ffffffff000ull && length_bytes <= 0x7ffffffff000ull - user;
}

#define user_load(value, user) user_copy_in((value), (user), sizeof(*(value)))
#define user_store(user, value) user_copy_out((user), (value), sizeof(*(value)))
