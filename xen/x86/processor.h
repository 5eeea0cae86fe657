/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this processor, and Xen's policy for this guest, offer: probed once per CPU at boot.
 */
#pragma once

#include "kernel/base/compiler.h"

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

/* The guest's policy: under PV the plain instruction shows the host's processor, so Xen's prefixed form is used. */
struct cpuid_result processor_cpuid(uint32_t leaf, uint32_t subleaf);
struct cpuid_result processor_cpuid_pv(uint32_t leaf, uint32_t subleaf);
struct cpuid_result processor_cpuid_pvh(uint32_t leaf, uint32_t subleaf);

/* Turns on FSGSBASE and the extended state where allowed; on every CPU alike. */
void processor_start_cpu(void);
/* wrfsbase and friends may be used, by programs too. */
bool processor_has_fsgsbase(void);
