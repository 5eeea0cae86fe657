/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuid under PVH: the instruction itself, as Xen intercepts it.
 */
#include "xen/x86/processor.h"

struct cpuid_result processor_cpuid_pvh(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result result;

    __asm__ volatile("cpuid" : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx) : "a"(leaf), "c"(subleaf));
    return result;
}
