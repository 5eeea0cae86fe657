/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that says what it was started with: start_info.S in front of it spoils that (tests/guest/start.run).
 */
#include <stdint.h>

#include <xen/arch-x86/hvm/start_info.h>

#include "kernel/base/log.h"
#include "kernel/boot/first_program.h"
#include "kernel/boot/processors.h"
#include "kernel/memory/page.h"
#include "xen/machine/cpu.h"

/* What start_info.S names as the memory map: less than there is. */
const struct hvm_memmap_table_entry start_map[2] = {
    { .addr = 0, .size = 0x9f000, .type = XEN_HVM_MEMMAP_TYPE_RAM },
    { .addr = 0x100000, .size = 0x1f00000, .type = XEN_HVM_MEMMAP_TYPE_RAM },
};

void first_program_run(void)
{
    struct page_statistics pages;

    processors_wait();
    page_statistics_get(&pages);
    log_notice("started: %llu MiB, %u CPUs", (unsigned long long)pages.total_pages / 256, cpu_online_count());
}
