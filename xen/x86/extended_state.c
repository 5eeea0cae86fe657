/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended state by XSAVE in its standard form, which signal frames show to programs, or by FXSAVE where there is none.
 * Switches use XSAVEOPT if the processor has it; an explicit save writes everything. Source: Intel SDM 1, chapter 13.
 */
#include "xen/x86/extended_state.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu.h"
#include "xen/x86/context.h"
#include "xen/x86/exception_table.h"
#include "xen/x86/processor.h"

#define LEAF_XSAVE 0xd
#define XSAVE_EAX_OPT 1u           /* subleaf 1 */
#define COMPONENTS_ALWAYS 0x3ull   /* x87, SSE */
#define COMPONENTS_WANTED 0xe7ull  /* and AVX, AVX-512; not MPX, not protection keys */
#define AVX512_COMPONENTS 0xe0ull
#define LEGACY_BYTES 512u
#define HEADER_BYTES 64u
#define X87_CONTROL_INITIAL 0x37fu
#define MXCSR_INITIAL 0x1f80u
#define MXCSR_OFFSET 24u

/* The first CPU chooses; the others have to follow, as threads go from one to the other. */
static uint64_t mask;
static bool has_opt;
static size_t area_bytes = LEGACY_BYTES;

/* Answers whether the processor took it. */
static bool xcr0_write(uint64_t value)
{
    bool refused = true;

    __asm__ volatile("1: xsetbv\n xor %b0, %b0\n2:\n" EXCEPTION_ENTRY("1b", "2b")
                     : "+r"(refused)
                     : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0)
                     : "memory");
    return !refused;
}

static uint64_t xcr0_read(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

/* The standard form's size: the end of the last component. */
static size_t area_size(uint64_t components)
{
    size_t bytes = LEGACY_BYTES + HEADER_BYTES;

    for (uint32_t i = 2; i < 63; i++) {
        if (!(components & (1ull << i)))
            continue;
        struct cpuid_result place = processor_cpuid(LEAF_XSAVE, i);
        bytes = maximum(bytes, (size_t)place.ebx + place.eax);
    }
    return bytes;
}

void extended_state_start_cpu(bool with_xsave)
{
    if (!with_xsave)
        return;
    if (mask != 0) {
        if (!xcr0_write(mask))
            panic("the extended state 0x%llx of the first CPU is refused by CPU %u", (unsigned long long)mask, cpu_current()->number);
        return;
    }
    struct cpuid_result offered = processor_cpuid(LEAF_XSAVE, 0);
    uint64_t wanted = (((uint64_t)offered.edx << 32 | offered.eax) & COMPONENTS_WANTED) | COMPONENTS_ALWAYS;
    if ((wanted & AVX512_COMPONENTS) != AVX512_COMPONENTS)
        wanted &= ~AVX512_COMPONENTS;
    if (!xcr0_write(wanted))
        xcr0_write(COMPONENTS_ALWAYS);
    mask = xcr0_read();
    has_opt = processor_cpuid(LEAF_XSAVE, 1).eax & XSAVE_EAX_OPT;
    area_bytes = area_size(mask);
}

size_t context_extended_bytes(void)
{
    return area_bytes;
}

uint64_t context_extended_mask(void)
{
    return mask;
}

void context_extended_init(void *state)
{
    __builtin_memset(state, 0, area_bytes);
    *(uint16_t *)state = X87_CONTROL_INITIAL;
    *(uint32_t *)(void *)((char *)state + MXCSR_OFFSET) = MXCSR_INITIAL;
}

/*
 * Xen may have lent the registers to another domain, with CR0.TS set to call it at our next use. XSAVE is such a use, but
 * QEMU's emulation (7.2) lets it through and it then saves, or loads, the wrong set. STMXCSR calls Xen everywhere.
 */
static void registers_claim(void)
{
    uint32_t mxcsr;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
}

static void save_all(void *state)
{
    registers_claim();
    if (mask != 0)
        __asm__ volatile("xsave64 (%0)" : : "r"(state), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(state) : "memory");
}

void extended_state_switch_out(void *state)
{
    if (!has_opt) {
        save_all(state);
        return;
    }
    registers_claim();
    __asm__ volatile("xsaveopt64 (%0)" : : "r"(state), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}

/* False where the processor refuses the state: programs write it in their signal frames. */
static bool load_try(const void *state)
{
    bool refused = true;

    registers_claim();
    if (mask != 0)
        __asm__ volatile("1: xrstor64 (%1)\n xor %b0, %b0\n2:\n" EXCEPTION_ENTRY("1b", "2b")
                         : "+r"(refused)
                         : "r"(state), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                         : "memory");
    else
        __asm__ volatile("1: fxrstor64 (%1)\n xor %b0, %b0\n2:\n" EXCEPTION_ENTRY("1b", "2b")
                         : "+r"(refused)
                         : "r"(state)
                         : "memory");
    return !refused;
}

void extended_state_load(const void *state)
{
    if (load_try(state))
        return;
    context_extended_init((void *)(uintptr_t)state);
    load_try(state);
}

void context_extended_save(struct context *context)
{
    save_all(context->extended_state);
}

void context_extended_load(struct context *context)
{
    extended_state_load(context->extended_state);
}
