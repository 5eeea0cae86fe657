/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For guest tests: kernels whose first program is the test itself. They print TAP on the console; what is left of pages
 * and event ports is counted at the end.
 */
#pragma once

#include "kernel/base/compiler.h"

/* One case. Thread context. */
void tap_case(bool passed, const char *format, ...) attribute_printf(2, 3);
/* Remembers what is in use now; tap_check_leaks() makes a case of its having stayed the same. */
void tap_count_resources(void);
void tap_check_leaks(void);
/* The plan; and the end, by returning from first_program_run(). */
void tap_done(void);
