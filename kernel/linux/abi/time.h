/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times as programs give them: Linux x86-64's struct timespec, timeval, itimerspec, itimerval, timex, tms, and clock numbers.
 */
#pragma once

#include "kernel/base/compiler.h"

#define LINUX_CLOCK_REALTIME 0
#define LINUX_CLOCK_MONOTONIC 1
#define LINUX_CLOCK_PROCESS_CPUTIME 2
#define LINUX_CLOCK_THREAD_CPUTIME 3
#define LINUX_CLOCK_MONOTONIC_RAW 4
#define LINUX_CLOCK_REALTIME_COARSE 5
#define LINUX_CLOCK_MONOTONIC_COARSE 6
#define LINUX_CLOCK_BOOTTIME 7
#define LINUX_CLOCK_REALTIME_ALARM 8
#define LINUX_CLOCK_BOOTTIME_ALARM 9
#define LINUX_CLOCK_TAI 11

#define LINUX_TIMER_ABSTIME 1
#define LINUX_TFD_TIMER_CANCEL_ON_SET 2

/* Ticks of times() and si_utime a second. */
#define LINUX_USER_HZ 100

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MICROSECOND 1000ull
#define NS_PER_MILLISECOND 1000000ull

struct linux_timespec {
    int64_t seconds;
    int64_t nanoseconds;
};
_Static_assert(sizeof(struct linux_timespec) == 16, "struct timespec");

struct linux_timeval {
    int64_t seconds;
    int64_t microseconds;
};
_Static_assert(sizeof(struct linux_timeval) == 16, "struct timeval");

struct linux_itimerspec {
    struct linux_timespec interval, value;
};
_Static_assert(sizeof(struct linux_itimerspec) == 32, "struct itimerspec");

struct linux_itimerval {
    struct linux_timeval interval, value;
};
_Static_assert(sizeof(struct linux_itimerval) == 32, "struct itimerval");

struct linux_timezone {
    int32_t minutes_west, dst_time;
};
_Static_assert(sizeof(struct linux_timezone) == 8, "struct timezone");

struct linux_utimbuf {
    int64_t access_seconds, modify_seconds;
};

struct linux_tms {
    int64_t user_ticks, system_ticks, children_user_ticks, children_system_ticks;
};
_Static_assert(sizeof(struct linux_tms) == 32, "struct tms");

struct linux_timex {
    uint32_t modes;
    int32_t padding;
    int64_t offset, frequency, maximum_error, estimated_error;
    int32_t status, padding2;
    int64_t constant, precision, tolerance;
    struct linux_timeval time;
    int64_t tick, pps_frequency, jitter;
    int32_t shift, padding3;
    int64_t stability, jitter_count, calibration_count, error_count, stability_count;
    int32_t tai;
    int32_t reserved[11];
};
_Static_assert(sizeof(struct linux_timex) == 208, "struct timex");
_Static_assert(offsetof(struct linux_timex, time) == 72, "struct timex");
_Static_assert(offsetof(struct linux_timex, tai) == 160, "struct timex");
