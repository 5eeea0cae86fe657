/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /sys, as far as programs look there to size themselves: processors and their topology, huge pages, the memory and
 * processor limits of the (only) control group, what hypervisor this is.
 */
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/fs/procfs/procfs.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "xen/machine/cpu_start.h"
#include "xen/x86/paging.h"

static int print_text(struct text_buffer *text, void *data)
{
    text_print(text, "%s\n", (const char *)data);
    return 0;
}

static uint64_t possible_mask; /* fixed */

static int print_online(struct text_buffer *text, void *data)
{
    text_print_list(text, cpu_online_mask());
    return 0;
}

static int print_offline(struct text_buffer *text, void *data)
{
    text_print_list(text, possible_mask & ~cpu_online_mask());
    return 0;
}

static int print_possible(struct text_buffer *text, void *data)
{
    text_print_list(text, possible_mask);
    return 0;
}

static int print_own_online(struct text_buffer *text, void *data)
{
    text_print(text, "%u\n", (unsigned int)(cpu_online_mask() >> (uintptr_t)data) & 1);
    return 0;
}

static int print_number(struct text_buffer *text, void *data)
{
    text_print(text, "%lu\n", (unsigned long)(uintptr_t)data);
    return 0;
}

/* One bit a CPU, as Linux's hexadecimal masks. */
static int print_all_mask(struct text_buffer *text, void *data)
{
    text_print(text, "%llx\n", (unsigned long long)cpu_online_mask());
    return 0;
}

static int print_own_mask(struct text_buffer *text, void *data)
{
    text_print(text, "%llx\n", 1ull << (uintptr_t)data);
    return 0;
}

static int print_node_meminfo(struct text_buffer *text, void *data)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    text_print(text, "Node 0 MemTotal: %llu kB\nNode 0 MemFree: %llu kB\n",
               (unsigned long long)statistics.total_pages * 4, (unsigned long long)statistics.free_pages * 4);
    return 0;
}

static int print_memory_used(struct text_buffer *text, void *data)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    text_print(text, "%llu\n", (unsigned long long)(statistics.total_pages - statistics.free_pages) * PAGE_SIZE);
    return 0;
}

/* What a program may count on: with "always", as Redis reads it, a store would cost 2 MiB, and a copy after fork too. */
static int print_large_pages(struct text_buffer *text, void *data)
{
    text_print(text, "always %s\n", paging_has_large() ? "[madvise] never" : "madvise [never]");
    return 0;
}

#define TEXT(name, value) { .path = (name), .mode = 0444, .print = print_text, .data = (void *)(value) }

static const struct pseudo_file files[] = {
    { .path = "devices/system/cpu/online", .mode = 0444, .print = print_online },
    { .path = "devices/system/cpu/possible", .mode = 0444, .print = print_possible },
    { .path = "devices/system/cpu/present", .mode = 0444, .print = print_possible },
    TEXT("devices/system/cpu/kernel_max", "63"),
    { .path = "devices/system/cpu/offline", .mode = 0444, .print = print_offline },
    TEXT("devices/system/node/online", "0"),
    TEXT("devices/system/node/possible", "0"),
    TEXT("devices/system/node/has_memory", "0"),
    { .path = "devices/system/node/node0/cpulist", .mode = 0444, .print = print_online },
    { .path = "devices/system/node/node0/cpumap", .mode = 0444, .print = print_all_mask },
    { .path = "devices/system/node/node0/meminfo", .mode = 0444, .print = print_node_meminfo },
    TEXT("devices/system/node/node0/distance", "10"),
    { .path = "kernel/mm/transparent_hugepage/enabled", .mode = 0444, .print = print_large_pages },
    TEXT("kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise madvise [never]"),
    TEXT("kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152"),
    TEXT("fs/cgroup/cgroup.controllers", "cpu memory pids"),
    TEXT("fs/cgroup/memory.max", "max"),
    TEXT("fs/cgroup/memory.high", "max"),
    TEXT("fs/cgroup/cpu.max", "max 100000"),
    TEXT("fs/cgroup/pids.max", "max"),
    { .path = "fs/cgroup/memory.current", .mode = 0444, .print = print_memory_used },
    TEXT("hypervisor/type", "xen"),
};

/* The topology files of one CPU: every one a core of its own in one package. */
static int cpu_files_add(unsigned int cpu)
{
    static const struct {
        const char *name;
        int (*print)(struct text_buffer *text, void *data);
        bool own_number;
    } names[] = {
        { "online", print_own_online, true },
        { "topology/core_id", print_number, true },
        { "topology/physical_package_id", print_number, false },
        { "topology/thread_siblings", print_own_mask, true },
        { "topology/thread_siblings_list", print_number, true },
        { "topology/core_siblings", print_all_mask, false },
        { "topology/core_siblings_list", print_online, false },
    };
    struct pseudo_file *added = memory_allocate_zeroed(array_count(names) * sizeof(*added));
    char path[80];

    if (!added)
        return -ENOMEM;
    for (unsigned int i = 0; i < array_count(names); i++) {
        format_string(path, sizeof(path), "devices/system/cpu/cpu%u/%s", cpu, names[i].name);
        added[i].path = memory_duplicate_string(path);
        if (!added[i].path)
            return -ENOMEM; /* at boot, whose end this is */
        added[i].mode = 0444;
        added[i].print = names[i].print;
        added[i].data = (void *)(uintptr_t)(names[i].own_number ? cpu : 0);
    }
    return pseudo_tree_add(&sysfs_tree, added, array_count(names));
}

int sysfs_start(void)
{
    unsigned int count = minimum(cpu_count_possible(), (unsigned int)CPU_LIMIT);
    int error = pseudo_tree_add(&sysfs_tree, files, array_count(files));

    possible_mask = ~0ull >> (64 - count);
    for (unsigned int cpu = 0; !error && cpu < count; cpu++)
        error = cpu_files_add(cpu);
    return error;
}
