/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH: hvm_start_info (versions 0 and 1) and the HVM parameters become boot_info. Runs on the tables of start_pvh.S, whose
 * direct map shows the first 4 GiB; what the loader points to lies there. Version 0 has no memory map: Xen is asked for it.
 *
 * The shared info page takes the place of a page of the image, which Xen gets back. A domain 0 (smoke tests start us as one)
 * has no xenstore and no console page; any other guest has both, or we cannot go on. The console comes first, so that what is
 * missing is told there, if it can be, and else by Xen's own log.
 */
#include "xen/machine/boot_info_pvh.h"

#include <stdint.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/xen.h>

#include "kernel/base/panic.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/console_ring.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/shared_info.h"
#include "xen/x86/frames.h"
#include "xen/x86/memory_map_pvh.h"

#define VERSION_WITH_MEMORY_MAP 1u
#define MEMORY_MAP_ENTRIES 64u
#define EARLY_LIMIT (1ull << 32)

/* What XENMEM_memory_map fills: the BIOS's table, the types of which hvm_memmap_table_entry has as well. */
struct bios_entry {
    uint64_t address, size_bytes;
    uint32_t type;
} attribute_packed;

/* Physical memory that the loader names: `what` for the complaint. */
static const void *early_address(uint64_t physical, uint64_t length_bytes, const char *what)
{
    if (physical >= EARLY_LIMIT || length_bytes > EARLY_LIMIT - physical)
        panic("start info: the %s at 0x%llx, %llu bytes, is not in the first 4 GiB", what, (unsigned long long)physical,
              (unsigned long long)length_bytes);
    return (const char *)frames_address((pfn_t){ physical >> PAGE_SHIFT }) + (physical & PAGE_MASK);
}

static void memory_map_read(const struct hvm_start_info *start_info)
{
    static struct bios_entry entries[MEMORY_MAP_ENTRIES];

    if (start_info->version >= VERSION_WITH_MEMORY_MAP && start_info->memmap_entries != 0) {
        const struct hvm_memmap_table_entry *entry = early_address(
            start_info->memmap_paddr, start_info->memmap_entries * sizeof(*entry), "memory map");
        for (uint32_t i = 0; i < start_info->memmap_entries; i++)
            if (entry[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
                memory_map_add_pvh(entry[i].addr, entry[i].size);
        return;
    }
    struct xen_memory_map request = { .nr_entries = MEMORY_MAP_ENTRIES };
    set_xen_guest_handle(request.buffer, entries);
    long result = hypercall_2(__HYPERVISOR_memory_op, XENMEM_memory_map, (uint64_t)&request);
    if (result != 0)
        panic("no memory map: the start info has none, and Xen answers %ld", result);
    for (uint32_t i = 0; i < request.nr_entries; i++)
        if (entries[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
            memory_map_add_pvh(entries[i].address, entries[i].size_bytes);
}

/* Without a name it may be missing, and is 0 then. */
static uint64_t parameter_get(uint32_t index, const char *name)
{
    struct xen_hvm_param request = { .domid = DOMID_SELF, .index = index };

    long result = hypercall_2(__HYPERVISOR_hvm_op, HVMOP_get_param, (uint64_t)&request);
    if (name && (result != 0 || request.value == 0))
        panic("the HVM parameter %s is missing: Xen answers %ld, value 0x%llx", name, result,
              (unsigned long long)request.value);
    return request.value;
}

static void shared_info_place(void)
{
    struct xen_add_to_physmap request = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_shared_info,
        .gpfn = frames_pfn_of_image(&shared_info_page).number,
    };

    long result = hypercall_2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, (uint64_t)&request);
    if (result != 0)
        panic("Xen refuses the place for the shared info page: error %ld", result);
    struct shared_info *shared = &shared_info_page.info;
    for (size_t i = 0; i < array_count(shared->evtchn_mask); i++)
        write_once(shared->evtchn_mask[i], ~0ul); /* the toolstack leaves all ports unmasked */
}

static void console_find(void)
{
    boot_info.console_frame.number = parameter_get(HVM_PARAM_CONSOLE_PFN, NULL);
    if (boot_info.console_frame.number != 0)
        boot_info.console_port = (uint32_t)parameter_get(HVM_PARAM_CONSOLE_EVTCHN, NULL);
    console_find_ring();
}

static void command_line_read(uint64_t physical)
{
    if (physical == 0)
        return;
    const char *text = early_address(physical, sizeof(boot_info.command_line), "command line");
    for (size_t i = 0; i < sizeof(boot_info.command_line) - 1 && text[i] != '\0'; i++)
        boot_info.command_line[i] = text[i];
}

void boot_info_read_pvh(const struct hvm_start_info *start_info)
{
    shared_info_place();
    console_find();
    if (start_info->magic != XEN_HVM_START_MAGIC_VALUE || start_info->version > VERSION_WITH_MEMORY_MAP)
        panic("the start info has magic 0x%x and version %u; known are magic 0x%x, versions 0 and 1", start_info->magic,
              start_info->version, XEN_HVM_START_MAGIC_VALUE);
    boot_info.mode = BOOT_MODE_PVH;
    memory_map_read(start_info);
    command_line_read(start_info->cmdline_paddr);
    if (start_info->nr_modules != 0) {
        const struct hvm_modlist_entry *module = early_address(start_info->modlist_paddr, sizeof(*module), "module list");
        boot_info.ramdisk = early_address(module->paddr, module->size, "ramdisk");
        boot_info.ramdisk_bytes = module->size;
    }
    if (start_info->flags & SIF_INITDOMAIN)
        return;
    parameter_get(HVM_PARAM_CONSOLE_PFN, "CONSOLE_PFN");
    parameter_get(HVM_PARAM_CONSOLE_EVTCHN, "CONSOLE_EVTCHN");
    boot_info.store_frame.number = parameter_get(HVM_PARAM_STORE_PFN, "STORE_PFN");
    boot_info.store_port = (uint32_t)parameter_get(HVM_PARAM_STORE_EVTCHN, "STORE_EVTCHN");
}
