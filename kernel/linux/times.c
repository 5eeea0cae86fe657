/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conversions between Linux's struct timespec, timeval and nanoseconds, with Linux's checks. Pure functions, tested on the
 * host (tests/unit/linux_test.c).
 */
#include "kernel/linux/times.h"

#include "kernel/base/error.h"

int timespec_to_ns(const struct linux_timespec *time, uint64_t *ns)
{
    if (time->seconds < 0 || (uint64_t)time->nanoseconds >= NS_PER_SECOND)
        return -EINVAL;
    if ((uint64_t)time->seconds >= TIME_LIMIT_NS / NS_PER_SECOND)
        *ns = TIME_LIMIT_NS;
    else
        *ns = (uint64_t)time->seconds * NS_PER_SECOND + (uint64_t)time->nanoseconds;
    return 0;
}

int timeval_to_ns(const struct linux_timeval *time, uint64_t *ns)
{
    if ((uint64_t)time->microseconds >= 1000000)
        return -EINVAL;
    const struct linux_timespec same = { time->seconds, time->microseconds * (int64_t)NS_PER_MICROSECOND };
    return timespec_to_ns(&same, ns);
}

struct linux_timespec timespec_from_ns(uint64_t ns)
{
    return (struct linux_timespec){ (int64_t)(ns / NS_PER_SECOND), (int64_t)(ns % NS_PER_SECOND) };
}

struct linux_timeval timeval_from_ns(uint64_t ns)
{
    return (struct linux_timeval){ (int64_t)(ns / NS_PER_SECOND), (int64_t)(ns % NS_PER_SECOND / NS_PER_MICROSECOND) };
}

uint64_t deadline_after(uint64_t now_ns, uint64_t relative_ns)
{
    if (relative_ns >= TIME_LIMIT_NS || now_ns + relative_ns >= TIME_LIMIT_NS)
        return UINT64_MAX;
    return now_ns + relative_ns;
}
