/* SPDX-License-Identifier: BSD-2-Clause */
/* xenolith run and xenolith build (run_command.c). */
#pragma once

#include "tools/guest/guest_host.h"
#include "tools/guest/guest_start.h"
#include "tools/run/run_options.h"

int run_command(int count, char **arguments);
int build_command(int count, char **arguments);
int run_guest(struct guest_host *host, struct run_options *options, struct guest_outcome *outcome);
int run_outcome_status(const struct run_options *options, const struct guest_outcome *outcome);
