/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program asks of the system as a whole: names, memory, limits, usage, scheduling.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/linux/abi/time.h"

#define LINUX_NAME_BYTES 65

struct linux_utsname {
    char system[LINUX_NAME_BYTES], node[LINUX_NAME_BYTES], release[LINUX_NAME_BYTES], version[LINUX_NAME_BYTES],
        machine[LINUX_NAME_BYTES], domain[LINUX_NAME_BYTES];
};
_Static_assert(sizeof(struct linux_utsname) == 390, "struct new_utsname");

struct linux_sysinfo {
    int64_t uptime_seconds;
    uint64_t loads[3]; /* scaled by 65536 */
    uint64_t total_memory, free_memory, shared_memory, buffer_memory, total_swap, free_swap;
    uint16_t processes, padding;
    uint64_t total_high, free_high;
    uint32_t unit_bytes;
};
_Static_assert(sizeof(struct linux_sysinfo) == 112, "struct sysinfo");
_Static_assert(offsetof(struct linux_sysinfo, unit_bytes) == 104, "struct sysinfo");

struct linux_rlimit {
    uint64_t soft, hard;
};
_Static_assert(sizeof(struct linux_rlimit) == 16, "struct rlimit64");

struct linux_rusage {
    struct linux_timeval user_time, system_time;
    int64_t resident_peak_kib, shared_kib, data_kib, stack_kib, faults_minor, faults_major, swaps, blocks_in, blocks_out,
        messages_sent, messages_received, signals, switches_voluntary, switches_involuntary;
};
_Static_assert(sizeof(struct linux_rusage) == 144, "struct rusage");

#define LINUX_SCHED_OTHER 0
#define LINUX_SCHED_FIFO 1
#define LINUX_SCHED_RR 2
#define LINUX_SCHED_BATCH 3
#define LINUX_SCHED_IDLE 5
#define LINUX_SCHED_DEADLINE 6
#define LINUX_SCHED_RESET_ON_FORK 0x40000000

struct linux_sched_attr {
    uint32_t size_bytes, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
    uint32_t clamp_low, clamp_high;
};
_Static_assert(sizeof(struct linux_sched_attr) == 56, "struct sched_attr");

struct linux_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_bytes, tls, set_tid, set_tid_count, cgroup;
};
_Static_assert(sizeof(struct linux_clone_args) == 88, "struct clone_args");

#define LINUX_GRND_NONBLOCK 1u
#define LINUX_GRND_RANDOM 2u
#define LINUX_GRND_INSECURE 4u

#define LINUX_REBOOT_MAGIC1 0xfee1deadu
#define LINUX_REBOOT_CAD_OFF 0u
#define LINUX_REBOOT_CAD_ON 0x89abcdefu
#define LINUX_REBOOT_HALT 0xcdef0123u
#define LINUX_REBOOT_POWER_OFF 0x4321fedcu
#define LINUX_REBOOT_RESTART 0x01234567u
#define LINUX_REBOOT_RESTART2 0xa1b2c3d4u
