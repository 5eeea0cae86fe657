/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What /proc tells of the machine: processors, memory, time, disks. Programs size themselves by these.
 */
#include "kernel/fs/procfs/procfs.h"

#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/device/block_device.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/vfs.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/processor.h"

#define TICK_NS 10000000ull /* 1/100 s */

typedef unsigned long long number_t;

/* ---- /proc/cpuinfo ---- */

struct cpu_flag {
    uint32_t leaf;
    char register_letter; /* 'b', 'c', 'd' */
    uint8_t bit;
    const char *name;
};

static const struct cpu_flag cpu_flags[] = {
    { 1, 'd', 0, "fpu" },        { 1, 'd', 3, "pse" },         { 1, 'd', 4, "tsc" },      { 1, 'd', 5, "msr" },
    { 1, 'd', 6, "pae" },        { 1, 'd', 8, "cx8" },         { 1, 'd', 11, "sep" },     { 1, 'd', 15, "cmov" },
    { 1, 'd', 16, "pat" },       { 1, 'd', 19, "clflush" },    { 1, 'd', 23, "mmx" },     { 1, 'd', 24, "fxsr" },
    { 1, 'd', 25, "sse" },       { 1, 'd', 26, "sse2" },       { 1, 'd', 28, "ht" },      { 0x80000001, 'd', 11, "syscall" },
    { 0x80000001, 'd', 20, "nx" }, { 0x80000001, 'd', 27, "rdtscp" }, { 0x80000001, 'd', 29, "lm" },
    { 1, 'c', 0, "pni" },        { 1, 'c', 1, "pclmulqdq" },   { 1, 'c', 9, "ssse3" },    { 1, 'c', 12, "fma" },
    { 1, 'c', 13, "cx16" },      { 1, 'c', 19, "sse4_1" },     { 1, 'c', 20, "sse4_2" },  { 1, 'c', 22, "movbe" },
    { 1, 'c', 23, "popcnt" },    { 1, 'c', 25, "aes" },        { 1, 'c', 26, "xsave" },   { 1, 'c', 28, "avx" },
    { 1, 'c', 29, "f16c" },      { 1, 'c', 30, "rdrand" },     { 1, 'c', 31, "hypervisor" },
    { 0x80000001, 'c', 0, "lahf_lm" }, { 0x80000001, 'c', 5, "abm" }, { 0x80000001, 'c', 6, "sse4a" },
    { 7, 'b', 0, "fsgsbase" },   { 7, 'b', 3, "bmi1" },        { 7, 'b', 5, "avx2" },     { 7, 'b', 8, "bmi2" },
    { 7, 'b', 9, "erms" },       { 7, 'b', 16, "avx512f" },    { 7, 'b', 18, "rdseed" },  { 7, 'b', 19, "adx" },
    { 7, 'b', 29, "sha_ni" },
};

static void print_cpu_flags(struct text_buffer *text)
{
    for (unsigned int i = 0; i < array_count(cpu_flags); i++) {
        struct cpuid_result id = processor_cpuid(cpu_flags[i].leaf, 0);
        uint32_t word = cpu_flags[i].register_letter == 'b' ? id.ebx : cpu_flags[i].register_letter == 'c' ? id.ecx : id.edx;

        if ((word >> cpu_flags[i].bit) & 1)
            text_print(text, " %s", cpu_flags[i].name);
    }
}

static void print_cpu_names(struct text_buffer *text)
{
    struct cpuid_result vendor = processor_cpuid(0, 0), model = processor_cpuid(1, 0);
    char vendor_name[13] = { 0 }, brand[49] = { 0 };
    unsigned int family = (model.eax >> 8) & 15, number = (model.eax >> 4) & 15;

    memcpy(vendor_name, &vendor.ebx, 4);
    memcpy(vendor_name + 4, &vendor.edx, 4);
    memcpy(vendor_name + 8, &vendor.ecx, 4);
    for (uint32_t i = 0; i < 3 && processor_cpuid(0x80000000, 0).eax >= 0x80000004; i++) {
        struct cpuid_result piece = processor_cpuid(0x80000002 + i, 0);

        memcpy(brand + 16 * i, &piece.eax, 4);
        memcpy(brand + 16 * i + 4, &piece.ebx, 4);
        memcpy(brand + 16 * i + 8, &piece.ecx, 4);
        memcpy(brand + 16 * i + 12, &piece.edx, 4);
    }
    if (family >= 6)
        number |= ((model.eax >> 16) & 15) << 4;
    if (family == 15)
        family += (model.eax >> 20) & 255;
    text_print(text, "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", vendor_name,
               family, number, brand, model.eax & 15);
}

