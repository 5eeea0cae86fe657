/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing into xenstore from a Linux guest, through /dev/xen/xenbus (xenbus.c). */
#pragma once

void xenbus_open(void);
void xenbus_write(const char *path, const char *value);
