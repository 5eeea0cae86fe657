/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus and the drivers: random numbers, grant table, xenstore, control, disks and network interfaces.
 */
#pragma once

#include "kernel/base/compiler.h"

/*
 * Starts them: what the host has is found, and connects, while others go on. Without xenstore, as when Xen starts the kernel as its
 * first domain, there are none, with a line. Thread context, as all of these.
 */
void devices_start(void);
bool devices_have_xenstore(void);
/* Waits until there is a disk of that name, or there will be none: everything else is connected. */
void devices_await_disk(const char *name);
/* Waits until the devices that are there are connected (or said why not). */
void devices_settle(void);
/* Listens to the host's wishes, from the first call on. A wish that is older is heard, too: so there is time for it when the program runs. */
void devices_control_start(void);

/*
 * Who ends the program when the host asks for it: called in a thread, once; returns when the program has ended and its files are
 * written. Without one the domain ends at once.
 */
void devices_set_program_stop(void (*stop)(void));
