/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting a guest and following it to its result (guest_start.c). */
#pragma once

#include "tools/guest/guest_host.h"
#include "tools/guest/guest_record.h"
#include "tools/guest/guest_request.h"

/* What is known of a guest that has run. */
struct guest_outcome {
    struct guest_facts facts; /* of the file result (tools/dom0-agent/result.c); empty when the guest never ran */
    char *console_log; /* path */
};

int guest_start(struct guest_host *host, const struct guest_request *request, struct guest_outcome *outcome);
void guest_outcome_free(struct guest_outcome *outcome);
