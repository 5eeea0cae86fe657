/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls under PVH: Intel's processors leave for Xen by vmcall, AMD's and Hygon's by vmmcall, numbers and registers are
 * PV's. Xen announces itself in a cpuid leaf, the base of which moves up by 0x100 where another interface comes first.
 */
#include "xen/machine/hypercall_pvh.h"

#include "xen/x86/processor.h"

#define LEAF_FIRST 0x40000000u
#define LEAF_LAST 0x40010000u
#define LEAF_STEP 0x100u
/* "XenV" "MMXe" "nVMM", "Auth"enticAMD, "Hygo"nGenuine */
#define SIGNATURE_EBX 0x566e6558u
#define SIGNATURE_ECX 0x65584d4du
#define SIGNATURE_EDX 0x4d4d566eu
#define VENDOR_AMD 0x68747541u
#define VENDOR_HYGON 0x6f677948u

#define GATE_BYTES 3

extern uint8_t hypercall_gate[];

bool hypercall_start_pvh(void)
{
    static const uint8_t vmcall[GATE_BYTES] = { 0x0f, 0x01, 0xc1 }, vmmcall[GATE_BYTES] = { 0x0f, 0x01, 0xd9 };
    uint32_t vendor = processor_cpuid_pvh(0, 0).ebx;

    for (uint32_t number = LEAF_FIRST; number < LEAF_LAST; number += LEAF_STEP) {
        struct cpuid_result leaf = processor_cpuid_pvh(number, 0);
        if (leaf.ebx != SIGNATURE_EBX || leaf.ecx != SIGNATURE_ECX || leaf.edx != SIGNATURE_EDX)
            continue;
        __builtin_memcpy(hypercall_gate, vendor == VENDOR_AMD || vendor == VENDOR_HYGON ? vmmcall : vmcall, GATE_BYTES);
        return true;
    }
    return false;
}
