/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting other programs and waiting for them (process.c). Statuses are told as a shell tells them. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "tools/base/text.h"

/* A program to start. Zero means: this process's directory, environment and descriptors. */
struct process_request {
    const char *const *arguments; /* NULL-terminated; looked up in PATH */
    const char *directory;
    const char *const *environment; /* "K=V" to add, NULL-terminated */
    int stdin_fd; /* 0 inherits, -1 is /dev/null */
    int stdout_fd; /* 0 inherits, -1 is /dev/null */
    int stderr_fd; /* 0 inherits, -1 is /dev/null */
    bool own_session;
    bool map_to_root; /* in a user namespace in which this user is root, unless already root */
};

int process_start(const struct process_request *request, pid_t *out);
int process_wait(pid_t pid);
int process_run(const struct process_request *request);
int process_run_quietly(const struct process_request *request, const char *what);
int process_capture(const struct process_request *request, struct text *out);
bool process_alive(pid_t pid);
bool program_exists(const char *name);
