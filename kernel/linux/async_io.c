/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asynchronous I/O. Requests wait in one queue for a few kernel threads, started as they are needed. A thread has no program
 * memory of its own: it moves the data between the file and a bounce buffer, and between that and the submitter's address
 * space by address_space_read/write.
 *
 *   submitted --a thread takes it--> in work --> completed (on its context) --async_events--> freed
 *
 * Locks: engine.lock guards the queue, the list of contexts and every context; it is a mutex, and no I/O is done under it.
 */
#include "kernel/linux/async_io.h"

#include "kernel/base/error.h"
#include "kernel/base/reference.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/file.h"

#define WORKERS_MOST 8
#define BOUNCE_BYTES 65536u

/* Locks: e engine.lock; f fixed. */
struct async_context {
    struct reference reference;
    struct list link;                /* e */
    struct address_space *space;     /* f compared only, and kept alive */
    uint64_t id;                     /* f */
    uint32_t limit, in_flight;       /* limit f; e submitted, and not yet taken as events */
    uint32_t working;                /* e queued or in work */
    bool dead;                       /* e */
    struct list completed;           /* e */
    uint32_t completed_count;        /* e */
    struct wait_queue queue;         /* event takers, and destroyers */
};

static struct {
    struct mutex lock;
    struct list contexts, requests;  /* lock */
    unsigned int workers, idle;      /* lock */
    uint32_t arrivals;               /* lock: counts submissions, for the idle ones */
    struct wait_queue queue;
} engine;

static void exit_hook(struct process *process, bool at_exec)
{
    /* A vforked child leaves its parent's space: the contexts stay. */
    if (process->space && atomic_load(&process->space->users) <= 1)
        async_context_destroy_all(process->space);
}

int async_io_init(void)
{
    mutex_init(&engine.lock, "asynchronous I/O", 0);
    list_init(&engine.contexts);
    list_init(&engine.requests);
    wait_queue_init(&engine.queue);
    return process_register_exit_hook(exit_hook);
}

void async_request_free(struct async_request *request)
{
    if (request->file)
        file_release(request->file);
    if (request->event_file)
        file_release(request->event_file);
    memory_free(request->segments);
    memory_free(request);
}

void async_context_release(struct async_context *context)
{
    struct async_request *request, *following;
    if (!reference_release(&context->reference))
        return;
    list_for_each_safe(request, following, &context->completed, link)
        async_request_free(request);
    address_space_release(context->space);
    memory_free(context);
}

int async_context_create(struct address_space *space, uint64_t id, uint32_t limit)
{
    struct async_context *context = memory_allocate_zeroed(sizeof(*context));
    if (!context)
        return -ENOMEM;
    reference_init(&context->reference);
    address_space_take(space);
    context->space = space;
    context->id = id;
    context->limit = limit;
    list_init(&context->completed);
    wait_queue_init(&context->queue);
    mutex_lock(&engine.lock);
    list_add_last(&engine.contexts, &context->link);
    mutex_unlock(&engine.lock);
    return 0;
}

/* id 0: any of the space's. */
static struct async_context *context_find_locked(struct address_space *space, uint64_t id)
{
    struct async_context *context;
    list_for_each(context, &engine.contexts, link)
        if (context->space == space && (id == 0 || context->id == id))
            return context;
    return NULL;
}

static struct async_context *context_find(struct address_space *space, uint64_t id)
{
    mutex_lock(&engine.lock);
    struct async_context *context = context_find_locked(space, id);
    if (context)
        reference_take(&context->reference);
    mutex_unlock(&engine.lock);
    return context;
}

struct async_context *async_context_find(struct address_space *space, uint64_t id)
{
    return id == 0 ? NULL : context_find(space, id);
}

