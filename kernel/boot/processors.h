/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's other CPUs: started at boot, and as the host says afterwards (`xl vcpu-set`).
 */
#pragma once

#include "kernel/base/compiler.h"

/* Starts those the host has online; all there are where there is no xenstore to ask. Thread context. */
void processors_start(bool with_xenstore);
/* Until they run, or did not in a second. */
void processors_wait(void);
