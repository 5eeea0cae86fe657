/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks, sleeps and the calendar. Times are nanoseconds inside; sleeps run against clock_monotonic_ns(), real-time
 * deadlines are converted when the sleep begins.
 *
 * Clock numbers below 0 name the CPU clock of a process or thread (clock_getcpuclockid): ~pid in the upper 29 bits, then a
 * bit for "thread", then the kind (2: run time).
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/clocks.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/process/process.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/x86/user_access.h"

#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_KIND 3

static int thread_clock_ns(int tid, uint64_t *ns)
{
    if (tid == 0 || tid == task_current()->tid) {
        *ns = thread_run_time_ns(thread_current());
        return 0;
    }
    struct task *task = task_find(tid);
    if (!task)
        return -EINVAL;
    int error = task->process == process_current() ? 0 : -EINVAL;
    if (!error)
        *ns = thread_run_time_ns(task->thread);
    task_release(task);
    return error;
}

static int process_clock_ns(int pid, uint64_t *ns)
{
    struct process *process = pid == 0 ? NULL : process_find(pid);
    if (pid != 0 && !process)
        return -EINVAL;
    *ns = process_cpu_ns(process ? process : process_current());
    if (process)
        process_release(process);
    return 0;
}

int clock_read_ns(int clock, uint64_t *ns)
{
    if (clock < 0) {
        int id = ~(clock >> 3);
        if ((clock & CPU_CLOCK_KIND) == CPU_CLOCK_KIND)
            return -EINVAL;
        return clock & CPU_CLOCK_THREAD ? thread_clock_ns(id, ns) : process_clock_ns(id, ns);
    }
    switch (clock) {
    case LINUX_CLOCK_REALTIME:
    case LINUX_CLOCK_REALTIME_COARSE:
    case LINUX_CLOCK_REALTIME_ALARM:
    case LINUX_CLOCK_TAI:
        *ns = clock_real_ns();
        return 0;
    case LINUX_CLOCK_MONOTONIC:
    case LINUX_CLOCK_MONOTONIC_RAW:
    case LINUX_CLOCK_MONOTONIC_COARSE:
    case LINUX_CLOCK_BOOTTIME:
    case LINUX_CLOCK_BOOTTIME_ALARM:
        *ns = clock_monotonic_ns();
        return 0;
    case LINUX_CLOCK_PROCESS_CPUTIME:
        return process_clock_ns(0, ns);
    case LINUX_CLOCK_THREAD_CPUTIME:
        return thread_clock_ns(0, ns);
    default:
        return -EINVAL;
    }
}

bool clock_is_real(int clock)
{
    return clock == LINUX_CLOCK_REALTIME || clock == LINUX_CLOCK_REALTIME_ALARM || clock == LINUX_CLOCK_TAI;
}

uint64_t clock_deadline_ns(int clock, uint64_t absolute_ns)
{
    uint64_t now_ns = 0;
    if (!clock_is_real(clock))
        return absolute_ns >= TIME_LIMIT_NS ? UINT64_MAX : absolute_ns;
    now_ns = clock_real_ns();
    return absolute_ns <= now_ns ? clock_monotonic_ns() : deadline_after(clock_monotonic_ns(), absolute_ns - now_ns);
}

long sys_clock_gettime(int clock, uint64_t time)
{
    uint64_t ns;
    int error = clock_read_ns(clock, &ns);
    return error ? error : time_answer(time, ns);
}

long sys_clock_getres(int clock, uint64_t resolution)
{
    uint64_t ns;
    int error = clock_read_ns(clock, &ns);
    if (error || resolution == 0)
        return error;
    return time_answer(resolution, clock == LINUX_CLOCK_REALTIME_COARSE || clock == LINUX_CLOCK_MONOTONIC_COARSE ? NS_PER_SECOND / 250 : 1);
}

