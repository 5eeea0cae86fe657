/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's memory, from the kernel. Ranges are checked here, faults are the exception table's: trap.c first asks the
 * pager, and only what that refuses comes back as a short count.
 */
#include "xen/x86/user_access.h"

#include "kernel/base/error.h"
#include "kernel/base/frame_number.h"
#include "kernel/base/panic.h"
#include "xen/machine/cpu.h"
#include "xen/x86/exception_table.h"

#define STRING_CHUNK_BYTES 64u

size_t user_copy_bytes(void *to, const void *from, size_t length_bytes);
size_t user_zero_bytes(void *to, size_t length_bytes);

size_t user_copy_in_partial(void *kernel, uint64_t user, size_t length_bytes)
{
    assert(!cpu_events_masked());
    if (!user_range_valid(user, length_bytes))
        return 0;
    return length_bytes - user_copy_bytes(kernel, (const void *)user, length_bytes);
}

size_t user_copy_out_partial(uint64_t user, const void *kernel, size_t length_bytes)
{
    assert(!cpu_events_masked());
    if (!user_range_valid(user, length_bytes))
        return 0;
    return length_bytes - user_copy_bytes((void *)user, kernel, length_bytes);
}

int user_copy_in(void *kernel, uint64_t user, size_t length_bytes)
{
    return user_copy_in_partial(kernel, user, length_bytes) == length_bytes ? 0 : -EFAULT;
}

int user_copy_out(uint64_t user, const void *kernel, size_t length_bytes)
{
    return user_copy_out_partial(user, kernel, length_bytes) == length_bytes ? 0 : -EFAULT;
}

int user_zero(uint64_t user, size_t length_bytes)
{
    assert(!cpu_events_masked());
    if (!user_range_valid(user, length_bytes) || user_zero_bytes((void *)user, length_bytes) != 0)
        return -EFAULT;
    return 0;
}

long user_copy_string(char *kernel, uint64_t user, size_t size_bytes)
{
    size_t length = 0;

    while (length < size_bytes) {
        /* Not past the string's page, which may be the last one mapped. */
        size_t chunk = minimum(size_bytes - length, (size_t)STRING_CHUNK_BYTES);
        chunk = minimum(chunk, PAGE_SIZE - ((user + length) & PAGE_MASK));
        if (user_copy_in(kernel + length, user + length, chunk) != 0)
            return -EFAULT;
        for (size_t end = length + chunk; length < end; length++)
            if (kernel[length] == '\0')
                return (long)length;
    }
    return -ENAMETOOLONG;
}

/* A load that may fault: one instruction, so that the program's value is read whole. */
#define LOAD(user, value, move)                                                                              \
    ({                                                                                                       \
        int load_error = -EFAULT;                                                                            \
        __typeof__(*(value)) loaded = 0;                                                                     \
        __asm__ volatile("1: " move " (%2), %0\n xor %1, %1\n2:\n" EXCEPTION_ENTRY("1b", "2b")               \
                         : "+r"(loaded), "+r"(load_error)                                                    \
                         : "r"(user)                                                                         \
                         : "memory", "cc");                                                                  \
        *(value) = loaded;                                                                                   \
        load_error;                                                                                          \
    })

int user_load_u32(uint64_t user, uint32_t *value)
{
    assert(!cpu_events_masked());
    return user_range_valid(user, sizeof(*value)) ? LOAD(user, value, "movl") : -EFAULT;
}

int user_load_u64(uint64_t user, uint64_t *value)
{
    assert(!cpu_events_masked());
    return user_range_valid(user, sizeof(*value)) ? LOAD(user, value, "movq") : -EFAULT;
}

int user_compare_exchange_u32(uint64_t user, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    int error = -EFAULT;

    assert(!cpu_events_masked());
    if ((user & 3) != 0 || !user_range_valid(user, sizeof(uint32_t)))
        return -EFAULT;
    __asm__ volatile("1: lock cmpxchgl %3, (%2)\n xor %1, %1\n2:\n" EXCEPTION_ENTRY("1b", "2b")
                     : "+a"(expected), "+r"(error)
                     : "r"(user), "r"(desired)
                     : "memory", "cc");
    *seen = expected;
    return error;
}
