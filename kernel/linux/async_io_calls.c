/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_setup, io_submit, io_getevents, io_cancel, io_destroy. A context's id is the address of a page that libaio may read: an
 * empty ring header there (no magic number) sends it to the system call for events.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/async_io.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define PAGE_BYTES 4096u
#define EVENTS_MOST 65536u
#define EVENTS_AT_ONCE 16u

long sys_io_setup(uint32_t events, uint64_t context_address)
{
    struct address_space *space = process_current()->space;
    struct area_request request = { .length_bytes = PAGE_BYTES, .protection = PAGING_READ | PAGING_WRITE, .flags = AREA_MAY_WRITE, .name = "/[aio]" };
    uint64_t id;
    if (user_load(&id, context_address))
        return -EFAULT;
    if (id != 0 || events == 0)
        return -EINVAL;
    if (events > EVENTS_MOST)
        return -EAGAIN;
    int error = address_space_map(space, &request, &id);
    if (error)
        return error;
    error = async_context_create(space, id, events);
    if (!error && user_store(context_address, &id)) {
        struct async_context *context = async_context_find(space, id);
        if (context) {
            async_context_destroy(context);
            async_context_release(context);
        }
        error = -EFAULT;
    }
    if (error)
        address_space_unmap(space, id, PAGE_BYTES);
    return error;
}

static struct async_context *context_argument(uint64_t id)
{
    return async_context_find(process_current()->space, id);
}

long sys_io_destroy(uint64_t id)
{
    struct async_context *context = context_argument(id);
    if (!context)
        return -EINVAL;
    int error = async_context_destroy(context);
    async_context_release(context);
    if (!error)
        address_space_unmap(process_current()->space, id, PAGE_BYTES);
    return error;
}

struct request_kind {
    uint16_t opcode;
    enum async_kind kind;
    bool vector;
};

static int request_kind(struct async_request *request, uint16_t opcode, bool *vector)
{
    static const struct request_kind kinds[] = {
        { LINUX_IOCB_CMD_PREAD, ASYNC_READ, false },   { LINUX_IOCB_CMD_PWRITE, ASYNC_WRITE, false },
        { LINUX_IOCB_CMD_PREADV, ASYNC_READ, true },   { LINUX_IOCB_CMD_PWRITEV, ASYNC_WRITE, true },
        { LINUX_IOCB_CMD_FSYNC, ASYNC_SYNC, false },   { LINUX_IOCB_CMD_FDSYNC, ASYNC_SYNC_DATA, false },
    };
    for (size_t i = 0; i < array_count(kinds); i++)
        if (kinds[i].opcode == opcode) {
            request->kind = kinds[i].kind;
            *vector = kinds[i].vector;
            return 0;
        }
    return -EINVAL;
}

/* The ranges of memory, checked; the list is the request's own. */
static int request_segments(struct async_request *request, const struct linux_iocb *block, bool vector)
{
    struct vector_argument argument;
    struct buffer_argument buffer;
    if (request->kind == ASYNC_SYNC || request->kind == ASYNC_SYNC_DATA)
        return block->buffer || block->length_bytes || block->offset ? -EINVAL : 0;
    int error = vector ? vector_argument_take(&argument, block->buffer, block->length_bytes) : buffer_argument(&buffer, block->buffer, block->length_bytes);
    if (error)
        return error;
    request->segment_count = vector ? (size_t)block->length_bytes : 1;
    request->segments = memory_allocate((request->segment_count + 1) * sizeof(struct io_segment));
    for (size_t i = 0; request->segments && i < request->segment_count; i++)
        request->segments[i] = vector ? argument.segments[i] : buffer.segment;
    if (vector)
        vector_argument_release(&argument);
    return request->segments ? 0 : -ENOMEM;
}

static int request_files(struct async_request *request, const struct linux_iocb *block)
{
    int error = file_argument((int)block->fd, &request->file);
    if (error) {
        request->file = NULL;
        return error;
    }
    if ((request->kind == ASYNC_READ && !request->file->readable) || (request->kind == ASYNC_WRITE && !request->file->writable))
        return -EBADF;
    if (request->file->seekable && block->offset < 0)
        return -EINVAL;
    if (block->flags & LINUX_IOCB_FLAG_RESFD) {
        error = file_argument((int)block->event_fd, &request->event_file);
        if (error)
            request->event_file = NULL;
    }
    return error;
}

