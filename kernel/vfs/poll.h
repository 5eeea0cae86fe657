/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness. A file's poll operation answers its ready events now and, given a table, hangs the poller on the wait
 * queues that will tell of changes. poll, select and epoll are its users. Wakes carry the new events as key.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/sched/wait_queue.h"

/* Linux's numbers. */
#define POLL_IN 0x001u
#define POLL_PRIORITY 0x002u
#define POLL_OUT 0x004u
#define POLL_ERROR 0x008u
#define POLL_HANGUP 0x010u
#define POLL_INVALID 0x020u
#define POLL_READ_NORMAL 0x040u
#define POLL_READ_BAND 0x080u
#define POLL_WRITE_NORMAL 0x100u
#define POLL_WRITE_BAND 0x200u
#define POLL_MESSAGE 0x400u
#define POLL_READ_HANGUP 0x2000u

struct poll_table {
    /* Adds the poller to the queue; 0 or -ENOMEM (remembered by the table). */
    void (*add)(struct poll_table *table, struct wait_queue *queue);
};

static inline void poll_wait(struct poll_table *table, struct wait_queue *queue)
{
    if (table)
        table->add(table, queue);
}

struct file;
struct poll_request {
    struct file *file;       /* referenced by the caller; NULL: skipped (negative fd) */
    uint32_t events;         /* asked for; ERROR, HANGUP, INVALID always are */
    uint32_t ready;          /* answer */
};

/* Waits until one is ready, the deadline passes or a signal comes: number ready, 0, -EINTR, -ENOMEM. */
int poll_requests(struct poll_request *requests, size_t count, uint64_t deadline_ns);
