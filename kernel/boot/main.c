/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of contents: what the kernel starts, in order. Each room adds its line here.
 */
#include "kernel/boot/main.h"

#include "kernel/base/log.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/boot_info_pv.h"
#include "xen/machine/clock.h"
#include "xen/machine/console.h"
#include "xen/machine/console_ring.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/shutdown.h"
#include "xen/x86/direct_map_pv.h"
#include "xen/x86/frames_pv.h"
#include "xen/x86/trap.h"
#include "xen/x86/trap_report.h"

void boot_start_pv(const struct start_info *start_info)
{
    boot_info_read_pv(start_info);
    cpu_block_init(&cpu_boot_block, 0);
    frames_start_pv((const uint64_t *)start_info->mfn_list, start_info->nr_pages);
    console_find_ring();
    log_set_sink(console_write_all);
    trap_report_start();
    trap_start_pv();
    direct_map_start_pv();
    console_find_ring();
    cpu_place_vcpu_info();
    boot_main();
}

void boot_main(void)
{
    log_info("Xenolith %s", XENOLITH_VERSION);
    clock_init();
    log_set_clock(clock_monotonic_ns);
    shutdown(SHUTDOWN_REASON_POWEROFF);
}
