/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/PID's texts, in the layouts of Linux's proc(5): ps, top, psutil, Go, the JVM and libuv parse them by column.
 */
#include "kernel/fs/procfs/procfs.h"

#include "kernel/base/error.h"
#include "kernel/vfs/dentry.h"
#include "kernel/vfs/mount.h"

#define TICKS_PER_SECOND 100ull
#define TICK_NS (1000000000ull / TICKS_PER_SECOND)

typedef unsigned long long number_t;

int proc_print_stat(struct text_buffer *text, int pid, int tid)
{
    struct procfs_process f;
    int error = procfs_processes->status(pid, tid, &f);

    if (error)
        return error;
    text_print(text, "%d (%s) %c %d %d %d %llu %d 4194304 %llu 0 %llu 0 %llu %llu %llu %llu %d %d %u 0 %llu %llu %llu ",
               f.tid, f.command, f.state, f.parent_pid, f.group_id, f.session_id, (number_t)f.terminal_device,
               f.terminal_group_id ? f.terminal_group_id : -1, (number_t)f.faults_minor, (number_t)f.faults_major,
               (number_t)(f.user_ns / TICK_NS), (number_t)(f.system_ns / TICK_NS),
               (number_t)(f.children_user_ns / TICK_NS), (number_t)(f.children_system_ns / TICK_NS), 20 + f.nice, f.nice,
               f.thread_count, (number_t)(f.start_ns / TICK_NS), (number_t)(f.virtual_pages * PAGE_SIZE),
               (number_t)f.resident_pages);
    text_print(text, "18446744073709551615 %llu %llu %llu %llu %llu %llu %llu %llu %llu 0 0 0 %d %d 0 0 0 0 0 ",
               (number_t)f.code_start, (number_t)f.code_end, (number_t)f.stack_start, (number_t)f.stack_pointer,
               (number_t)f.instruction_pointer, (number_t)(f.signals_pending & 0x7fffffff),
               (number_t)(f.signals_blocked & 0x7fffffff), (number_t)(f.signals_ignored & 0x7fffffff),
               (number_t)(f.signals_caught & 0x7fffffff), f.exit_signal, f.cpu);
    text_print(text, "%llu %llu %llu %llu %llu %llu %llu %d\n", (number_t)f.data_start, (number_t)f.data_end,
               (number_t)f.break_start, (number_t)f.arguments_start, (number_t)f.arguments_end,
               (number_t)f.environment_start, (number_t)f.environment_end, f.exit_code);
    return 0;
}

static const char *state_name(char state)
{
    switch (state) {
    case 'R':
        return "R (running)";
    case 'D':
        return "D (disk sleep)";
    case 'T':
        return "T (stopped)";
    case 'Z':
        return "Z (zombie)";
    default:
        return "S (sleeping)";
    }
}

static void print_kib(struct text_buffer *text, const char *name, uint64_t pages)
{
    text_print(text, "%s:\t%8llu kB\n", name, (number_t)pages * 4);
}

static void print_memory(struct text_buffer *text, const struct procfs_process *f)
{
    print_kib(text, "VmPeak", f->virtual_pages);
    print_kib(text, "VmSize", f->virtual_pages);
    print_kib(text, "VmLck", f->locked_pages);
    print_kib(text, "VmPin", 0);
    print_kib(text, "VmHWM", maximum(f->resident_peak_pages, f->resident_pages));
    print_kib(text, "VmRSS", f->resident_pages);
    print_kib(text, "RssAnon", f->resident_pages - f->file_pages - f->shared_pages);
    print_kib(text, "RssFile", f->file_pages);
    print_kib(text, "RssShmem", f->shared_pages);
    print_kib(text, "VmData", f->data_pages);
    print_kib(text, "VmStk", f->stack_pages);
    print_kib(text, "VmExe", f->code_pages);
    print_kib(text, "VmLib", f->library_pages);
    print_kib(text, "VmPTE", 0);
    print_kib(text, "VmSwap", 0);
}

