/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuid under PV: the plain instruction may show the host's processor, Xen's prefix makes it the guest's policy.
 */
#include "xen/x86/processor.h"

struct cpuid_result processor_cpuid_pv(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result result;

    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
                     : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                     : "a"(leaf), "c"(subleaf));
    return result;
}
