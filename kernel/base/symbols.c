/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking up a kernel function by address. Without locks: the table is constant.
 */
#include "kernel/base/symbols.h"

/* A function longer than this is not believed: the address lies behind the last one. */
#define FUNCTION_BYTES_MAXIMUM 0x10000

static uintptr_t delta_take(const uint8_t **place)
{
    uintptr_t delta = 0;
    unsigned int shift = 0;
    uint8_t byte;

    do {
        byte = *(*place)++;
        delta |= (uintptr_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return delta;
}

bool symbol_find(uintptr_t address, char name[SYMBOL_NAME_BYTES], uintptr_t *distance_bytes)
{
    const uint8_t *place = kernel_symbol_table;
    uintptr_t function = kernel_symbol_base, found = 0;

    if (kernel_symbol_count == 0 || address < kernel_symbol_base)
        return false;
    for (uint32_t index = 0; index < kernel_symbol_count; index++) {
        function += delta_take(&place);
        if (function > address)
            break;
        found = function;
        char *letter = name + *place++;
        do
            *letter++ = (char)*place;
        while (*place++ != 0);
    }
    *distance_bytes = address - found;
    return *distance_bytes <= FUNCTION_BYTES_MAXIMUM;
}
