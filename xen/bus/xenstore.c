/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The xenstore client's ring side.
 *
 *   caller → xenstore_call() → [send_mutex] request ring ... xenstored ... response ring → event handler
 *     → reply: to the waiting request of the same number      → caller
 *     → watch event: to xenstore_watch.c's thread
 *
 * Messages may be longer than the ring: a sender who finds it full sleeps until the other side has taken some, while the event handler goes
 * on reading. All bytes that come in are assembled and checked by xenstore_message.c; once the stream makes no sense, there is no way to find the
 * next message: xenstore is declared broken with one line, and every request, pending or new, fails with -EIO.
 *
 * Locks: send_mutex orders whole requests in the ring; ring_lock (spinlock, inner) guards `pending`, the assembly and `broken`.
 */
#include "xen/bus/xenstore.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/io/xs_wire.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/memory/kernel_map.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/mutex.h"
#include "xen/bus/xenstore_message.h"
#include "xen/bus/xenstore_watch.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/clock.h"
#include "xen/machine/event_channel.h"

#define PATIENCE_NS 10000000000ull /* after this without an answer a line is written; the wait goes on */
#define PARTS_LIMIT 3
#define TRANSACTION_TRIES 100

/* One piece of a request's payload. */
struct part {
    const void *bytes;
    size_t length_bytes;
};

static struct xenstore_ring *ring;
static event_port_t ring_port;
static struct mutex send_mutex = MUTEX_INITIALIZER(send_mutex, "xenstore send", 0);
static struct spinlock ring_lock = SPINLOCK_INITIALIZER("xenstore ring", 0);
static struct wait_queue room_queue = WAIT_QUEUE_INITIALIZER(room_queue, "xenstore room");
static struct list pending = LIST_INITIALIZER(pending); /* ring_lock */
static struct xenstore_assembly assembly;               /* ring_lock */
static bool broken;                                     /* ring_lock */
static uint32_t last_number;                            /* send_mutex */
static atomic_bool notify_due;                          /* something is in the ring that xenstored was not told of */

static void request_finish(struct xenstore_request *request, int error)
{
    list_remove(&request->link);
    request->error = error;
    completion_complete(&request->done);
}

/* ring_lock held. */
static void xenstore_break(const char *why)
{
    if (!broken)
        log_error("xenstore: %s: closed", why);
    broken = true;
    while (!list_empty(&pending))
        request_finish(list_first(&pending, struct xenstore_request, link), -EIO);
}

static struct xenstore_request *request_find(uint32_t number)
{
    struct xenstore_request *request;

    list_for_each(request, &pending, link)
        if (request->number == number)
            return request;
    return NULL;
}

static void xenstore_take_reply(const struct xenstore_assembly *message)
{
    const struct xenstore_header *header = &message->header;
    struct xenstore_request *request = request_find(header->request);

    if (!request) {
        log_warning("xenstore: an answer to request %u, which nobody asked, is dropped", header->request);
        return;
    }
    if (header->type == XS_ERROR) {
        request_finish(request, xenstore_parse_error(message->payload, header->length_bytes));
        return;
    }
    if (header->type != request->type) {
        log_warning("xenstore: an answer of type %u to a request of type %u is refused", header->type, request->type);
        request_finish(request, -EIO);
        return;
    }
    request->reply = memory_allocate(header->length_bytes + 1);
    if (!request->reply) {
        request_finish(request, -ENOMEM);
        return;
    }
    memcpy(request->reply, message->payload, header->length_bytes + 1);
    request->reply_bytes = header->length_bytes;
    request_finish(request, 0);
}

static void xenstore_dispatch(void)
{
    const char *path, *token;

    if (assembly.header.type != XS_WATCH_EVENT)
        xenstore_take_reply(&assembly);
    else if (xenstore_parse_event(assembly.payload, assembly.header.length_bytes, &path, &token) == 0)
        xenstore_watch_event(path, token);
    else
        log_warning("xenstore: a malformed watch event is dropped");
}

/* Event context. */
static void xenstore_event(event_port_t port, void *data)
{
    int whole = 0;

    spinlock_lock(&ring_lock);
    while (!broken && (whole = xenstore_assemble(&assembly, ring)) == 1) {
        xenstore_dispatch();
        xenstore_assembly_reset(&assembly);
    }
    if (whole < 0)
        xenstore_break("the response ring or a message's length makes no sense");
    bool notify = assembly.was_full;
    assembly.was_full = false;
    spinlock_unlock(&ring_lock);
    if (notify)
        event_channel_send(ring_port);
    wait_queue_wake_all(&room_queue, 0);
}

