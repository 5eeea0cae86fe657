/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xen/x86/user_access.h on the host: the test program's own memory is the program's, but for what host_user_forbid() names.
 */
#include "xen/x86/user_access.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "tests/unit/host/host.h"
#include "xen/x86/paging.h"

static uint64_t forbidden_start, forbidden_end;

void host_user_forbid(uint64_t user, size_t length_bytes)
{
    forbidden_start = user;
    forbidden_end = user + length_bytes;
}

/* How many bytes from `user` on can be touched. */
static size_t user_reach(uint64_t user, size_t length_bytes)
{
    if (user < USER_ADDRESS_LOW || !user_range_valid(user, length_bytes))
        return 0;
    if (user >= forbidden_end || user + length_bytes <= forbidden_start)
        return length_bytes;
    return user >= forbidden_start ? 0 : forbidden_start - user;
}

size_t user_copy_in_partial(void *kernel, uint64_t user, size_t length_bytes)
{
    size_t reach = user_reach(user, length_bytes);
    if (reach > 0)
        memcpy(kernel, (const void *)user, reach);
    return reach;
}

size_t user_copy_out_partial(uint64_t user, const void *kernel, size_t length_bytes)
{
    size_t reach = user_reach(user, length_bytes);
    if (reach > 0)
        memcpy((void *)user, kernel, reach);
    return reach;
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
    size_t reach = user_reach(user, length_bytes);
    if (reach > 0)
        memset((void *)user, 0, reach);
    return reach == length_bytes ? 0 : -EFAULT;
}

long user_copy_string(char *kernel, uint64_t user, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (user_copy_in(&kernel[i], user + i, 1) != 0)
            return -EFAULT;
        if (kernel[i] == '\0')
            return (long)i;
    }
    return -ENAMETOOLONG;
}

int user_load_u32(uint64_t user, uint32_t *value)
{
    if (user_reach(user, sizeof(*value)) < sizeof(*value))
        return -EFAULT;
    *value = atomic_load((_Atomic uint32_t *)user);
    return 0;
}

int user_load_u64(uint64_t user, uint64_t *value)
{
    return user_copy_in(value, user, sizeof(*value));
}

int user_compare_exchange_u32(uint64_t user, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    if (user_reach(user, sizeof(*seen)) < sizeof(*seen))
        return -EFAULT;
    *seen = expected;
    atomic_compare_exchange_strong((_Atomic uint32_t *)user, seen, desired);
    return 0;
}