static int print_cpuinfo(struct text_buffer *text, void *data)
{
    unsigned int count = cpu_online_count();

    for (uint64_t rest = cpu_online_mask(); rest != 0; rest &= rest - 1) {
        unsigned int cpu = bits_lowest(rest);

        text_print(text, "processor\t: %u\n", cpu);
        print_cpu_names(text);
        text_print(text, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\nfpu\t\t: yes\n"
                         "fpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:",
                   count, cpu, count, cpu, processor_cpuid(0, 0).eax);
        print_cpu_flags(text);
        text_print(text, "\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 48 bits physical, 48 bits virtual\n\n");
    }
    return 0;
}

/* ---- Memory ---- */

static int print_meminfo(struct text_buffer *text, void *data)
{
    struct page_statistics s;
    uint64_t cached;

    page_statistics_get(&s);
    cached = s.kind_pages[PAGE_CACHE];

    const struct { const char *name; uint64_t pages; } lines[] = {
        { "MemTotal", s.total_pages },
        { "MemFree", s.free_pages },
        { "MemAvailable", s.free_pages + cached },
        { "Buffers", 0 },
        { "Cached", cached },
        { "SwapCached", 0 },
        { "Active", s.kind_pages[PAGE_ANONYMOUS] + cached },
        { "Inactive", 0 },
        { "SwapTotal", 0 },
        { "SwapFree", 0 },
        { "Dirty", 0 },
        { "Writeback", 0 },
        { "AnonPages", s.kind_pages[PAGE_ANONYMOUS] },
        { "Mapped", 0 },
        { "Shmem", 0 },
        { "KReclaimable", 0 },
        { "Slab", s.kind_pages[PAGE_KERNEL] },
        { "SReclaimable", 0 },
        { "SUnreclaim", s.kind_pages[PAGE_KERNEL] },
        { "KernelStack", s.kind_pages[PAGE_STACK] },
        { "PageTables", s.kind_pages[PAGE_TABLE] },
        { "CommitLimit", s.total_pages },
        { "Committed_AS", s.kind_pages[PAGE_ANONYMOUS] },
    };
    for (unsigned int i = 0; i < array_count(lines); i++)
        text_print(text, "%s:%*s%8llu kB\n", lines[i].name, (int)(15 - strlen(lines[i].name)), "",
                   (number_t)lines[i].pages * 4);
    text_print(text, "VmallocTotal:   1073741824 kB\nHugePages_Total:       0\nHugePages_Free:        0\n"
                     "HugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n");
    return 0;
}

static int print_vmstat(struct text_buffer *text, void *data)
{
    struct page_statistics s;

    page_statistics_get(&s);
    text_print(text, "nr_free_pages %llu\nnr_anon_pages %llu\nnr_file_pages %llu\nnr_page_table_pages %llu\n",
               (number_t)s.free_pages, (number_t)s.kind_pages[PAGE_ANONYMOUS], (number_t)s.kind_pages[PAGE_CACHE],
               (number_t)s.kind_pages[PAGE_TABLE]);
    return 0;
}

/* ---- Time and load ---- */

/* Of all CPUs that ever ran. */
static void total_times(uint64_t *busy_ns, uint64_t *idle_ns)
{
    *busy_ns = *idle_ns = 0;
    for (unsigned int cpu = 0; cpu < CPU_LIMIT; cpu++) {
        uint64_t busy, idle;

        scheduler_cpu_times(cpu, &busy, &idle);
        *busy_ns += busy;
        *idle_ns += idle;
    }
}

static int print_uptime(struct text_buffer *text, void *data)
{
    uint64_t up = clock_monotonic_ns() / TICK_NS, busy, idle;

    total_times(&busy, &idle);
    idle /= TICK_NS;
    text_print(text, "%llu.%02llu %llu.%02llu\n", (number_t)up / 100, (number_t)up % 100, (number_t)idle / 100,
               (number_t)idle % 100);
    return 0;
}

static int print_loadavg(struct text_buffer *text, void *data)
{
    uint64_t load[3];
    unsigned int runnable, total;

    scheduler_load(load, &runnable, &total);
    for (unsigned int i = 0; i < 3; i++)
        text_print(text, "%llu.%02llu ", (number_t)load[i] >> 11, (number_t)((load[i] & 2047) * 100) >> 11);
    text_print(text, "%u/%u %d\n", runnable, total, procfs_processes ? procfs_processes->last_pid() : 0);
    return 0;
}

/* Busy time is not kept apart by user and system for a CPU: it is all told as user time. */
static void print_cpu_times(struct text_buffer *text, uint64_t busy_ns, uint64_t idle_ns)
{
    text_print(text, " %llu 0 0 %llu 0 0 0 0 0 0\n", (number_t)(busy_ns / TICK_NS), (number_t)(idle_ns / TICK_NS));
}

