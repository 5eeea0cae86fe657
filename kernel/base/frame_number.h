/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The three numberings of memory frames, as types that do not mix.
 *
 * A pfn is the guest's own contiguous numbering; an mfn is the machine's, which only PV guests see. A gfn is what
 * hypercalls and shared rings take: the mfn under PV, the pfn under PVH. Conversions are xen/x86/frames.h's.
 */
#pragma once

#include <stdint.h>

typedef struct { uint64_t number; } pfn_t;
typedef struct { uint64_t number; } mfn_t;
typedef struct { uint64_t number; } gfn_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE (1ul << PAGE_SHIFT)
#define PAGE_MASK (PAGE_SIZE - 1)

#define PAGE_ROUND_UP(bytes) (((bytes) + PAGE_MASK) & ~PAGE_MASK)
#define PAGE_ROUND_DOWN(bytes) ((bytes) & ~PAGE_MASK)