/* Puts some of the bytes into the ring: how many, 0 where it is full, or the error. */
static long xenstore_send_some(const char *bytes, size_t length_bytes)
{
    spinlock_lock(&ring_lock);
    long sent = broken ? -EIO : xenstore_ring_put(ring, bytes, length_bytes);
    if (sent < 0)
        xenstore_break("the request ring makes no sense");
    spinlock_unlock(&ring_lock);
    return sent;
}

void xenstore_push(void)
{
    if (atomic_exchange(&notify_due, false))
        event_channel_send(ring_port);
}

static int xenstore_send(const void *bytes, size_t length_bytes)
{
    const char *from = bytes;

    while (length_bytes > 0) {
        long sent = xenstore_send_some(from, length_bytes);
        if (sent == 0) {
            xenstore_push();
            WAIT_UNTIL(&room_queue, (sent = xenstore_send_some(from, length_bytes)) != 0, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        }
        if (sent < 0)
            return (int)sent;
        atomic_store(&notify_due, true);
        from += sent;
        length_bytes -= (size_t)sent;
    }
    return 0;
}

static int xenstore_send_message(const struct xenstore_request *request, uint32_t transaction, const struct part *parts)
{
    char small[256]; /* most messages go into the ring in one piece, with one notification */
    struct xenstore_header header = { .type = request->type, .request = request->number, .transaction = transaction };
    size_t total = XENSTORE_HEADER_BYTES;

    for (int i = 0; i < PARTS_LIMIT; i++)
        header.length_bytes += (uint32_t)parts[i].length_bytes;
    if (XENSTORE_HEADER_BYTES + header.length_bytes > sizeof(small)) {
        int error = xenstore_send(&header, sizeof(header));
        for (int i = 0; error == 0 && i < PARTS_LIMIT; i++)
            error = xenstore_send(parts[i].bytes, parts[i].length_bytes);
        return error;
    }
    memcpy(small, &header, sizeof(header));
    for (int i = 0; i < PARTS_LIMIT; i++) {
        if (parts[i].length_bytes > 0)
            memcpy(small + total, parts[i].bytes, parts[i].length_bytes);
        total += parts[i].length_bytes;
    }
    return xenstore_send(small, total);
}

/* Sends; request_await() must follow. `error` where it cannot be sent at all. */
static void request_start(struct xenstore_request *request, uint32_t type, uint32_t transaction, const struct part *parts, int error)
{
    size_t payload_bytes = parts[0].length_bytes + parts[1].length_bytes + parts[2].length_bytes;

    memset(request, 0, sizeof(*request));
    request->type = type;
    list_init(&request->link);
    completion_init(&request->done);
    if (error == 0 && (!ring || payload_bytes > XENSTORE_PAYLOAD_BYTES))
        error = ring ? -E2BIG : -ENODEV;
    if (error != 0) {
        request_finish(request, error);
        return;
    }
    mutex_lock(&send_mutex);
    request->number = ++last_number;
    spinlock_lock(&ring_lock);
    list_add_last(&pending, &request->link);
    spinlock_unlock(&ring_lock);
    error = xenstore_send_message(request, transaction, parts);
    mutex_unlock(&send_mutex);
    /* If sending failed, xenstore is broken, and the request has been or is being finished by xenstore_break(). */
    if (error != 0) {
        spinlock_lock(&ring_lock);
        if (list_linked(&request->link))
            request_finish(request, error);
        spinlock_unlock(&ring_lock);
    }
}

/* Waits. On 0, *reply (if wanted) is the caller's to free. */
static int request_await(struct xenstore_request *request, char **reply, size_t *reply_bytes)
{
    xenstore_push();
    while (completion_wait(&request->done, clock_monotonic_ns() + PATIENCE_NS, WAIT_UNINTERRUPTIBLE) != 0)
        log_warning("xenstore: no answer for ten seconds (request of type %u)", request->type);
    int error = request->error;
    if (error != 0 || !reply) {
        memory_free(request->reply);
        return error;
    }
    *reply = request->reply;
    *reply_bytes = request->reply_bytes;
    return 0;
}

static int xenstore_call(uint32_t type, uint32_t transaction, const struct part parts[PARTS_LIMIT], char **reply,
                         size_t *reply_bytes)
{
    struct xenstore_request request;

    request_start(&request, type, transaction, parts, 0);
    return request_await(&request, reply, reply_bytes);
}

int xenstore_join(char *buffer, size_t size_bytes, const char *directory, const char *name)
{
    int length = name ? format_string(buffer, size_bytes, "%s/%s", directory, name)
                      : format_string(buffer, size_bytes, "%s", directory);

    if ((size_t)length >= size_bytes)
        return -ENAMETOOLONG;
    return xenstore_path_valid(buffer) ? 0 : -EINVAL;
}

/* About "directory/name": its path, terminated, then `rest`. */
static void request_start_path(struct xenstore_request *request, uint32_t type, uint32_t transaction, const char *directory,
                               const char *name, struct part rest)
{
    char path[XENSTORE_PATH_BYTES];
    int error = xenstore_join(path, sizeof(path), directory, name);
    struct part parts[PARTS_LIMIT] = { { path, strlen(path) + 1 }, rest };

    request_start(request, type, transaction, parts, error);
}

static int xenstore_call_path(uint32_t type, uint32_t transaction, const char *directory, const char *name,
                              struct part rest, char **reply, size_t *reply_bytes)
{
    struct xenstore_request request;

    request_start_path(&request, type, transaction, directory, name, rest);
    return request_await(&request, reply, reply_bytes);
}

void xenstore_start_read(struct xenstore_request *request, const char *directory, const char *name)
{
    request_start_path(request, XS_READ, XENSTORE_NO_TRANSACTION, directory, name, (struct part){ 0 });
}

void xenstore_start_list(struct xenstore_request *request, const char *path)
{
    request_start_path(request, XS_DIRECTORY, XENSTORE_NO_TRANSACTION, path, NULL, (struct part){ 0 });
}

void xenstore_start_write(struct xenstore_request *request, const char *directory, const char *name, const void *value, size_t length_bytes)
{
    request_start_path(request, XS_WRITE, XENSTORE_NO_TRANSACTION, directory, name, (struct part){ value, length_bytes });
}

int xenstore_await(struct xenstore_request *request)
{
    return request_await(request, NULL, NULL);
}

int xenstore_await_value(struct xenstore_request *request, char **value, size_t *length_bytes)
{
    return request_await(request, value, length_bytes);
}

int xenstore_await_string(struct xenstore_request *request, char *buffer, size_t size_bytes)
{
    char *value;
    size_t length;
    int error = request_await(request, &value, &length);

    if (error != 0)
        return error;
    if (length >= size_bytes)
        error = -E2BIG;
    else if (memchr(value, 0, length))
        error = -EINVAL;
    else
        memcpy(buffer, value, length + 1);
    memory_free(value);
    return error;
}

int xenstore_await_unsigned(struct xenstore_request *request, uint64_t limit, uint64_t *value)
{
    uint64_t number;
    char *text;
    size_t length;
    int error = request_await(request, &text, &length);

    if (error != 0)
        return error;
    error = parse_unsigned(text, length, 10, &number);
    if (error == 0 && number > limit)
        error = -ERANGE;
    if (error == 0)
        *value = number;
    memory_free(text);
    return error;
}

int xenstore_read(uint32_t transaction, const char *directory, const char *name, char **value, size_t *length_bytes)
{
    return xenstore_call_path(XS_READ, transaction, directory, name, (struct part){ 0 }, value, length_bytes);
}

int xenstore_read_string(uint32_t transaction, const char *directory, const char *name, char *buffer, size_t size_bytes)
{
    struct xenstore_request request;

    request_start_path(&request, XS_READ, transaction, directory, name, (struct part){ 0 });
    return xenstore_await_string(&request, buffer, size_bytes);
}

int xenstore_read_unsigned(uint32_t transaction, const char *directory, const char *name, uint64_t limit, uint64_t *value)
{
    struct xenstore_request request;

    request_start_path(&request, XS_READ, transaction, directory, name, (struct part){ 0 });
    return xenstore_await_unsigned(&request, limit, value);
}

int xenstore_write(uint32_t transaction, const char *directory, const char *name, const void *value, size_t length_bytes)
{
    return xenstore_call_path(XS_WRITE, transaction, directory, name, (struct part){ value, length_bytes }, NULL, NULL);
}

int xenstore_print(uint32_t transaction, const char *directory, const char *name, const char *format, ...)
{
    char value[256];
    va_list list;

    va_start(list, format);
    int length = format_string_list(value, sizeof(value), format, list);
    va_end(list);
    if ((size_t)length >= sizeof(value))
        return -E2BIG;
    return xenstore_write(transaction, directory, name, value, (size_t)length);
}

int xenstore_remove(uint32_t transaction, const char *directory, const char *name)
{
    return xenstore_call_path(XS_RM, transaction, directory, name, (struct part){ 0 }, NULL, NULL);
}

/*
 * A list in parts: each answer is "generation\0" and as many bytes of the list as fit; the list ends with an empty string. If the
 * generation changes on the way, it starts again.
 */
static int xenstore_list_parts(uint32_t transaction, const char *path, char **names, size_t *length_bytes)
{
    char generation[32] = "", offset[24];
    char *list = NULL;
    size_t total = 0;

    for (int tries = 0; tries < TRANSACTION_TRIES;) {
        char *reply;
        size_t reply_bytes;
        format_string(offset, sizeof(offset), "%zu", total);
        int error = xenstore_call_path(XS_DIRECTORY_PART, transaction, path, NULL,
                                       (struct part){ offset, strlen(offset) + 1 }, &reply, &reply_bytes);
        if (error != 0) {
            memory_free(list);
            return error;
        }
        size_t head = strlen(reply) + 1; /* the reply is terminated */
        bool fits = head <= reply_bytes && head <= sizeof(generation);
        bool same = fits && (total == 0 || strcmp(generation, reply) == 0);
        char *longer = same ? memory_reallocate(list, total + reply_bytes - head + 1) : NULL;
        if (longer) {
            memcpy(generation, reply, head);
            memcpy(longer + total, reply + head, reply_bytes - head);
            list = longer;
            total += reply_bytes - head;
        }
        memory_free(reply);
        if (fits && !same) {
            total = 0;
            tries++;
            continue;
        }
        if (!longer) {
            memory_free(list);
            return fits ? -ENOMEM : -EIO;
        }
        if (total >= 1 && list[total - 1] == 0 && (total == 1 || list[total - 2] == 0)) {
            *names = list;
            *length_bytes = total - 1;
            return 0;
        }
        tries += reply_bytes == head; /* nothing came, and no end */
    }
    memory_free(list);
    return -EIO;
}

static int list_await(struct xenstore_request *request, uint32_t transaction, const char *path, char **names, unsigned int *count)
{
    size_t length;
    int error = request_await(request, names, &length);

    if (error == -E2BIG)
        error = xenstore_list_parts(transaction, path, names, &length);
    if (error != 0)
        return error;
    error = xenstore_parse_names(*names, length, count);
    if (error != 0)
        memory_free(*names);
    return error;
}

int xenstore_await_list(struct xenstore_request *request, const char *path, char **names, unsigned int *count)
{
    return list_await(request, XENSTORE_NO_TRANSACTION, path, names, count);
}

int xenstore_list(uint32_t transaction, const char *path, char **names, unsigned int *count)
{
    struct xenstore_request request;

    request_start_path(&request, XS_DIRECTORY, transaction, path, NULL, (struct part){ 0 });
    return list_await(&request, transaction, path, names, count);
}

static int xenstore_transaction_start(uint32_t *transaction)
{
    struct part parts[PARTS_LIMIT] = { { "", 1 } };
    char *reply;
    size_t length;
    uint64_t number = 0;
    int error = xenstore_call(XS_TRANSACTION_START, XENSTORE_NO_TRANSACTION, parts, &reply, &length);

    if (error != 0)
        return error;
    error = parse_unsigned(reply, strlen(reply), 10, &number);
    if (error != 0 || number == 0 || number > UINT32_MAX)
        error = -EIO;
    memory_free(reply);
    *transaction = (uint32_t)number;
    return error;
}

static int xenstore_transaction_end(uint32_t transaction, bool commit)
{
    struct part parts[PARTS_LIMIT] = { { commit ? "T" : "F", 2 } };
    return xenstore_call(XS_TRANSACTION_END, transaction, parts, NULL, NULL);
}

int xenstore_transaction(int (*body)(uint32_t transaction, void *data), void *data)
{
    for (int tries = 0; tries < TRANSACTION_TRIES; tries++) {
        uint32_t transaction;
        int error = xenstore_transaction_start(&transaction);
        if (error != 0)
            return error;
        int answer = body(transaction, data);
        error = xenstore_transaction_end(transaction, answer >= 0);
        if (answer < 0)
            return answer;
        if (error != -EAGAIN)
            return error;
    }
    return -EAGAIN;
}

void xenstore_start_watch(struct xenstore_request *request, bool add, const char *path, const char *token)
{
    struct part parts[PARTS_LIMIT] = { { path, strlen(path) + 1 }, { token, strlen(token) + 1 } };

    request_start(request, add ? XS_WATCH : XS_UNWATCH, XENSTORE_NO_TRANSACTION, parts, 0);
}

int xenstore_start(void)
{
    if (boot_info.store_port == 0)
        return -ENODEV;
    struct xenstore_ring *mapped = kernel_map_frames(&boot_info.store_frame, 1, true);
    if (!mapped)
        return -ENOMEM;
    int error = xenstore_watch_start();
    if (error != 0) {
        kernel_unmap(mapped, 1);
        return error;
    }
    ring = mapped;
    ring_port = boot_info.store_port;
    error = event_channel_attach(ring_port, xenstore_event, NULL);
    if (error != 0) {
        ring = NULL;
        kernel_unmap(mapped, 1);
    }
    return error;
}
