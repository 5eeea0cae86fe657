/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Probing. Under PV, Xen emulates writes of CR4 and drops what the guest's policy forbids without a word: the register is read
 * back. Under PVH such a write would fault: only what cpuid offers is asked for.
 */
#include "xen/x86/processor.h"

#include "xen/x86/extended_state.h"

#define CR4_FSGSBASE 0x10000ull
#define CR4_OSXSAVE 0x40000ull
#define LEAF_FEATURES 1
#define FEATURES_ECX_XSAVE (1u << 26)
#define LEAF_MORE_FEATURES 7
#define MORE_FEATURES_EBX_FSGSBASE 1u

static bool has_fsgsbase;

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
    uint64_t wanted = 0;

    if (processor_cpuid(0, 0).eax >= LEAF_MORE_FEATURES &&
        (processor_cpuid(LEAF_MORE_FEATURES, 0).ebx & MORE_FEATURES_EBX_FSGSBASE))
        wanted |= CR4_FSGSBASE;
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
