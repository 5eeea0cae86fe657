/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page that programs may read, for the vDSO's clock: our header, and behind it the vcpu_infos of CPUs 0..62, into
 * which Xen itself writes each CPU's time record. kernel/process maps it read-only.
 *
 * monotonic = pvclock(vcpu_info[0].time) - monotonic_base_ns,  real = monotonic + real_offset_ns, where
 * pvclock(t) = t.system_time + (((rdtsc - t.tsc_timestamp) << t.tsc_shift) * t.tsc_to_system_mul >> 32), read again
 * while t.version is odd or has changed; a negative tsc_shift shifts right; the product has 96 bits.
 * Usable while (flags & VDSO_PAGE_USABLE): else the vDSO makes the system call. `sequence` is odd while the header changes.
 */
#pragma once

#include <stdatomic.h>

#include <stdint.h>

#include <xen/xen.h>

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

#define VDSO_PAGE_USABLE 1u
#define VDSO_PAGE_CPUS 63u
/* In the vDSO's own image (vdso.lds has it too): the address that calls go to instead of `syscall`, xen/x86/door.h's; 0: none. */
#define VDSO_DOOR_OFFSET 176

struct vdso_page {
    _Atomic uint32_t sequence;
    _Atomic uint32_t flags;
    uint64_t monotonic_base_ns;
    uint64_t real_offset_ns;
    uint8_t reserved[40];
    struct vcpu_info vcpu_info[VDSO_PAGE_CPUS];
};

_Static_assert(sizeof(struct vdso_page) == 4096, "the vDSO maps one page");
_Static_assert(offsetof(struct vdso_page, vcpu_info) == 64, "a vcpu_info must not cross a page");

/* Where the CPU's vcpu_info is to lie; NULL: where it was. */
struct vcpu_info *vdso_page_vcpu_info(unsigned int cpu);
