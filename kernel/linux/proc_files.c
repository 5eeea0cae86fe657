/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/linux shows in /proc: how often each system call was made, which were refused, and the system's names and
 * versions.
 */
#include "kernel/linux/proc_files.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/fs/procfs/pseudo_tree.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/dispatch.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/system_names.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vm/code_patch.h"
#include "xen/x86/trap.h"

#define COUNTS_BYTES 20480u

/* A text that is made in one piece. */
static int print_made(struct text_buffer *text, size_t (*make)(char *buffer, size_t size_bytes))
{
    char *buffer = memory_allocate(COUNTS_BYTES);
    if (!buffer)
        return -ENOMEM;
    text_append(text, buffer, minimum(make(buffer, COUNTS_BYTES), (size_t)COUNTS_BYTES - 1));
    memory_free(buffer);
    return 0;
}

static int print_counts(struct text_buffer *text, void *data)
{
    return print_made(text, system_calls_text);
}

static int print_unknown(struct text_buffer *text, void *data)
{
    return print_made(text, system_calls_unknown_text);
}

/* Sites that became doors, calls that came by them, and what else there is to know of it. */
static int print_doors(struct text_buffer *text, void *data)
{
    struct code_patch_statistics doors;
    uint64_t traps = trap_system_calls(), calls = 0;

    for (uint32_t number = 0; number < SYSTEM_CALL_LIMIT; number++)
        calls += system_call_count(number);
    code_patch_statistics_get(&doors);
    text_print(text, "sites %llu\nsites-shared %llu\ncalls-by-door %llu\ncalls-by-trap %llu\nsites-refused %llu\nrepairs %llu\n", (unsigned long long)doors.sites,
               (unsigned long long)doors.shared, (unsigned long long)(calls > traps ? calls - traps : 0), (unsigned long long)traps, (unsigned long long)doors.refused,
               (unsigned long long)doors.repairs);
    return 0;
}

static int print_name(struct text_buffer *text, void *data)
{
    char name[SYSTEM_NAME_BYTES];
    system_name_get((enum system_name)(uintptr_t)data, name);
    text_print(text, "%s\n", name);
    return 0;
}

static int write_name(const char *text, size_t length_bytes, void *data)
{
    size_t length = strcspn(text, "\n");
    if (!task_capable(CAPABILITY_SYS_ADMIN))
        return -EPERM;
    return system_name_set((enum system_name)(uintptr_t)data, text, minimum(length, length_bytes));
}

static int print_release(struct text_buffer *text, void *data)
{
    text_print(text, "%s\n", system_release());
    return 0;
}

static int print_version(struct text_buffer *text, void *data)
{
    text_print(text, "%s\n", system_version());
    return 0;
}

static int print_banner(struct text_buffer *text, void *data)
{
    text_print(text, "Linux version %s %s\n", system_release(), system_version());
    return 0;
}

#define NAME(which) .mode = 0644, .print = print_name, .write = write_name, .data = (void *)(uintptr_t)(which)

static const struct pseudo_file files[] = {
    { .path = "xenolith/doors", .mode = 0444, .print = print_doors },
    { .path = "xenolith/system-calls", .mode = 0444, .print = print_counts },
    { .path = "xenolith/unknown-system-calls", .mode = 0444, .print = print_unknown },
    { .path = "sys/kernel/hostname", NAME(SYSTEM_NAME_NODE) },
    { .path = "sys/kernel/domainname", NAME(SYSTEM_NAME_DOMAIN) },
    { .path = "sys/kernel/osrelease", .mode = 0444, .print = print_release },
    { .path = "sys/kernel/version", .mode = 0444, .print = print_version },
    { .path = "version", .mode = 0444, .print = print_banner },
};

int proc_files_start(void)
{
    return pseudo_tree_add(&procfs_tree, files, array_count(files));
}
