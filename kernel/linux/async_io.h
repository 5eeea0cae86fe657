/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine behind io_submit: requests of a context, done by kernel threads, and their completions.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/linux/abi/aio.h"
#include "kernel/vm/io_vector.h"

struct address_space;
struct async_context;
struct file;

enum async_kind { ASYNC_READ, ASYNC_WRITE, ASYNC_SYNC, ASYNC_SYNC_DATA };

/* One request. Filled by the submitter, then the engine's until its event was taken. */
struct async_request {
    struct list link;
    struct async_context *context;
    enum async_kind kind;
    struct file *file, *event_file;  /* referenced; event_file may be NULL */
    struct io_segment *segments;     /* memory of its own, freed with it */
    size_t segment_count;
    uint64_t offset;
    struct linux_io_event event;
};

int async_io_init(void);
/* A context for `limit` requests in flight, known by `id` (an address in the space). 0, -ENOMEM. */
int async_context_create(struct address_space *space, uint64_t id, uint32_t limit);
/* The context of the space, referenced, or NULL. */
struct async_context *async_context_find(struct address_space *space, uint64_t id);
void async_context_release(struct async_context *context);
/* No more requests; waits for those in flight, drops queued ones and events. -EINVAL: somebody else did it first. */
int async_context_destroy(struct async_context *context);
/* All contexts of a space that goes away. */
void async_context_destroy_all(struct address_space *space);

/* Takes over the request. 0, -EAGAIN (limit), -EINVAL (destroyed). */
int async_submit(struct async_context *context, struct async_request *request);
void async_request_free(struct async_request *request);
/* Takes a request back that no thread has begun: 0 and it is the caller's, or -EAGAIN. */
int async_cancel(struct async_context *context, uint64_t object, struct async_request **request);
/* Next completions into events[]: waits until `least` are there. Count, or -EINTR where there is none; fewer at the deadline. */
long async_events(struct async_context *context, struct linux_io_event *events, size_t count, size_t least, uint64_t deadline_ns);
