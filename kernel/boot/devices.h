/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus and the drivers: random numbers, grant table, xenstore, control, disks and network interfaces.
 */
#pragma once

/*
 * Starts them, and waits until the devices that are there are connected (or said why not). Without xenstore, as when Xen
 * starts the kernel as its first domain, there are none, with a line. Thread context.
 */
void devices_start(void);

/*
 * Who ends the program when the host asks for it: called in a thread, once; returns when the program has ended and its files are
 * written. Without one the domain ends at once.
 */
void devices_set_program_stop(void (*stop)(void));
