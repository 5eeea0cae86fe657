/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identity, clocks, scheduling, prctl, randomness, the system's names, and numbers that are no calls.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

static void identity(void)
{
    uid_t real, effective, saved;
    is(getresuid(&real, &effective, &saved), 0, "getresuid");
    ok(real == getuid() && effective == geteuid(), "it says what getuid and geteuid say");
    is(setuid(getuid()), 0, "setuid to oneself");
    is(setresuid(-1, -1, -1), 0, "setresuid that changes nothing");
    fails(setuid((uid_t)-1), EINVAL, "setuid to -1");
    ok(setfsuid((uid_t)-1) == (int)geteuid(), "setfsuid asks");
    fails(getgroups(-1, NULL), EINVAL, "getgroups of -1");
    int groups = getgroups(0, NULL);
    ok(groups >= 0, "getgroups of 0 counts");
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    is(syscall(SYS_capget, &header, data), 0, "capget");
    header.version = 1;
    fails(syscall(SYS_capget, &header, data), EINVAL, "capget of an unknown version");
    ok(header.version == _LINUX_CAPABILITY_VERSION_3, "it tells the one it knows");
}

static void clocks(void)
{
    struct timespec a, b, wrong = { 0, 1000000000 }, negative = { -1, 0 }, zero = { 0, 0 };
    const int known[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                          CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME };
    for (unsigned int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof(name), "clock %d", known[i]);
        is(clock_gettime(known[i], &a), 0, name);
    }
    fails(clock_gettime(99, &a), EINVAL, "clock 99");
    fails(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, BAD), EFAULT, "a clock to a bad address");
    is(clock_getres(CLOCK_MONOTONIC, &a), 0, "clock_getres");
    ok(a.tv_sec == 0 && a.tv_nsec == 1, "one nanosecond");
    clock_gettime(CLOCK_MONOTONIC, &a);
    is(usleep(20000), 0, "usleep");
    clock_gettime(CLOCK_MONOTONIC, &b);
    ok((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 20000000, "it slept that long");
    fails(nanosleep(&wrong, NULL), EINVAL, "nanosleep of a billion nanoseconds");
    fails(nanosleep(&negative, NULL), EINVAL, "nanosleep of a negative time");
    is(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL), 0, "a sleep until the past");
    is(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &zero, NULL), EINVAL, "a sleep on the thread's clock");
    is(clock_nanosleep(99, 0, &zero, NULL), EINVAL, "a sleep on an unknown clock");
    struct timeval now;
    is(gettimeofday(&now, NULL), 0, "gettimeofday");
    time_t seconds = time(NULL);
    ok(seconds - now.tv_sec >= 0 && seconds - now.tv_sec <= 1, "time");
    struct tms ticks;
    ok(times(&ticks) != -1, "times");
    struct timex adjust = { 0 };
    ok(adjtimex(&adjust) >= 0, "adjtimex");
    fails(clock_settime(CLOCK_MONOTONIC, &zero), EINVAL, "setting the monotonic clock");
}

static void scheduling(void)
{
    cpu_set_t cpus;
    struct sched_param parameters = { 0 };
    CPU_ZERO(&cpus);
    is(sched_getaffinity(0, sizeof(cpus), &cpus), 0, "sched_getaffinity");
    ok(CPU_COUNT(&cpus) >= 1, "there is a CPU");
    is(sched_setaffinity(0, sizeof(cpus), &cpus), 0, "sched_setaffinity");
    CPU_ZERO(&cpus);
    fails(sched_setaffinity(0, sizeof(cpus), &cpus), EINVAL, "no CPU at all");
    fails(syscall(SYS_sched_getaffinity, 0, 3, &cpus), EINVAL, "a mask of 3 bytes");
    fails(sched_getaffinity(12345678, sizeof(cpus), &cpus), ESRCH, "nobody's CPUs");
    is(sched_getscheduler(0), SCHED_OTHER, "sched_getscheduler");
    is(sched_getparam(0, &parameters), 0, "sched_getparam");
    is(parameters.sched_priority, 0, "its priority");
    is(sched_get_priority_max(SCHED_FIFO), 99, "sched_get_priority_max");
    is(sched_get_priority_min(SCHED_RR), 1, "sched_get_priority_min");
    is(sched_get_priority_max(SCHED_OTHER), 0, "of SCHED_OTHER");
    fails(sched_get_priority_max(77), EINVAL, "of an unknown policy");
    parameters.sched_priority = 5;
    fails(sched_setscheduler(0, SCHED_OTHER, &parameters), EINVAL, "a priority for SCHED_OTHER");
    fails(sched_setscheduler(0, 77, &parameters), EINVAL, "an unknown policy");
    fails(sched_setparam(0, NULL), EINVAL, "sched_setparam of nothing");
    is(sched_yield(), 0, "sched_yield");
    unsigned int cpu = 9999, node = 9999;
    is(syscall(SYS_getcpu, &cpu, &node, NULL), 0, "getcpu");
    ok(cpu < 9999 && node == 0, "a CPU, and node 0");
}

