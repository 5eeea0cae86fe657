/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel instructions that may fault, and where to go on then: pairs in the section .exception_table, written by
 * EXCEPTION_ENTRY in the assembly files and inline assembly that need them.
 */
#pragma once

#ifdef __ASSEMBLER__
#define EXCEPTION_ENTRY(instruction, fixup) \
    .pushsection .exception_table, "a", @progbits; \
    .quad instruction, fixup; \
    .popsection
#else
#include <stdint.h>

#define EXCEPTION_ENTRY(instruction, fixup) \
    ".pushsection .exception_table, \"a\", @progbits\n .quad " instruction ", " fixup "\n .popsection\n"

/* The fix-up's address for the instruction at rip, or 0. */
uint64_t exception_table_find(uint64_t rip);
#endif
