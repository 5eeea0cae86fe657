/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the kernel, for our own broken invariants only: what programs, backends, disks and packets say is refused,
 * never asserted.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Prints the message, registers and a symbolised stack through the registered handler, and shuts down with reason crash. */
void panic(const char *format, ...) attribute_printf(1, 2) attribute_noreturn;
/* The handler must not return. */
void panic_set_handler(void (*handler)(const char *message));

/* For `if (DEBUG_BUILD)`: both branches are compiled in every build. */
#ifdef XENOLITH_DEBUG
#define DEBUG_BUILD true
#define assert(condition)                                                                           \
    ((condition) ? (void)0 : panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition))
#else
#define DEBUG_BUILD false
#define assert(condition) ((void)sizeof((condition) ? 1 : 0))
#endif
