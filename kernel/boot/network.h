/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network at boot: started early, so that DHCP goes on beside the mounting of the root and the program's start.
 */
#pragma once

struct fs_context;

/* Starts the stack, configures it by the word ip=, attaches the interfaces that are there and those that come. */
void boot_network_start(void);
/* With a root: makes /run/resolv.conf, has the host told of the address, and who asks wait for it a little. */
void boot_network_finish(const struct fs_context *context);
