/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memfd; the calls are in file.h.
 */
#pragma once

/* vfs_init()'s. 0 or -ENOMEM. */
int memory_file_init(void);
