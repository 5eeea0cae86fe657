/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/net, and /sys/class/net's kin: kernel/net's reports as files of kernel/fs/procfs, which do not know each other.
 */
#pragma once

/* Before the first program. 0, -ENOMEM or -EEXIST. */
int network_files_start(void);