static void print_cpus(struct text_buffer *text, uint64_t mask)
{
    text_print(text, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", (number_t)mask);
    text_print_list(text, mask);
    text_print(text, "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int proc_print_status(struct text_buffer *text, int pid, int tid)
{
    struct procfs_process f;
    int error = procfs_processes->status(pid, tid, &f);

    if (error)
        return error;
    text_print(text, "Name:\t%s\nUmask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
               f.command, f.umask, state_name(f.state), f.pid, f.tid, f.parent_pid);
    text_print(text, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%d\nGroups:\t", f.uid, f.euid, f.suid, f.fsuid,
               f.gid, f.egid, f.sgid, f.fsgid, f.fd_slots);
    for (uint32_t i = 0; i < minimum(f.group_count, (uint32_t)array_count(f.groups)); i++)
        text_print(text, "%u ", f.groups[i]);
    text_print(text, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", f.pid, f.tid, f.group_id, f.session_id);
    if (f.state != 'Z')
        print_memory(text, &f);
    text_print(text, "CoreDumping:\t0\nTHP_enabled:\t%d\nThreads:\t%u\nSigQ:\t%u/%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\n",
               f.large_pages, f.thread_count, f.signals_queued, (number_t)f.signals_queued_limit, (number_t)f.signals_pending,
               (number_t)f.signals_shared_pending);
    text_print(text, "SigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n", (number_t)f.signals_blocked,
               (number_t)f.signals_ignored, (number_t)f.signals_caught);
    text_print(text, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
               (number_t)f.capabilities_inheritable, (number_t)f.capabilities_permitted,
               (number_t)f.capabilities_effective, (number_t)f.capabilities_bounding, (number_t)f.capabilities_ambient);
    text_print(text, "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", f.no_new_privileges);
    print_cpus(text, f.cpu_mask);
    text_print(text, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
               (number_t)f.switches_voluntary, (number_t)f.switches_involuntary);
    return 0;
}

int proc_print_statm(struct text_buffer *text, int pid, int tid)
{
    struct procfs_process f;
    int error = procfs_processes->status(pid, tid, &f);

    if (!error)
        text_print(text, "%llu %llu %llu %llu 0 %llu 0\n", (number_t)f.virtual_pages, (number_t)f.resident_pages,
                   (number_t)(f.file_pages + f.shared_pages), (number_t)f.code_pages,
                   (number_t)(f.data_pages + f.stack_pages));
    return error;
}

static void print_limit(struct text_buffer *text, uint64_t value)
{
    if (value == UINT64_MAX)
        text_print(text, "%-20s ", "unlimited");
    else
        text_print(text, "%-20llu ", (number_t)value);
}

int proc_print_limits(struct text_buffer *text, int pid, int tid)
{
    static const struct {
        const char *name, *unit;
    } names[16] = {
        { "Max cpu time", "seconds" },       { "Max file size", "bytes" },       { "Max data size", "bytes" },
        { "Max stack size", "bytes" },       { "Max core file size", "bytes" },  { "Max resident set", "bytes" },
        { "Max processes", "processes" },    { "Max open files", "files" },      { "Max locked memory", "bytes" },
        { "Max address space", "bytes" },    { "Max file locks", "locks" },      { "Max pending signals", "signals" },
        { "Max msgqueue size", "bytes" },    { "Max nice priority", "" },        { "Max realtime priority", "" },
        { "Max realtime timeout", "us" },
    };
    struct procfs_process f;
    int error = procfs_processes->status(pid, tid, &f);

    if (error)
        return error;
    text_print(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned int i = 0; i < array_count(names); i++) {
        text_print(text, "%-25s ", names[i].name);
        print_limit(text, f.limits[i].soft);
        print_limit(text, f.limits[i].hard);
        text_print(text, "%-10s\n", names[i].unit);
    }
    return 0;
}

static void print_area(struct text_buffer *text, const struct procfs_area *area)
{
    size_t before = text->length_bytes;

    text_print(text, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (number_t)area->start, (number_t)area->end,
               area->readable ? 'r' : '-', area->writable ? 'w' : '-', area->executable ? 'x' : '-',
               area->shared ? 's' : 'p', (number_t)area->offset_bytes, (unsigned int)(area->device >> 8) & 0xfff,
               (unsigned int)area->device & 0xff, (number_t)area->inode);
    if (area->name[0]) {
        while (text->length_bytes - before < 73 && !text->failed)
            text_append(text, " ", 1);
        text_print(text, "%s", area->name);
    }
    text_append(text, "\n", 1);
}

int proc_print_maps(struct text_buffer *text, int pid, int tid)
{
    struct procfs_area area;
    uint64_t address = 0;
    int error;

    while ((error = procfs_processes->area(pid, address, &area)) == 0) {
        print_area(text, &area);
        address = area.end;
    }
    return error == -ENOENT ? 0 : error;
}

int proc_print_smaps(struct text_buffer *text, int pid, int tid)
{
    struct procfs_area area;
    uint64_t address = 0;
    int error;

    while ((error = procfs_processes->area(pid, address, &area)) == 0) {
        print_area(text, &area);
        text_print(text, "Size:           %8llu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n",
                   (number_t)(area.end - area.start) / 1024);
        text_print(text, "Rss:            %8llu kB\nAnonHugePages:  %8llu kB\n", (number_t)area.resident_pages * 4,
                   (number_t)area.large_pages * 4);
        address = area.end;
    }
    return error == -ENOENT ? 0 : error;
}

struct mounts_print {
    struct text_buffer *text;
    struct fs_context context;
    bool long_form;
};

/* Blanks and the like in names, as octal. */
static void print_escaped(struct text_buffer *text, const char *name)
{
    for (; *name; name++)
        if (*name == ' ' || *name == '\t' || *name == '\n' || *name == '\\')
            text_print(text, "\\%03o", (unsigned int)(unsigned char)*name);
        else
            text_append(text, name, 1);
}

static void print_mount(void *context, struct mount *mount)
{
    struct mounts_print *print = context;
    struct text_buffer *text = print->text;
    struct path path = { mount, mount->root };
    struct path above;
    char name[512];
    const char *mode = mount_writable(&path) ? "ro" : "rw";
    const char *type = mount->file_system->type;
    uint64_t device = mount->file_system->device;

    if (path_name(&print->context, &path, name, sizeof(name), false) < 0)
        return;
    if (print->long_form) {
        int parent_id = 1;

        if (mount_point(mount, &above)) {
            parent_id = above.mount->id;
            path_release(&above);
        }
        text_print(text, "%d %d %u:%u / ", mount->id, parent_id, (unsigned int)(device >> 8) & 0xfff,
                   (unsigned int)device & 0xff);
        print_escaped(text, name);
        text_print(text, " %s,relatime - %s ", mode, type);
        print_escaped(text, mount->source);
        text_print(text, " %s\n", mode);
    } else {
        print_escaped(text, mount->source);
        text_append(text, " ", 1);
        print_escaped(text, name);
        text_print(text, " %s %s,relatime 0 0\n", type, mode);
    }
}

static int print_mounts(struct text_buffer *text, bool long_form)
{
    struct mounts_print print = { .text = text, .long_form = long_form };

    procfs_processes->context(&print.context);
    mount_for_each(print_mount, &print);
    procfs_processes->context_release(&print.context);
    return 0;
}

int proc_print_mounts(struct text_buffer *text, int pid, int tid)
{
    return print_mounts(text, false);
}

int proc_print_mountinfo(struct text_buffer *text, int pid, int tid)
{
    return print_mounts(text, true);
}