int async_context_destroy(struct async_context *context)
{
    struct list dropped;
    struct async_request *request, *following;
    list_init(&dropped);
    mutex_lock(&engine.lock);
    if (context->dead) {
        mutex_unlock(&engine.lock);
        return -EINVAL;
    }
    context->dead = true;
    list_remove(&context->link);
    list_for_each_safe(request, following, &engine.requests, link) {
        if (request->context != context)
            continue;
        list_remove(&request->link);
        list_add_last(&dropped, &request->link);
        context->working--;
    }
    mutex_unlock(&engine.lock);
    list_for_each_safe(request, following, &dropped, link)
        async_request_free(request);
    WAIT_UNTIL(&context->queue, read_once(context->working) == 0, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    async_context_release(context); /* the list's */
    return 0;
}

void async_context_destroy_all(struct address_space *space)
{
    struct async_context *context;
    while ((context = context_find(space, 0)) != NULL) {
        async_context_destroy(context);
        async_context_release(context);
    }
}

/* Moves `bytes` between the bounce buffer and the file at the offset. */
static long file_step(struct async_request *request, uint8_t *bounce, size_t bytes, uint64_t offset)
{
    struct io_segment segment;
    struct io_vector vector;
    io_vector_init_kernel(&vector, &segment, bounce, bytes);
    uint64_t *position = request->file->seekable ? &offset : NULL;
    return request->kind == ASYNC_READ ? file_read(request->file, &vector, position) : file_write(request->file, &vector, position);
}

/* One piece of a segment: bytes moved, fewer than asked for at the end, or -Exxx. */
static long transfer_step(struct async_request *request, uint8_t *bounce, uint64_t address, size_t bytes, uint64_t offset)
{
    struct address_space *space = request->context->space;
    if (request->kind == ASYNC_WRITE) {
        long got = address_space_read(space, address, bounce, bytes);
        return got <= 0 ? -EFAULT : file_step(request, bounce, (size_t)got, offset);
    }
    long got = file_step(request, bounce, bytes, offset);
    if (got <= 0)
        return got;
    long put = address_space_write(space, address, bounce, (size_t)got);
    return put <= 0 ? -EFAULT : put;
}

static long transfer(struct async_request *request)
{
    uint8_t *bounce = memory_allocate(BOUNCE_BYTES);
    long done = 0, moved = 0;
    if (!bounce)
        return -ENOMEM;
    for (size_t i = 0; i < request->segment_count; i++) {
        uint64_t offset = 0, length = request->segments[i].length_bytes;
        while (offset < length) {
            size_t bytes = (size_t)minimum(length - offset, (uint64_t)BOUNCE_BYTES);
            moved = transfer_step(request, bounce, request->segments[i].address + offset, bytes, request->offset + (uint64_t)done);
            if (moved > 0) {
                done += moved;
                offset += (uint64_t)moved;
            }
            if (moved < (long)bytes)
                goto out;
        }
    }
out:
    memory_free(bounce);
    return done > 0 ? done : moved;
}

static long request_run(struct async_request *request)
{
    if (request->kind == ASYNC_READ || request->kind == ASYNC_WRITE)
        return transfer(request);
    return file_synchronize(request->file, 0, UINT64_MAX, request->kind == ASYNC_SYNC_DATA);
}

static void event_file_add(struct file *file)
{
    uint64_t one = 1;
    struct io_segment segment;
    struct io_vector vector;
    io_vector_init_kernel(&vector, &segment, &one, sizeof(one));
    file_write(file, &vector, NULL);
}

static void request_complete(struct async_request *request, long result)
{
    struct async_context *context = request->context;
    struct file *event_file = request->event_file;
    /* A thread has no signals: what would have been interrupted was not, and restarts are the program's. */
    request->event.result = result <= -ERESTARTSYS ? -EINTR : result;
    request->event_file = NULL;
    mutex_lock(&engine.lock);
    list_add_last(&context->completed, &request->link);
    context->completed_count++;
    context->working--;
    mutex_unlock(&engine.lock);
    wait_queue_wake_all(&context->queue, 0);
    if (event_file) {
        event_file_add(event_file);
        file_release(event_file);
    }
}

static void worker(void *argument)
{
    for (;;) {
        mutex_lock(&engine.lock);
        struct async_request *request = list_first(&engine.requests, struct async_request, link);
        uint32_t seen = engine.arrivals;
        if (!request) {
            engine.idle++;
            mutex_unlock(&engine.lock);
            WAIT_UNTIL(&engine.queue, read_once(engine.arrivals) != seen, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
            mutex_lock(&engine.lock);
            engine.idle--;
            mutex_unlock(&engine.lock);
            continue;
        }
        list_remove(&request->link);
        struct async_context *context = request->context;
        reference_take(&context->reference);
        mutex_unlock(&engine.lock);
        request_complete(request, request_run(request));
        async_context_release(context);
    }
}

/* One more thread while all others are busy; the first one has to be there. Lock held. */
static int workers_provide(void)
{
    struct thread *thread;
    if (engine.idle > 0 || engine.workers >= WORKERS_MOST)
        return 0;
    if (thread_create(&thread, "aio", worker, NULL))
        return engine.workers ? 0 : -EAGAIN;
    engine.workers++;
    thread_start(thread);
    thread_release(thread);
    return 0;
}

int async_submit(struct async_context *context, struct async_request *request)
{
    mutex_lock(&engine.lock);
    int error = context->dead ? -EINVAL : context->in_flight >= context->limit ? -EAGAIN : workers_provide();
    if (!error) {
        request->context = context;
        context->in_flight++;
        context->working++;
        list_add_last(&engine.requests, &request->link);
        engine.arrivals++;
    }
    mutex_unlock(&engine.lock);
    if (!error)
        wait_queue_wake_all(&engine.queue, 0);
    return error;
}

int async_cancel(struct async_context *context, uint64_t object, struct async_request **request)
{
    struct async_request *candidate;
    int error = -EAGAIN;
    mutex_lock(&engine.lock);
    list_for_each(candidate, &engine.requests, link)
        if (candidate->context == context && candidate->event.object == object) {
            list_remove(&candidate->link);
            context->working--;
            context->in_flight--;
            *request = candidate;
            error = 0;
            break;
        }
    mutex_unlock(&engine.lock);
    return error;
}

static size_t events_take(struct async_context *context, struct linux_io_event *events, size_t count)
{
    size_t taken = 0;
    mutex_lock(&engine.lock);
    while (taken < count && !list_empty(&context->completed)) {
        struct async_request *request = list_first(&context->completed, struct async_request, link);
        list_remove(&request->link);
        context->completed_count--;
        context->in_flight--;
        events[taken++] = request->event;
        async_request_free(request);
    }
    mutex_unlock(&engine.lock);
    return taken;
}

long async_events(struct async_context *context, struct linux_io_event *events, size_t count, size_t least, uint64_t deadline_ns)
{
    size_t taken = events_take(context, events, count);
    while (taken < least && taken < count && !read_once(context->dead)) {
        int error = WAIT_UNTIL(&context->queue, read_once(context->completed_count) > 0 || read_once(context->dead), deadline_ns, WAIT_INTERRUPTIBLE);
        taken += events_take(context, events + taken, count - taken);
        if (error == -EINTR && taken == 0)
            return -EINTR;
        if (error)
            break;
    }
    return (long)taken;
}