static void controls(void)
{
    char name[17] = { 0 };
    int number = -1;
    is(prctl(PR_SET_NAME, "twelve chars"), 0, "PR_SET_NAME");
    is(prctl(PR_GET_NAME, name), 0, "PR_GET_NAME");
    ok(strcmp(name, "twelve chars") == 0, "the name");
    is(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0, "PR_SET_PDEATHSIG");
    prctl(PR_GET_PDEATHSIG, &number);
    is(number, SIGUSR1, "PR_GET_PDEATHSIG");
    prctl(PR_SET_PDEATHSIG, 0);
    fails(prctl(PR_SET_PDEATHSIG, 99), EINVAL, "PR_SET_PDEATHSIG of 99");
    is(prctl(PR_GET_DUMPABLE), 1, "PR_GET_DUMPABLE");
    is(prctl(PR_SET_DUMPABLE, 0), 0, "PR_SET_DUMPABLE");
    is(prctl(PR_GET_DUMPABLE), 0, "PR_GET_DUMPABLE");
    prctl(PR_SET_DUMPABLE, 1);
    is(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0, "PR_GET_NO_NEW_PRIVS");
    fails(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0), EINVAL, "PR_SET_NO_NEW_PRIVS of 2");
    is(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0, "PR_SET_NO_NEW_PRIVS");
    is(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1, "PR_GET_NO_NEW_PRIVS");
    is(prctl(PR_SET_CHILD_SUBREAPER, 1), 0, "PR_SET_CHILD_SUBREAPER");
    prctl(PR_GET_CHILD_SUBREAPER, &number);
    is(number, 1, "PR_GET_CHILD_SUBREAPER");
    is(prctl(PR_SET_TIMERSLACK, 1234), 0, "PR_SET_TIMERSLACK");
    is(prctl(PR_GET_TIMERSLACK), 1234, "PR_GET_TIMERSLACK");
    is(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0, "PR_GET_THP_DISABLE");
    is(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0, "PR_SET_THP_DISABLE");
    is(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1, "which is told");
    is(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0, "and taken back");
    fails(prctl(PR_SET_THP_DISABLE, 1, 0, 1, 0), EINVAL, "PR_SET_THP_DISABLE with more");
    fails(prctl(PR_CAPBSET_READ, 99), EINVAL, "PR_CAPBSET_READ of 99");
    fails(prctl(9999), EINVAL, "an unknown option");
    unsigned long base = 0;
    is(syscall(SYS_arch_prctl, 0x1003, &base), 0, "ARCH_GET_FS");
    ok(base != 0, "the thread's area");
    fails(syscall(SYS_arch_prctl, 0x1002, 1ul << 63), EPERM, "ARCH_SET_FS to the kernel");
    fails(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL, "an unknown one");
}

static void whole(void)
{
    struct utsname names;
    struct sysinfo information;
    char bytes[32];
    is(uname(&names), 0, "uname");
    ok(strcmp(names.sysname, "Linux") == 0 && strcmp(names.machine, "x86_64") == 0 && atoi(names.release) >= 5, "a Linux for x86_64");
    fails(syscall(SYS_uname, BAD), EFAULT, "uname to a bad address");
    is(sysinfo(&information), 0, "sysinfo");
    ok(information.totalram > information.freeram && information.mem_unit >= 1, "memory");
    is(getrandom(bytes, sizeof(bytes), 0), 32, "getrandom");
    is(getrandom(bytes, 0, 0), 0, "getrandom of nothing");
    fails(getrandom(bytes, 1, 99), EINVAL, "getrandom with unknown flags");
    fails(getrandom(BAD, 1, 0), EFAULT, "getrandom to a bad address");
    is(syscall(SYS_personality, 0xffffffff), 0, "personality");
    fails(syscall(SYS_reboot, 1, 2, 3, 4), getuid() == 0 ? EINVAL : EPERM, "reboot without its magic numbers");
}

static void numbers(void)
{
    const int none[] = { 350, 400, 423, 1000, 0x40000000, -1 };
    for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        char what[32];
        snprintf(what, sizeof(what), "call %d", none[i]);
        fails(syscall(none[i]), ENOSYS, what);
    }
    fails(syscall(SYS_uselib, ""), ENOSYS, "uselib");
    fails(syscall(SYS__sysctl, 0), ENOSYS, "_sysctl");
    fails(syscall(SYS_epoll_ctl_old, 0), ENOSYS, "epoll_ctl_old");
    fails(syscall(SYS_tuxcall, 0), ENOSYS, "tuxcall");
}

int main(void)
{
    identity();
    clocks();
    scheduling();
    controls();
    whole();
    numbers();
    return done();
}
