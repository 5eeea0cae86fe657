/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load average. For kernel/sched alone; others ask scheduler_load().
 */
#pragma once

#include <stdint.h>

void load_init(void);
/* A CPU leaves idle: sampling must go on. Any context, run queue locks may be held. */
void load_note_activity(void);
void load_get(uint64_t load[3]);
/* Threads running (idle ones apart) or waiting to. */
unsigned int load_runnable(void);
