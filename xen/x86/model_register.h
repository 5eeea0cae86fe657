/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers, which PVH guests write themselves. Source: AMD64 manual 2, appendix A.
 */
#pragma once

#include <stdint.h>

#define MODEL_REGISTER_EFER 0xc0000080u
#define MODEL_REGISTER_STAR 0xc0000081u
#define MODEL_REGISTER_LSTAR 0xc0000082u
#define MODEL_REGISTER_SFMASK 0xc0000084u
#define MODEL_REGISTER_FS_BASE 0xc0000100u
#define MODEL_REGISTER_GS_BASE 0xc0000101u
#define MODEL_REGISTER_INACTIVE_GS_BASE 0xc0000102u

static inline uint64_t model_register_read(uint32_t number)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return ((uint64_t)high << 32) | low;
}

static inline void model_register_write(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}
