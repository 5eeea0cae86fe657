/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The empty table of function names for the first link, when the addresses are not known yet; the made one overrides it.
 * A file of its own, so that no compiler folds the zero into symbol_find().
 */
#include "kernel/base/symbols.h"

__attribute__((weak)) const uint32_t kernel_symbol_count = 0;
__attribute__((weak)) const uintptr_t kernel_symbol_base = 0;
__attribute__((weak)) const uint8_t kernel_symbol_table[1] = {0};
