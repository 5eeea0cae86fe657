/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of errors. Linux's numbers stand here as numbers, because their names are newlib's in this file.
 */
#include "libc-compat/error_number.h"

#include <errno.h>

#include "kernel/base/compiler.h"

#define SAME_UP_TO 34 /* the numbers of old Unix */

static const unsigned char newlib_numbers[] = {
    [35] = EDEADLK, [36] = ENAMETOOLONG, [37] = ENOLCK, [38] = ENOSYS, [39] = ENOTEMPTY, [40] = ELOOP,
    [42] = ENOMSG, [43] = EIDRM, [61] = ENODATA, [62] = ETIME, [71] = EPROTO, [74] = EBADMSG, [75] = EOVERFLOW,
    [84] = EILSEQ, [88] = ENOTSOCK, [89] = EDESTADDRREQ, [90] = EMSGSIZE, [91] = EPROTOTYPE, [92] = ENOPROTOOPT,
    [93] = EPROTONOSUPPORT, [95] = EOPNOTSUPP, [97] = EAFNOSUPPORT, [98] = EADDRINUSE, [99] = EADDRNOTAVAIL,
    [100] = ENETDOWN, [101] = ENETUNREACH, [102] = ENETRESET, [103] = ECONNABORTED, [104] = ECONNRESET,
    [105] = ENOBUFS, [106] = EISCONN, [107] = ENOTCONN, [110] = ETIMEDOUT, [111] = ECONNREFUSED,
    [113] = EHOSTUNREACH, [114] = EALREADY, [115] = EINPROGRESS, [116] = ESTALE, [125] = ECANCELED,
};

int error_number_newlib(long kernel_error)
{
    unsigned long number = (unsigned long)-kernel_error;
    if (number <= SAME_UP_TO)
        return (int)number;
    return number < array_count(newlib_numbers) && newlib_numbers[number] != 0 ? newlib_numbers[number] : EIO;
}
