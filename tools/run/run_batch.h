/* SPDX-License-Identifier: BSD-2-Clause */
/* xenolith run --batch: many programs in one guest, results as TAP (run_batch.c). */
#pragma once

#include "tools/guest/guest_host.h"
#include "tools/run/run_options.h"

int run_batch(struct guest_host *host, struct run_options *options);
