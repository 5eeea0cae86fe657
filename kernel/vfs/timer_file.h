/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timerfd beside the calls in file.h.
 */
#pragma once

/* The real-time clock was set: timers on it are set anew, and those that asked for it are cancelled. Thread context. */
void timer_file_clock_changed(void);
