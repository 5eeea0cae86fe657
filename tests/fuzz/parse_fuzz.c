/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse_unsigned() against the host's strtoull(): the first byte picks the base, the rest is the text. What ours takes, the host must read
 * as the same number to its end; what ours calls out of range, the host must too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    if (size < 1 || size > sizeof(text))
        return 0;
    unsigned int base = data[0] % 3 == 0 ? 8 : data[0] % 3 == 1 ? 10 : 16;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';

    uint64_t value = 0;
    int result = parse_unsigned(text, size - 1, base, &value);
    char *end;
    errno = 0;
    unsigned long long expected = strtoull(text, &end, (int)base);
    if (result == 0 && (errno != 0 || expected != value || end != text + size - 1))
        abort();
    if (result == -ERANGE && errno != ERANGE)
        abort();
    return 0;
}