static int submit_one(struct async_context *context, uint64_t address)
{
    struct linux_iocb block;
    bool vector = false;
    if (user_load(&block, address))
        return -EFAULT;
    if (block.reserved || (block.flags & ~(LINUX_IOCB_FLAG_RESFD | LINUX_IOCB_FLAG_IOPRIO)) || (int64_t)block.length_bytes < 0)
        return -EINVAL;
    struct async_request *request = memory_allocate_zeroed(sizeof(*request));
    if (!request)
        return -EAGAIN;
    int error = request_kind(request, block.opcode, &vector);
    if (!error)
        error = request_files(request, &block);
    if (!error)
        error = request_segments(request, &block, vector);
    uint32_t key = 0;
    if (!error && user_store(address + offsetof(struct linux_iocb, key), &key))
        error = -EFAULT;
    request->offset = (uint64_t)block.offset;
    request->event = (struct linux_io_event){ .data = block.data, .object = address };
    if (!error)
        error = async_submit(context, request);
    if (error)
        async_request_free(request);
    return error;
}

long sys_io_submit(uint64_t id, int64_t count, uint64_t blocks)
{
    if (count < 0)
        return -EINVAL;
    struct async_context *context = context_argument(id);
    if (!context)
        return -EINVAL;
    int64_t done = 0;
    long error = 0;
    while (done < count && !error) {
        uint64_t address;
        error = user_load(&address, blocks + (uint64_t)done * sizeof(address)) ? -EFAULT : submit_one(context, address);
        if (!error)
            done++;
        thread_yield_if_due();
    }
    async_context_release(context);
    return done > 0 ? done : error;
}

/* In batches through the stack; only the first waits for what is still missing. */
static long events_copy(struct async_context *context, int64_t least, int64_t count, uint64_t address, uint64_t deadline_ns)
{
    struct linux_io_event events[EVENTS_AT_ONCE];
    int64_t done = 0;
    while (done < count) {
        size_t room = (size_t)minimum(count - done, (int64_t)EVENTS_AT_ONCE);
        size_t wanted = least > done ? (size_t)minimum(least - done, (int64_t)room) : 0;
        long got = async_events(context, events, room, wanted, deadline_ns);
        if (got < 0)
            return done > 0 ? done : got;
        if (user_copy_out(address + (uint64_t)done * sizeof(events[0]), events, (size_t)got * sizeof(events[0])))
            return done > 0 ? done : -EFAULT;
        done += got;
        if ((size_t)got < room && (done >= least || (size_t)got < wanted))
            break;
    }
    return done;
}

long sys_io_getevents(uint64_t id, int64_t least, int64_t count, uint64_t events, uint64_t timeout)
{
    uint64_t deadline_ns;
    int error = timeout_argument(timeout, &deadline_ns);
    if (error)
        return error;
    struct async_context *context = context_argument(id);
    if (!context)
        return -EINVAL;
    long result = least > count || least < 0 || count < 0 ? -EINVAL : events_copy(context, least, count, events, deadline_ns);
    async_context_release(context);
    return result;
}

/* A request that waits still is taken back, and its event given to the caller; one in work ends by itself. */
long sys_io_cancel(uint64_t id, uint64_t block, uint64_t result)
{
    struct linux_io_event event;
    struct async_request *request;
    uint32_t key;
    if (user_load(&key, block + offsetof(struct linux_iocb, key)))
        return -EFAULT;
    struct async_context *context = context_argument(id);
    if (!context || key != 0) {
        if (context)
            async_context_release(context);
        return -EINVAL;
    }
    int error = async_cancel(context, block, &request);
    async_context_release(context);
    if (error)
        return error;
    event = request->event;
    event.result = -ECANCELED;
    async_request_free(request);
    return user_store(result, &event);
}
