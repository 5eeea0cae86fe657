/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the kernel's functions, for back traces. The build links the kernel, reads its function symbols with nm, and
 * links again with the table that build-aux/kernel-symbols.c made of them (build-aux/kernel.am); the first link uses the
 * weak empty table in symbols_empty.c. The names lie one after the other in the order of the offsets, so that no index is
 * needed: a search walks them, which is slow and only done on the way down.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Sorted offsets of the functions from kernel_symbol_base (the lowest of them); as many NUL-ended names. */
extern const uint32_t kernel_symbol_count;
extern const uintptr_t kernel_symbol_base;
extern const uint32_t kernel_symbol_offsets[];
extern const char kernel_symbol_names[];

/* The function that holds `address`, and how far into it; NULL where the address is not in the kernel's text. May be
 * called in any context: reads constants only. */
const char *symbol_find(uintptr_t address, uintptr_t *distance_bytes);
