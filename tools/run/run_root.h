/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a guest's root is: on a disk or in its memory (run_root.c). */
#pragma once

#include "tools/run/run_options.h"

int run_root_choose(struct run_options *options, bool small_in_memory);
int run_root_give(const struct run_options *options, const char *image, struct guest_request *guest);
