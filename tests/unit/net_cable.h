/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device for tests whose frames go through a socket of the host: two processes, each with a stack of its own, can be
 * connected back to back.
 */
#pragma once

#include "kernel/device/net_device.h"

/* Two ends, as descriptors of the host. */
void net_cable_create(int ends[2]);
/* Registers a device over one end and starts its receive thread. `lose_every`: each that-many-th frame sent is lost, 0: none. */
struct net_device *net_cable_attach(int end, uint8_t number, unsigned int lose_every);
/* How many long segments it was given. */
unsigned int net_cable_long_segments(struct net_device *device);
/* Runs the test in a process of its own, as each stack needs one; 0: it was well. */
int net_cable_in_child(void (*run)(int argument), int argument);
/* A frame as it came from nowhere, for fuzzing: delivered before it returns. */
void net_cable_inject(struct net_device *device, const void *bytes, size_t length_bytes);
