/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's QEMU: started until the agent in dom0 answers, and ended (lab_machine.c). */
#pragma once

#include "tools/lab/lab_state.h"

int lab_machine_start(struct lab_state *state, const char *image, long memory_mib);
void lab_machine_stop(struct lab_state *state);
