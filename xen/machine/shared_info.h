/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xen's shared_info page: event bits, wall clock, the vcpu_infos of CPUs that have not moved theirs. It lies over a page
 * of the image's .bss, whose own frame the start of day gives to the page allocator.
 */
#pragma once

#include <stdint.h>

#include <xen/xen.h>

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

union shared_info_page {
    struct shared_info info;
    uint8_t bytes[PAGE_SIZE];
};

extern union shared_info_page shared_info_page;
