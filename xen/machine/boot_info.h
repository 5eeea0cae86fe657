/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader told us, the same for PV (start_info) and PVH (hvm_start_info): boot_info_pv.c and boot_info_pvh.c
 * fill it before anything else runs. Fixed afterwards.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

enum boot_mode { BOOT_MODE_PV, BOOT_MODE_PVH };

struct boot_info {
    enum boot_mode mode;
    char command_line[1024];     /* terminated; cut where the loader's was longer */
    const void *ramdisk;         /* NULL without one; direct-map address, its pages reserved until boot_ramdisk_free() */
    size_t ramdisk_bytes;
    gfn_t store_frame;
    uint32_t store_port;
    gfn_t console_frame;
    uint32_t console_port;
};

extern struct boot_info boot_info;
