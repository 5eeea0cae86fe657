/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The room's beginning.
 */
#pragma once

/* Once, at boot, after kernel/process and before the first program. 0 or -Exxx. */
int linux_init(void);
