/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A native program's descriptors. 0, 1 and 2 are the console.
 */
#pragma once

/* Before the program starts: listens to the console. */
void descriptors_start(void);
