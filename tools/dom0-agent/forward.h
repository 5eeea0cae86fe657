/* SPDX-License-Identifier: BSD-2-Clause */
/* Forwards of TCP ports of this machine to a guest, on a Xen host (forward.c). */
#pragma once

#include <sys/types.h>

int forward_start(const char *publish, const char *address_path, pid_t *out);
