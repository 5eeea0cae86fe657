/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Probing under PV. CR4 writes are emulated by Xen, which drops what the guest's policy forbids without a word: the
 * register is read back.
 */
#include "xen/x86/processor.h"

#include "xen/x86/extended_state.h"

#define CR4_FSGSBASE 0x10000ull
#define CR4_OSXSAVE 0x40000ull
#define LEAF_FEATURES 1
#define FEATURES_ECX_XSAVE (1u << 26)

static bool has_fsgsbase;

struct cpuid_result processor_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result result;

    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
                     : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                     : "a"(leaf), "c"(subleaf));
    return result;
}

static uint64_t cr4_add(uint64_t bits)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | bits));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return cr4;
}

void processor_start_cpu(void)
{
    uint64_t wanted = CR4_FSGSBASE;

    if (processor_cpuid(LEAF_FEATURES, 0).ecx & FEATURES_ECX_XSAVE)
        wanted |= CR4_OSXSAVE;
    uint64_t cr4 = cr4_add(wanted);
    has_fsgsbase = cr4 & CR4_FSGSBASE;
    extended_state_start_cpu(cr4 & CR4_OSXSAVE);
}

bool processor_has_fsgsbase(void)
{
    return has_fsgsbase;
}
