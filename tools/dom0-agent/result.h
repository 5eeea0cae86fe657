/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of a guest when it has ended (result.c). */
#pragma once

#include <stdint.h>

#include "tools/dom0-agent/domain.h"

/* Moments in a guest's life, CLOCK_MONOTONIC. */
struct result_times {
    uint64_t create_ns;
    uint64_t unpause_ns;
    uint64_t output_ns; /* the first byte of its console; 0 without one */
    uint64_t end_ns;
};

uint64_t result_now_ns(void);
int result_write(const char *path, const struct domain *domain, const char *end, const struct domain_usage *usage,
    const struct result_times *times);
void result_explain_crash(const struct domain *domain, const char *symbols);
