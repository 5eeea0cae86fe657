/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/sys: the limits and habits of this kernel under the names Linux gives them. What cannot be changed is not
 * writable. (The host's name is kernel/linux's, the network's settings are kernel/net's; they add theirs.)
 */
#include "kernel/fs/procfs/procfs.h"

#include "kernel/base/error.h"
#include "kernel/device/random.h"
#include "kernel/memory/page.h"

static int print_text(struct text_buffer *text, void *data)
{
    text_print(text, "%s\n", (const char *)data);
    return 0;
}

/* A random (version 4) UUID from sixteen bytes. */
static void print_uuid_bytes(struct text_buffer *text, uint8_t bytes[16])
{
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    for (unsigned int i = 0; i < 16; i++)
        text_print(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
    text_append(text, "\n", 1);
}

static int print_uuid(struct text_buffer *text, void *data)
{
    uint8_t bytes[16];

    random_bytes(bytes, sizeof(bytes));
    print_uuid_bytes(text, bytes);
    return 0;
}

static uint8_t boot_id[16]; /* set once, at boot */

static int print_boot_id(struct text_buffer *text, void *data)
{
    print_uuid_bytes(text, boot_id);
    return 0;
}

static int print_entropy(struct text_buffer *text, void *data)
{
    text_print(text, "%u\n", random_entropy_bits());
    return 0;
}

static int print_threads_limit(struct text_buffer *text, void *data)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    text_print(text, "%llu\n", (unsigned long long)statistics.total_pages / 8); /* a thread costs a stack and more */
    return 0;
}

#define SETTING(name, value) { .path = "sys/" name, .mode = 0444, .print = print_text, .data = (void *)(value) }

static const struct pseudo_file settings[] = {
    { .path = "sys/kernel/random/boot_id", .mode = 0444, .print = print_boot_id },
    { .path = "sys/kernel/random/uuid", .mode = 0444, .print = print_uuid },
    { .path = "sys/kernel/random/entropy_avail", .mode = 0444, .print = print_entropy },
    SETTING("kernel/random/poolsize", "256"),
    { .path = "sys/kernel/threads-max", .mode = 0444, .print = print_threads_limit },
    SETTING("kernel/ostype", "Linux"),
    SETTING("kernel/pid_max", "32768"),
    SETTING("kernel/cap_last_cap", "40"),
    SETTING("kernel/ngroups_max", "65536"),
    SETTING("kernel/randomize_va_space", "2"),
    SETTING("kernel/core_pattern", "core"),
    SETTING("kernel/sem", "32000\t1024000000\t500\t32000"),
    SETTING("kernel/shmmax", "18446744073692774399"),
    SETTING("kernel/shmall", "18446744073692774399"),
    SETTING("kernel/shmmni", "4096"),
    SETTING("kernel/msgmax", "8192"),
    SETTING("kernel/msgmnb", "16384"),
    SETTING("kernel/msgmni", "32000"),
    SETTING("kernel/sched_rr_timeslice_ms", "100"),
    SETTING("kernel/yama/ptrace_scope", "0"),
    SETTING("kernel/perf_event_paranoid", "4"),
    SETTING("vm/overcommit_memory", "0"),
    SETTING("vm/overcommit_ratio", "50"),
    SETTING("vm/max_map_count", "65530"),
    SETTING("vm/mmap_min_addr", "65536"),
    SETTING("vm/swappiness", "0"),
    SETTING("vm/nr_hugepages", "0"),
    SETTING("fs/file-max", "9223372036854775807"),
    SETTING("fs/nr_open", "1048576"),
    SETTING("fs/pipe-max-size", "1048576"),
    SETTING("fs/pipe-user-pages-soft", "16384"),
    SETTING("fs/aio-max-nr", "65536"),
    SETTING("fs/mqueue/msg_max", "10"),
    SETTING("fs/mqueue/msgsize_max", "8192"),
    SETTING("fs/mqueue/queues_max", "256"),
    SETTING("fs/inotify/max_queued_events", "16384"),
    SETTING("fs/inotify/max_user_instances", "128"),
    SETTING("fs/inotify/max_user_watches", "65536"),
    SETTING("fs/epoll/max_user_watches", "1000000"),
};

int proc_settings_start(void)
{
    random_bytes(boot_id, sizeof(boot_id));
    return pseudo_tree_add(&procfs_tree, settings, array_count(settings));
}
