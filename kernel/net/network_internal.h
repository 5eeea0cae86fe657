/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of this room tell network.c.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Core lock held: addresses may be new. Those who wait and those who listen hear of it from a thread. */
void network_note_change(void);
/* A name that DHCP gave us (not terminated). */
void network_note_host_name(const char *name, size_t length_bytes);
