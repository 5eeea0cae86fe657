/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's connection to its ring, for boot, shutdown and panic.
 */
#pragma once

#include <stddef.h>

/* Finds the ring; called at the very start, and again once the direct map stands. */
void console_find_ring(void);
/* Where bytes go that neither the ring nor Xen's console takes; at the very start. */
void console_set_fallback(void (*write)(const char *bytes, size_t length_bytes));
/* Binds the ring's event; after event channels work. */
int console_connect(void);
/* Waits, a second at most, until the backend has read everything. */
void console_drain(void);
/* Panic: whoever holds the console's lock will not give it back. */
void console_break_lock(void);
