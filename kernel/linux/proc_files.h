/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The room's files in /proc.
 */
#pragma once

/* Once, at boot, after procfs_start(). 0 or -ENOMEM. */
int proc_files_start(void);
