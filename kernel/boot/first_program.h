/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hook for what the guest is there for: the program of the command line, or, in an image linked with a native
 * program, that one.
 */
#pragma once

/* Returns when it has ended. Thread context. */
void first_program_run(void);