long sys_clock_settime(int clock, uint64_t time)
{
    uint64_t ns;
    if (clock != LINUX_CLOCK_REALTIME)
        return -EINVAL;
    int error = time_argument(time, &ns);
    if (error)
        return error;
    if (!task_capable(CAPABILITY_SYS_TIME))
        return -EPERM;
    clock_set_real(ns);
    return 0;
}

long sys_gettimeofday(uint64_t time, uint64_t zone)
{
    static const struct linux_timezone utc;
    if (time) {
        struct linux_timeval now = timeval_from_ns(clock_real_ns());
        if (user_store(time, &now))
            return -EFAULT;
    }
    return zone ? user_store(zone, &utc) : 0;
}

long sys_settimeofday(uint64_t time, uint64_t zone)
{
    struct linux_timeval value;
    struct linux_timezone ignored;
    uint64_t ns = 0;
    if (time) {
        if (user_load(&value, time))
            return -EFAULT;
        int error = timeval_to_ns(&value, &ns);
        if (error)
            return error;
    }
    if (zone && user_load(&ignored, zone))
        return -EFAULT;
    if (!task_capable(CAPABILITY_SYS_TIME))
        return -EPERM;
    if (time)
        clock_set_real(ns);
    return 0;
}

long sys_time(uint64_t time)
{
    int64_t seconds = (int64_t)(clock_real_ns() / NS_PER_SECOND);
    if (time && user_store(time, &seconds))
        return -EFAULT;
    return seconds;
}

/*
 * A sleep that a signal ends. Relative sleeps tell what is left; they and absolute ones go on after a handler-less signal:
 * restart_data holds the deadline and the address for the remainder.
 */
static long sleep_until(uint64_t deadline_ns, uint64_t remaining);

static long sleep_restart(struct task *task)
{
    return sleep_until(task->restart_data[0], task->restart_data[1]);
}

/* Nobody wakes this sleeper: -ETIMEDOUT or -EINTR. */
static int sleep_alone(uint64_t deadline_ns)
{
    int error;
    do {
        thread_sleep_prepare();
        error = thread_sleep(deadline_ns, true);
    } while (error == 0);
    return error;
}

static long sleep_until(uint64_t deadline_ns, uint64_t remaining)
{
    struct task *task = task_current();
    int error = sleep_alone(deadline_ns);
    if (error != -EINTR)
        return 0;
    if (remaining) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= deadline_ns)
            return 0;
        if (time_answer(remaining, deadline_ns - now_ns))
            return -EFAULT;
    }
    task->restart_data[0] = deadline_ns;
    task->restart_data[1] = remaining;
    task->restart = sleep_restart;
    return -ERESTART_RESTARTBLOCK;
}

long sys_nanosleep(uint64_t request, uint64_t remaining)
{
    uint64_t ns;
    int error = time_argument(request, &ns);
    if (error)
        return error;
    return ns == 0 ? 0 : sleep_until(deadline_after(clock_monotonic_ns(), ns), remaining);
}

/* Sleeps of CPU time: the run time is looked at again after as long as is at least still missing. */
static long sleep_cpu_time(int clock, bool absolute, uint64_t ns)
{
    uint64_t now_ns;
    int error = clock_read_ns(clock, &now_ns);
    if (error)
        return error;
    uint64_t target_ns = absolute ? ns : deadline_after(now_ns, ns);
    while (now_ns < target_ns) {
        uint64_t wait_ns = maximum(target_ns - now_ns, NS_PER_MILLISECOND) / (cpu_online_count() ? cpu_online_count() : 1);
        if (sleep_alone(deadline_after(clock_monotonic_ns(), maximum(wait_ns, NS_PER_MILLISECOND))) == -EINTR)
            return -ERESTARTNOHAND;
        error = clock_read_ns(clock, &now_ns);
        if (error)
            return error;
    }
    return 0;
}