static int print_stat(struct text_buffer *text, void *data)
{
    uint64_t up_ns = clock_monotonic_ns(), load[3], busy_ns, idle_ns;
    unsigned int runnable, total;

    text_print(text, "cpu ");
    total_times(&busy_ns, &idle_ns);
    print_cpu_times(text, busy_ns, idle_ns);
    for (uint64_t rest = cpu_online_mask(); rest != 0; rest &= rest - 1) {
        text_print(text, "cpu%u", bits_lowest(rest));
        scheduler_cpu_times(bits_lowest(rest), &busy_ns, &idle_ns);
        print_cpu_times(text, busy_ns, idle_ns);
    }
    scheduler_load(load, &runnable, &total);
    text_print(text, "intr 0\nctxt 0\nbtime %llu\nprocesses %d\nprocs_running %u\nprocs_blocked 0\nsoftirq 0\n",
               (number_t)((clock_real_ns() - up_ns) / 1000000000), procfs_processes ? procfs_processes->last_pid() : 0,
               runnable);
    return 0;
}

/* ---- The system's parts ---- */

static int print_filesystems(struct text_buffer *text, void *data)
{
    const struct file_system_type *type;

    for (size_t i = 0; (type = file_system_type_at(i)); i++)
        text_print(text, "%s\t%s\n", type->needs_device ? "" : "nodev", type->name);
    return 0;
}

static int print_cmdline(struct text_buffer *text, void *data)
{
    text_print(text, "%s\n", boot_info.command_line);
    return 0;
}

static int print_partitions(struct text_buffer *text, void *data)
{
    struct block_device *disk = NULL;

    text_print(text, "major minor  #blocks  name\n\n");
    while ((disk = block_device_next(disk)))
        text_print(text, "%4u %8u %10llu %s\n", DEVICE_MAJOR(disk->number), DEVICE_MINOR(disk->number),
                   (number_t)disk->sector_count / 2, disk->name);
    return 0;
}

static int print_diskstats(struct text_buffer *text, void *data)
{
    struct block_device *disk = NULL;

    while ((disk = block_device_next(disk)))
        text_print(text, "%4u %7u %s %llu 0 %llu 0 %llu 0 %llu 0 0 0 0 0 0 0 0 %llu 0\n", DEVICE_MAJOR(disk->number),
                   DEVICE_MINOR(disk->number), disk->name, (number_t)disk->read_requests, (number_t)disk->read_sectors,
                   (number_t)disk->write_requests, (number_t)disk->write_sectors, (number_t)disk->flush_requests);
    return 0;
}

static int print_swaps(struct text_buffer *text, void *data)
{
    text_print(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    return 0;
}

static int print_devices(struct text_buffer *text, void *data)
{
    text_print(text, "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\n"
                     "Block devices:\n202 xvd\n");
    return 0;
}

/* How many hypercalls were made, by number. */
static int print_hypercalls(struct text_buffer *text, void *data)
{
    uint64_t counts[64];

    hypercall_counts(counts);
    for (unsigned int i = 0; i < array_count(counts); i++)
        if (counts[i])
            text_print(text, "%u %llu\n", i, (number_t)counts[i]);
    return 0;
}

static int print_memory_kinds(struct text_buffer *text, void *data)
{
    static const char *const kinds[PAGE_KIND_COUNT] = { "free", "kernel", "page-tables", "stacks", "anonymous", "cache",
                                                        "device", "reserved" };
    struct page_statistics s;

    page_statistics_get(&s);
    text_print(text, "total %llu\n", (number_t)s.total_pages);
    for (unsigned int i = 0; i < PAGE_KIND_COUNT; i++)
        text_print(text, "%s %llu\n", kinds[i], (number_t)(i == PAGE_FREE ? s.free_pages : s.kind_pages[i]));
    return 0;
}

static const struct pseudo_file system_files[] = {
    { .path = "cmdline", .mode = 0444, .print = print_cmdline },
    { .path = "cpuinfo", .mode = 0444, .print = print_cpuinfo },
    { .path = "devices", .mode = 0444, .print = print_devices },
    { .path = "diskstats", .mode = 0444, .print = print_diskstats },
    { .path = "filesystems", .mode = 0444, .print = print_filesystems },
    { .path = "loadavg", .mode = 0444, .print = print_loadavg },
    { .path = "meminfo", .mode = 0444, .print = print_meminfo },
    { .path = "partitions", .mode = 0444, .print = print_partitions },
    { .path = "stat", .mode = 0444, .print = print_stat },
    { .path = "swaps", .mode = 0444, .print = print_swaps },
    { .path = "uptime", .mode = 0444, .print = print_uptime },
    { .path = "vmstat", .mode = 0444, .print = print_vmstat },
    { .path = "xenolith/hypercalls", .mode = 0444, .print = print_hypercalls },
    { .path = "xenolith/memory", .mode = 0444, .print = print_memory_kinds },
};

int proc_system_start(void)
{
    return pseudo_tree_add(&procfs_tree, system_files, array_count(system_files));
}
