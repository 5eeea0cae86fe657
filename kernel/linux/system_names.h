/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of the system: what uname answers, for /proc/sys/kernel and for the roof, which sets the host name at boot.
 */
#pragma once

#include "kernel/base/compiler.h"

#define SYSTEM_NAME_BYTES 65

enum system_name { SYSTEM_NAME_NODE, SYSTEM_NAME_DOMAIN };

void system_name_get(enum system_name which, char name[SYSTEM_NAME_BYTES]);
/* 0 or -EINVAL: 65 bytes or longer. */
int system_name_set(enum system_name which, const char *name, size_t length_bytes);
const char *system_release(void);
const char *system_version(void);
