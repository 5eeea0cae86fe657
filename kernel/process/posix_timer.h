/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timer_create() and its kin. Times in nanoseconds; ids are the process's own, from 0.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Linux's sigev_notify. */
#define TIMER_NOTIFY_SIGNAL 0
#define TIMER_NOTIFY_NONE 1
#define TIMER_NOTIFY_THREAD_ID 4

struct posix_timer_event {
    int notify;
    int signal;       /* 1..64 */
    uint64_t value;   /* sigval */
    int tid;          /* of the own process, with TIMER_NOTIFY_THREAD_ID */
};

/* clock: Linux's CLOCK_*. event NULL: SIGALRM with the id as value. 0, -EINVAL, -EAGAIN, -EOPNOTSUPP. */
int posix_timer_create(int clock, const struct posix_timer_event *event, int *id);
/* value 0 stops it. old_* may be NULL. 0 or -EINVAL. */
int posix_timer_set(int id, bool absolute, uint64_t value_ns, uint64_t interval_ns, uint64_t *old_value_ns, uint64_t *old_interval_ns);
int posix_timer_get(int id, uint64_t *value_ns, uint64_t *interval_ns);
/* Expirations that the last taken signal stood for besides its own, or -EINVAL. */
int posix_timer_overrun(int id);
int posix_timer_delete(int id);
