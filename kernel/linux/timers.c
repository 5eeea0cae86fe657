/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers that end in signals: alarm, interval timers and POSIX timers. kernel/process runs them; here their structs are
 * read and filled.
 */
#include "kernel/process/posix_timer.h"

#include "kernel/base/error.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define INTERVAL_REAL 0
#define INTERVAL_LAST 2

static int interval_answer(uint64_t address, uint64_t value_ns, uint64_t interval_ns)
{
    /* A time that is left is never told as none. */
    struct linux_itimerval answer = { .value = timeval_from_ns(value_ns + NS_PER_MICROSECOND - 1), .interval = timeval_from_ns(interval_ns) };
    return user_store(address, &answer);
}

long sys_getitimer(int which, uint64_t value)
{
    uint64_t value_ns, interval_ns;
    if (which < INTERVAL_REAL || which > INTERVAL_LAST)
        return -EINVAL;
    int error = interval_timer_get(which, &value_ns, &interval_ns);
    return error ? error : interval_answer(value, value_ns, interval_ns);
}

/* Without a value the timer is stopped, as Linux has it. */
long sys_setitimer(int which, uint64_t value, uint64_t old)
{
    struct linux_itimerval wanted = { 0 };
    uint64_t value_ns, interval_ns, old_value_ns = 0, old_interval_ns = 0;
    if (value && user_load(&wanted, value))
        return -EFAULT;
    if (timeval_to_ns(&wanted.value, &value_ns) || timeval_to_ns(&wanted.interval, &interval_ns))
        return -EINVAL;
    if (which < INTERVAL_REAL || which > INTERVAL_LAST)
        return -EINVAL;
    int error = interval_timer_set(which, value_ns, interval_ns, &old_value_ns, &old_interval_ns);
    return error || old == 0 ? error : interval_answer(old, old_value_ns, old_interval_ns);
}

/* Answers whole seconds that were left, and never 0 for a timer that still ran. */
long sys_alarm(uint32_t seconds)
{
    uint64_t old_value_ns = 0, old_interval_ns = 0;
    int error = interval_timer_set(INTERVAL_REAL, seconds * NS_PER_SECOND, 0, &old_value_ns, &old_interval_ns);
    if (error)
        return error;
    uint64_t left = (old_value_ns + NS_PER_SECOND / 2) / NS_PER_SECOND;
    return (long)(left == 0 && old_value_ns ? 1 : left);
}

static int event_load(struct posix_timer_event *event, uint64_t address)
{
    struct linux_sigevent given;
    if (user_load(&given, address))
        return -EFAULT;
    *event = (struct posix_timer_event){ .notify = given.notify, .signal = given.number, .value = given.value, .tid = given.thread_id };
    /* SIGEV_THREAD is the C library's to make a thread of; for the kernel it is a signal. */
    if (given.notify == LINUX_SIGEV_THREAD)
        event->notify = TIMER_NOTIFY_SIGNAL;
    return 0;
}

long sys_timer_create(int clock, uint64_t event_address, uint64_t id_address)
{
    struct posix_timer_event event;
    int32_t id;
    int error = event_address ? event_load(&event, event_address) : 0;
    if (!error)
        error = posix_timer_create(clock, event_address ? &event : NULL, &id);
    if (!error && user_store(id_address, &id)) {
        posix_timer_delete(id);
        error = -EFAULT;
    }
    return error;
}

static int timer_answer(uint64_t address, uint64_t value_ns, uint64_t interval_ns)
{
    struct linux_itimerspec answer = { .value = timespec_from_ns(value_ns), .interval = timespec_from_ns(interval_ns) };
    return user_store(address, &answer);
}

long sys_timer_settime(int id, int flags, uint64_t value, uint64_t old)
{
    struct linux_itimerspec wanted;
    uint64_t value_ns, interval_ns, old_value_ns = 0, old_interval_ns = 0;
    if (value == 0)
        return -EINVAL;
    if (user_load(&wanted, value))
        return -EFAULT;
    if (timespec_to_ns(&wanted.value, &value_ns) || timespec_to_ns(&wanted.interval, &interval_ns))
        return -EINVAL;
    int error = posix_timer_set(id, (flags & LINUX_TIMER_ABSTIME) != 0, value_ns, interval_ns, &old_value_ns, &old_interval_ns);
    return error || old == 0 ? error : timer_answer(old, old_value_ns, old_interval_ns);
}

long sys_timer_gettime(int id, uint64_t value)
{
    uint64_t value_ns, interval_ns;
    int error = posix_timer_get(id, &value_ns, &interval_ns);
    return error ? error : timer_answer(value, value_ns, interval_ns);
}

long sys_timer_getoverrun(int id)
{
    return posix_timer_overrun(id);
}

long sys_timer_delete(int id)
{
    return posix_timer_delete(id);
}
