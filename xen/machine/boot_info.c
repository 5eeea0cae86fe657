/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both ways of starting fill: boot_info_pv.c (and PVH's) write it, everybody reads it.
 */
#include "xen/machine/boot_info.h"

#include "xen/machine/shared_info.h"

struct boot_info boot_info;
union shared_info_page shared_info_page attribute_aligned(4096);
