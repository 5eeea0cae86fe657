/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choosing PVH's versions of the functions that mode_gates.S lists.
 */
#pragma once

/* One CPU, before the image is write-protected. */
void mode_gates_choose_pvh(void);
