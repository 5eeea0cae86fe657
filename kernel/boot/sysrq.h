/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `xl sysrq GUEST KEY`: what a guest that seems to hang can still tell, and ways to end it. Keys as Linux has them.
 */
#pragma once

/* t: where each thread sleeps; m: memory, grants; o: power off; b: reboot; c: crash, with its report; others: this list. Thread context. */
void sysrq_key(char key);
