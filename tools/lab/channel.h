/* SPDX-License-Identifier: BSD-2-Clause */
/* The tool's end of the lab's control channel: one command in dom0 (channel.c). */
#pragma once

#include <stdbool.h>

#include "tools/base/text.h"

/* A command to run in dom0. */
struct channel_command {
    long port;
    const char *token_file;
    const char *const *arguments;
    const char *const *environment; /* "K=V", NULL-terminated, or NULL */
    const char *directory; /* NULL: / */
    int stdin_fd; /* -1: none */
    int stdout_fd; /* used when output is NULL */
    int stderr_fd;
    struct text *output; /* collects stdout and stderr instead */
    int timeout_seconds; /* 0: none; -ETIMEDOUT after it */
    bool quiet; /* failures of the channel print nothing */
    bool pass_signals; /* SIGINT, SIGTERM, SIGHUP go to the command; a second one cuts the connection */
};

int channel_run(const struct channel_command *command);
