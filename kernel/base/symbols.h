/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the kernel's functions, for back traces. The build links the kernel, reads its function symbols with nm, and
 * links again with the table that build-aux/kernel-symbols.c made of them (build-aux/link-kernel); the first link uses the
 * weak empty table in symbols_empty.c.
 *
 * The table holds the functions in order of address, each as: its distance from the one before (7 bits a byte, low
 * first, the high bit says that more follow); how many letters it shares with the name before (one byte); the rest of its name,
 * NUL-ended. A search walks it from the start, which is slow and only done in reports.
 */
#pragma once

#include "kernel/base/compiler.h"

#define SYMBOL_NAME_BYTES 64 /* with the NUL; longer names are cut in the table */

extern const uint32_t kernel_symbol_count;
extern const uintptr_t kernel_symbol_base;
extern const uint8_t kernel_symbol_table[];

/* The function that holds `address`, into `name`, and how far into it; false where the address is not in the kernel's text. May be
 * called in any context: reads constants only. */
bool symbol_find(uintptr_t address, char name[SYMBOL_NAME_BYTES], uintptr_t *distance_bytes);
