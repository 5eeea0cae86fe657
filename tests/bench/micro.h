/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files of micro share: a case's form, its watch, and the cases of micro_switch.c. */
#pragma once

#include <stdint.h>

/* Does the thing count times. Returns 0, or a negative errno. */
typedef int (*case_run)(uint64_t count);

/* For a case that has things to prepare and to clear away; else the watch runs over all of it. */
void watch_start(void);
void watch_stop(void);

extern const char *micro_program_path;
extern char *micro_dynamic_path; /* --spawn's; NULL: no such case */

int pipe_switch(uint64_t count);
int pipe_switch_thread(uint64_t count);
int futex_switch(uint64_t count);
int thread_create_join(uint64_t count);
int fork_exit(uint64_t count);
int fork_exec(uint64_t count);
int spawn_dynamic(uint64_t count);
