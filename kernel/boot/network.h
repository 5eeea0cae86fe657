/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network at boot: started early, so that DHCP goes on beside the mounting of the root; waited for before the program.
 */
#pragma once

struct fs_context;

/* Starts the stack, configures it by the word ip=, attaches the interfaces that are there and those that come. */
void boot_network_start(void);
/* With a root to write to: keeps /run/resolv.conf; waits a little for the address, and tells the host. */
void boot_network_finish(const struct fs_context *context);
