/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking up a kernel function by address. Without locks: the table is constant.
 */
#include "kernel/base/symbols.h"

/* A function longer than this is not believed: the address lies behind the last one. */
#define FUNCTION_BYTES_MAXIMUM 0x10000

const char *symbol_find(uintptr_t address, uintptr_t *distance_bytes)
{
    if (kernel_symbol_count == 0 || address < kernel_symbol_base)
        return NULL;
    uintptr_t offset = address - kernel_symbol_base;
    const char *name = kernel_symbol_names;
    uint32_t index = 0;
    while (index + 1 < kernel_symbol_count && kernel_symbol_offsets[index + 1] <= offset) {
        while (*name++ != '\0') {
        }
        index++;
    }
    uintptr_t distance = offset - kernel_symbol_offsets[index];
    if (distance > FUNCTION_BYTES_MAXIMUM)
        return NULL;
    *distance_bytes = distance;
    return name;
}
