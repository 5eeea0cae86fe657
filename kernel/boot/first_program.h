/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest is there for: the program of the command line or of the image, a batch of them, or, in an image linked with a
 * native program, that one.
 */
#pragma once

/* Returns when it has ended and the host has been told. Thread context. */
void first_program_run(void);
