/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PV: start_info becomes boot_info. Runs first, on the loader's page tables, where pfn n is mapped at KERNEL_IMAGE_BASE
 * + n * 4096. A domain 0 (smoke tests start us as one) has no xenstore and no console page, its console words mean
 * something else: it gets zeros.
 */
#include "xen/machine/boot_info_pv.h"

#include "kernel/base/panic.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/shared_info.h"
#include "xen/x86/frames.h"
#include "xen/x86/page_table.h"

#define MODULE_START_IS_PFN 8u /* SIF_MOD_START_PFN */

struct start_info boot_start_info;

static void shared_info_map(uint64_t machine_address)
{
    uint64_t entry = machine_address | PAGE_TABLE_PRESENT | PAGE_TABLE_WRITE | PAGE_TABLE_USER | PAGE_TABLE_ACCESSED |
                     PAGE_TABLE_DIRTY | PAGE_TABLE_NO_EXECUTE;

    if (hypercall_3(__HYPERVISOR_update_va_mapping, (uint64_t)&shared_info_page, entry,
                    UVMF_INVLPG) != 0)
        panic("Xen refuses the mapping of the shared info page");
    struct shared_info *shared = &shared_info_page.info;
    for (size_t i = 0; i < array_count(shared->evtchn_mask); i++)
        shared->evtchn_mask[i] = ~0ul; /* the toolstack leaves all ports unmasked */
}

void boot_info_read_pv(const struct start_info *start_info)
{
    boot_start_info = *start_info;
    boot_info.mode = BOOT_MODE_PV;
    __builtin_memcpy(boot_info.command_line, start_info->cmd_line, sizeof(boot_info.command_line));
    boot_info.command_line[sizeof(boot_info.command_line) - 1] = '\0';
    if (start_info->mod_len != 0) {
        uint64_t address = start_info->mod_start;
        if (start_info->flags & MODULE_START_IS_PFN)
            address = KERNEL_IMAGE_BASE + (address << PAGE_SHIFT);
        /* The direct map is not there yet; its address is known all the same. */
        boot_info.ramdisk = (const void *)(address - KERNEL_IMAGE_BASE + DIRECT_MAP_BASE);
        boot_info.ramdisk_bytes = start_info->mod_len;
    }
    if (!(start_info->flags & SIF_INITDOMAIN)) {
        boot_info.store_frame.number = start_info->store_mfn;
        boot_info.store_port = start_info->store_evtchn;
        boot_info.console_frame.number = start_info->console.domU.mfn;
        boot_info.console_port = start_info->console.domU.evtchn;
    }
    shared_info_map(start_info->shared_info);
}
