/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Something that happens once, and those who wait for it. May lie on the waiter's stack: completion_complete() does not touch it
 * any more when a waiter returns.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/sched/wait_queue.h"

struct completion {
    struct wait_queue queue;
    bool done; /* queue.lock */
};

void completion_init(struct completion *completion);
/* Any context. */
void completion_complete(struct completion *completion);
bool completion_done(struct completion *completion);
/* 0, -ETIMEDOUT or -EINTR. */
int completion_wait(struct completion *completion, uint64_t deadline_ns, bool interruptible);
