/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of contents: what the kernel starts, in order. Each room has its line here, and nothing else.
 *
 *   boot_start_pv(), boot_start_pvh()   what differs, on the first page tables: until the direct map stands
 *   boot_main()       what needs no thread: memory, events, clock, scheduler; then this becomes CPU 0's idle thread
 *   boot_thread()     the rest, in a thread that may sleep: bus, drivers, file systems, network, first program. The devices come
 *                     first, as most of their time is the host's: it goes by while the rooms above are made ready
 */
#include "kernel/boot/main.h"

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/boot/command_line.h"
#include "kernel/boot/devices.h"
#include "kernel/boot/first_program.h"
#include "kernel/boot/guest_report.h"
#include "kernel/boot/network.h"
#include "kernel/boot/processors.h"
#include "kernel/linux/linux.h"
#include "kernel/linux/strace.h"
#include "kernel/memory/object_cache_start.h"
#include "kernel/memory/page.h"
#include "kernel/memory/page_start.h"
#include "kernel/process/process.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "kernel/vfs/vfs.h"
#include "kernel/vm/code_patch.h"
#include "kernel/vm/page_cache.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/boot_info_pv.h"
#include "xen/machine/boot_info_pvh.h"
#include "xen/machine/clock.h"
#include "xen/machine/console.h"
#include "xen/machine/console_ring.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/cpu_start.h"
#include "xen/machine/hypercall_pvh.h"
#include "xen/machine/port_console.h"
#include "xen/machine/shutdown.h"
#include "xen/x86/direct_map_pv.h"
#include "xen/x86/direct_map_pvh.h"
#include "xen/x86/frames.h"
#include "xen/x86/frames_pv.h"
#include "xen/x86/mode_choice.h"
#include "xen/x86/paging.h"
#include "xen/x86/processor.h"
#include "xen/x86/trap.h"
#include "xen/x86/trap_report.h"

static uint64_t start_stamp; /* our first instruction's */

static void must(const char *what, int error)
{
    if (error != 0)
        panic("boot: %s: error %d", what, error);
}

void boot_start_pv(const struct start_info *start_info)
{
    start_stamp = clock_stamp();
    boot_info_read_pv(start_info);
    cpu_block_init(&cpu_boot_block, 0);
    frames_start_pv((const uint64_t *)boot_start_info.mfn_list, boot_start_info.nr_pages);
    console_find_ring();
    log_set_sink(console_write_all);
    trap_report_start();
    trap_start_pv();
    direct_map_start_pv();
    guest_report_step("map");
    console_find_ring();
    cpu_place_vcpu_info(&cpu_boot_block);
    page_start();
    guest_report_step("memory");
    paging_start(&paging_ops_pv, direct_map_root());
    cpu_start_choose(&cpu_start_pv);
    boot_main();
}

void boot_start_pvh(uint64_t start_info_physical)
{
    static const char no_xen[] = "Xenolith: no Xen here: this kernel runs as a guest of the Xen hypervisor only\r\n";

    start_stamp = clock_stamp();
    if (!hypercall_start_pvh()) {
        port_console_write_serial(no_xen, sizeof(no_xen) - 1);
        for (;;)
            __asm__ volatile("cli\n hlt");
    }
    mode_gates_choose_pvh();
    cpu_block_init(&cpu_boot_block, 0);
    console_set_fallback(port_console_write_xen);
    log_set_sink(console_write_all);
    trap_report_start();
    boot_info_read_pvh((const void *)(start_info_physical + DIRECT_MAP_BASE));
    trap_start_pvh();
    direct_map_start_pvh();
    guest_report_step("map");
    cpu_place_vcpu_info(&cpu_boot_block);
    page_start();
    guest_report_step("memory");
    paging_start(&paging_ops_pvh, direct_map_root_pvh());
    cpu_start_choose(&cpu_start_pvh);
    boot_main();
}

static void level_set(void)
{
    const char *text = command_line_value("loglevel");
    uint64_t level;

    if (text && parse_unsigned(text, __builtin_strlen(text), 10, &level) == 0 && level <= LOG_DEBUG)
        log_set_level((enum log_level)level);
    else if (text)
        log_warning("command line: loglevel=%s is not 0 to %u", text, LOG_DEBUG);
}

static void memory_report(void)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    log_debug("memory: %llu KiB, %llu KiB free", (unsigned long long)statistics.total_pages * 4,
              (unsigned long long)statistics.free_pages * 4);
}

static void boot_thread(void *argument)
{
    (void)argument;
    must("deferred work", deferred_work_start());
    devices_start();
    must("page cache", page_cache_start());
    must("files", vfs_init());
    must("processes", process_init());
    must("system calls", linux_init());
    strace_enabled = command_line_value("strace") != NULL;
    code_patch_enabled = command_line_value("nopatch") == NULL;
    memory_report();
    processors_start(devices_have_xenstore());
    boot_network_start();
    guest_report_step("kernel");
    first_program_run();
    shutdown(SHUTDOWN_REASON_POWEROFF);
}

void boot_main(void)
{
    struct thread *thread;

    clock_init(start_stamp);
    guest_report_clock();
    if (__builtin_strlen(boot_info.command_line) == sizeof(boot_info.command_line) - 1)
        log_warning("command line: cut after %zu bytes", sizeof(boot_info.command_line) - 1);
    command_line_parse(boot_info.command_line);
    level_set();
    log_info("Xenolith %s", XENOLITH_VERSION);
    log_set_clock(clock_monotonic_ns);
    object_cache_start();
    processor_start_cpu();
    must("console", console_connect());
    guest_report_step("console");
    must("clock", clock_start_cpu(&cpu_boot_block));
    must("scheduler", scheduler_init());
    must("first thread", thread_create(&thread, "boot", boot_thread, NULL));
    thread_start(thread);
    thread_release(thread);
    scheduler_start();
}