long sys_clock_nanosleep(int clock, int flags, uint64_t request, uint64_t remaining)
{
    uint64_t ns, now_ns;
    bool absolute = (flags & LINUX_TIMER_ABSTIME) != 0;
    int error = clock_read_ns(clock, &now_ns);
    if (error)
        return error;
    if (clock == LINUX_CLOCK_THREAD_CPUTIME)
        return -EINVAL;
    if (clock == LINUX_CLOCK_MONOTONIC_RAW || clock == LINUX_CLOCK_REALTIME_COARSE || clock == LINUX_CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    error = time_argument(request, &ns);
    if (error)
        return error;
    if (clock < 0 || clock == LINUX_CLOCK_PROCESS_CPUTIME)
        return sleep_cpu_time(clock, absolute, ns);
    if (!absolute)
        return ns == 0 ? 0 : sleep_until(deadline_after(clock_monotonic_ns(), ns), remaining);
    long result = ns <= now_ns ? 0 : sleep_until(clock_deadline_ns(clock, ns), 0);
    /* An absolute sleep is simply made again, with the same arguments. */
    return result == -ERESTART_RESTARTBLOCK ? -ERESTARTNOHAND : result;
}

long sys_times(uint64_t buffer)
{
    struct process_times times;
    const uint64_t tick_ns = NS_PER_SECOND / LINUX_USER_HZ;
    process_times_get(process_current(), &times);
    if (buffer) {
        struct linux_tms answer = { (int64_t)(times.user_ns / tick_ns), (int64_t)(times.system_ns / tick_ns),
                                    (int64_t)(times.children_user_ns / tick_ns), (int64_t)(times.children_system_ns / tick_ns) };
        if (user_store(buffer, &answer))
            return -EFAULT;
    }
    return (long)(clock_monotonic_ns() / tick_ns);
}

#define ADJUST_OFFSET 0x1u
#define ADJUST_SETOFFSET 0x100u
#define ADJUST_NANO 0x2000u
#define ADJUST_MICRO 0x1000u
#define ADJUST_OFFSET_READ 0xa001u
#define STATUS_UNSYNCHRONISED 0x40
#define STATE_ERROR 5

/* The clock is Xen's: its frequency is not ours to bend; steps are made, everything else only reported. */
static long clock_adjust(uint64_t buffer)
{
    struct linux_timex timex;
    if (user_load(&timex, buffer))
        return -EFAULT;
    uint32_t modes = timex.modes;
    if (modes != 0 && modes != ADJUST_OFFSET_READ && !task_capable(CAPABILITY_SYS_TIME))
        return -EPERM;
    if (modes & ADJUST_SETOFFSET) {
        int64_t fraction = timex.time.microseconds, unit = modes & ADJUST_NANO ? 1 : (int64_t)NS_PER_MICROSECOND;
        if (fraction < 0 || fraction * unit >= (int64_t)NS_PER_SECOND)
            return -EINVAL;
        clock_set_real(clock_real_ns() + (uint64_t)(timex.time.seconds * (int64_t)NS_PER_SECOND + fraction * unit));
    } else if ((modes & ADJUST_OFFSET) && modes != ADJUST_OFFSET_READ && timex.offset != 0) {
        clock_set_real(clock_real_ns() + (uint64_t)(timex.offset * (int64_t)(modes & ADJUST_NANO ? 1 : NS_PER_MICROSECOND)));
    }
    timex = (struct linux_timex){ .modes = modes, .maximum_error = 16000000, .estimated_error = 16000000,
                                  .status = STATUS_UNSYNCHRONISED, .constant = 2, .precision = 1, .tolerance = 32768000,
                                  .time = timeval_from_ns(clock_real_ns()), .tick = 10000 };
    return user_store(buffer, &timex) ? -EFAULT : STATE_ERROR;
}

long sys_adjtimex(uint64_t buffer)
{
    return clock_adjust(buffer);
}

long sys_clock_adjtime(int clock, uint64_t buffer)
{
    if (clock != LINUX_CLOCK_REALTIME)
        return clock == LINUX_CLOCK_TAI || clock == LINUX_CLOCK_MONOTONIC ? -EOPNOTSUPP : -EINVAL;
    return clock_adjust(buffer);
}
