/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore's wire format, and the client against a xenstored in the test (a thread that answers in its own order, in small pieces, wrongly).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <xen/io/xs_wire.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "tests/unit/host/host.h"
#include "xen/bus/xenstore.h"
#include "xen/bus/xenstore_message.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/clock.h"

static void errors_have_names(void **state)
{
    assert_int_equal(xenstore_parse_error("ENOENT", 7), -ENOENT);
    assert_int_equal(xenstore_parse_error("ENOENT", 6), -EIO);
    assert_int_equal(xenstore_parse_error("", 0), -EIO);
    assert_int_equal(xenstore_parse_error("EWHATEVER", 10), -EIO);
}

static void events_are_two_strings(void **state)
{
    const char *path, *token;
    assert_int_equal(xenstore_parse_event("a/b\0c", 6, &path, &token), 0);
    assert_string_equal(path, "a/b");
    assert_string_equal(token, "c");
    assert_int_equal(xenstore_parse_event("a/b\0c", 5, &path, &token), -EINVAL);
    assert_int_equal(xenstore_parse_event("a/b", 4, &path, &token), -EINVAL);
    assert_int_equal(xenstore_parse_event("\0c", 3, &path, &token), -EINVAL);
    assert_int_equal(xenstore_parse_event("", 0, &path, &token), -EINVAL);
}

static void lists_and_paths(void **state)
{
    unsigned int count;
    static char long_path[4000];

    assert_int_equal(xenstore_parse_names("a\0bc", 5, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(xenstore_parse_names("", 0, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(xenstore_parse_names("a\0b", 3, &count), -EINVAL);
    assert_int_equal(xenstore_parse_names("a\0\0", 3, &count), -EINVAL);
    assert_true(xenstore_path_valid("/local/domain/0"));
    assert_true(xenstore_path_valid("device/vbd/51712"));
    assert_false(xenstore_path_valid(""));
    assert_false(xenstore_path_valid("a b"));
    assert_false(xenstore_path_valid("a\nb"));
    memset(long_path, 'a', 2049);
    assert_false(xenstore_path_valid(long_path));
    long_path[2048] = 0;
    assert_true(xenstore_path_valid(long_path));
}

static void the_ring_wraps_and_refuses(void **state)
{
    static struct xenstore_ring ring;
    char out[700], in[700];
    bool full = false;

    for (unsigned int round = 0; round < 50; round++) {
        memset(out, (int)round, sizeof(out));
        assert_int_equal(xenstore_ring_put(&ring, out, sizeof(out)), sizeof(out));
        assert_int_equal(xenstore_ring_put(&ring, out, sizeof(out)), 324);
        memcpy(ring.response, ring.request, sizeof(ring.request));
        ring.response_producer = ring.request_producer;
        assert_int_equal(xenstore_ring_get(&ring, in, sizeof(in), &full), sizeof(in));
        assert_memory_equal(in, out, sizeof(in));
        assert_int_equal(xenstore_ring_get(&ring, in, sizeof(in), &full), 324);
        assert_int_equal(xenstore_ring_get(&ring, in, sizeof(in), &full), 0);
        ring.request_consumer = ring.request_producer;
    }
    assert_true(full);
    ring.request_consumer = ring.request_producer + 1;
    assert_int_equal(xenstore_ring_put(&ring, out, 1), -EIO);
    ring.response_producer = ring.response_consumer + 1025;
    assert_int_equal(xenstore_ring_get(&ring, in, 1, &full), -EIO);
}

/* ---- The client ---- */

static struct xenstore_ring *shared;
static atomic_bool server_stop, server_stopped;
static char stored[5000];
static size_t stored_bytes;
static unsigned int transactions_ended;
static char last_watch[64], last_token[16];

static size_t server_get(void *bytes, size_t length)
{
    size_t got = 0;
    while (got < length && !server_stop) {
        uint32_t consumer = shared->request_consumer;
        if (consumer == __atomic_load_n(&shared->request_producer, __ATOMIC_ACQUIRE)) {
            host_event_fire(boot_info.store_port);
            thread_yield();
            continue;
        }
        ((char *)bytes)[got++] = shared->request[consumer % XENSTORE_RING_BYTES];
        __atomic_store_n(&shared->request_consumer, consumer + 1, __ATOMIC_RELEASE);
    }
    return got;
}

static void server_put(const void *bytes, size_t length)
{
    for (size_t put = 0; put < length && !server_stop;) {
        uint32_t producer = shared->response_producer;
        if (producer - __atomic_load_n(&shared->response_consumer, __ATOMIC_ACQUIRE) == XENSTORE_RING_BYTES) {
            host_event_fire(boot_info.store_port);
            continue;
        }
        shared->response[producer % XENSTORE_RING_BYTES] = ((const char *)bytes)[put++];
        __atomic_store_n(&shared->response_producer, producer + 1, __ATOMIC_RELEASE);
    }
}

static void server_message(uint32_t type, uint32_t request, const void *payload, size_t length)
{
    struct xenstore_header header = { .type = type, .request = request, .length_bytes = (uint32_t)length };
    server_put(&header, sizeof(header));
    server_put(payload, length);
    host_event_fire(boot_info.store_port);
}

static void server_event(void)
{
    char event[100];
    int length = format_string(event, sizeof(event), "%s", last_watch) + 1;
    length += format_string(event + length, sizeof(event) - (size_t)length, "%s", last_token) + 1;
    server_message(XS_WATCH_EVENT, 0, event, (size_t)length);
}

static void server_answer(const struct xenstore_header *header, const char *payload)
{
    if (header->type == XS_READ && strcmp(payload, "data/value") == 0) {
        server_message(XS_READ, header->request, stored, stored_bytes);
    } else if (header->type == XS_READ && strcmp(payload, "data/mad") == 0) {
        server_message(XS_WRITE, header->request, "x", 1);
    } else if (header->type == XS_READ && strcmp(payload, "data/stray") == 0) {
        server_message(XS_READ, header->request + 1000, "x", 1);
        server_message(XS_WATCH_EVENT, 0, "nonsense", 8);
        server_message(XS_READ, header->request, "42", 2);
    } else if (header->type == XS_READ) {
        server_message(XS_ERROR, header->request, "ENOENT", 7);
    } else if (header->type == XS_WRITE) {
        stored_bytes = header->length_bytes - strlen(payload) - 1;
        memcpy(stored, payload + strlen(payload) + 1, stored_bytes);
        server_message(XS_WRITE, header->request, "OK", 3);
        server_event();
    } else if (header->type == XS_TRANSACTION_START) {
        server_message(XS_TRANSACTION_START, header->request, "7", 2);
    } else if (header->type == XS_TRANSACTION_END) {
        bool again = transactions_ended++ < 2;
        server_message(again ? XS_ERROR : XS_TRANSACTION_END, header->request, again ? "EAGAIN" : "OK", again ? 7 : 3);
    } else if (header->type == XS_WATCH) {
        format_string(last_watch, sizeof(last_watch), "%s", payload);
        format_string(last_token, sizeof(last_token), "%s", payload + strlen(payload) + 1);
        server_message(XS_WATCH, header->request, "OK", 3);
        server_event();
    } else if (header->type == XS_DIRECTORY && strcmp(payload, "long") == 0) {
        server_message(XS_ERROR, header->request, "E2BIG", 6);
    } else if (header->type == XS_DIRECTORY_PART) {
        bool first = strcmp(payload + strlen(payload) + 1, "0") == 0;
        server_message(XS_DIRECTORY_PART, header->request, first ? "5\0one\0tw" : "5\0o\0", first ? 8 : 5);
    } else {
        server_message(header->type, header->request, "OK", 3);
    }
}

static void server_main(void *argument)
{
    struct xenstore_header header;
    static char payload[5000];

    while (server_get(&header, sizeof(header)) == sizeof(header)) {
        memset(payload, 0, sizeof(payload));
        server_get(payload, header.length_bytes);
        server_answer(&header, payload);
    }
    server_stopped = true;
}

static atomic_uint changes;

static void changed(struct xenstore_watch *watch, const char *path)
{
    changes++;
}

/* Events of one watch and path are one while they wait, so each is waited for. */
static bool changed_at_least(unsigned int count)
{
    uint64_t deadline_ns = clock_monotonic_ns() + 20000000000ull;
    while (changes < count && clock_monotonic_ns() < deadline_ns)
        thread_yield();
    return changes >= count;
}

static int body_runs;

static int body(uint32_t transaction, void *data)
{
    body_runs++;
    return transaction == 7 ? 0 : -EINVAL;
}

static void the_client_talks(void **state)
{
    static struct xenstore_watch watch = { .path = "data", .changed = changed };
    struct page *page = page_allocate(0, PAGE_RESERVED, PAGE_ALLOCATE_ZERO);
    struct thread *server;
    char text[16], *names, *long_value = memory_allocate(4000);
    uint64_t number;
    unsigned int count;

    shared = page_address(page);
    boot_info.store_frame = frames_gfn(page_pfn(page));
    /* A boot loader may have used the ring before. */
    shared->request_producer = shared->request_consumer = 12345;
    shared->response_producer = shared->response_consumer = 999;
    assert_int_equal(xenstore_start(), 0);
    assert_int_equal(thread_create(&server, "xenstored", server_main, NULL), 0);
    thread_start(server);

    assert_int_equal(xenstore_read_unsigned(0, "data", "nothing", 9, &number), -ENOENT);
    assert_int_equal(xenstore_watch_add(&watch), 0);
    assert_true(changed_at_least(1));
    assert_int_equal(xenstore_print(0, "data", "value", "%d", 42), 0);
    assert_int_equal(xenstore_read_unsigned(0, "data", "value", 42, &number), 0);
    assert_int_equal(number, 42);
    assert_int_equal(xenstore_read_unsigned(0, "data", "value", 41, &number), -ERANGE);
    assert_int_equal(xenstore_write(0, "data", "value", "4 ", 2), 0);
    assert_int_equal(xenstore_read_unsigned(0, "data", "value", 42, &number), -EINVAL);
    memset(long_value, 'y', 4000);
    assert_int_equal(xenstore_write(0, "data", "value", long_value, 4000), 0);
    char *back;
    size_t length;
    assert_int_equal(xenstore_read(0, "data", "value", &back, &length), 0);
    assert_int_equal(length, 4000);
    assert_memory_equal(back, long_value, 4000);
    memory_free(back);
    assert_int_equal(xenstore_read_string(0, "data", "value", text, sizeof(text)), -E2BIG);
    assert_int_equal(xenstore_write(0, "data", "value", long_value, 5000), -E2BIG);
    assert_int_equal(xenstore_write(0, "da ta", "value", "", 0), -EINVAL);
    assert_int_equal(xenstore_read_string(0, "data", "mad", text, sizeof(text)), -EIO);
    assert_int_equal(xenstore_read_string(0, "data", "stray", text, sizeof(text)), 0);
    assert_string_equal(text, "42");

    static const char *const keys[] = {"nothing", "stray", "stray", "mad", "bad name"};
    struct xenstore_request requests[array_count(keys)];
    for (unsigned int i = 0; i < array_count(keys); i++)
        xenstore_start_read(&requests[i], "data", keys[i]);
    assert_int_equal(xenstore_await(&requests[4]), -EINVAL); /* in any order */
    assert_int_equal(xenstore_await(&requests[0]), -ENOENT);
    number = 8;
    assert_int_equal(xenstore_await_unsigned(&requests[2], 41, &number), -ERANGE);
    assert_int_equal(number, 8);
    assert_int_equal(xenstore_await_unsigned(&requests[1], 100, &number), 0);
    assert_int_equal(number, 42);
    assert_int_equal(xenstore_await_unsigned(&requests[3], 100, &number), -EIO);
    /* More than the ring holds. */
    for (unsigned int i = 0; i < array_count(keys); i++)
        xenstore_start_write(&requests[i], "data", keys[i], long_value, 700);
    for (unsigned int i = 0; i < array_count(keys); i++)
        assert_int_equal(xenstore_await(&requests[i]), i == 4 ? -EINVAL : 0);
    xenstore_start_list(&requests[0], "long");
    assert_int_equal(xenstore_await_list(&requests[0], "long", &names, &count), 0);
    assert_int_equal(count, 2);
    memory_free(names);
    assert_int_equal(xenstore_transaction(body, NULL), 0);
    assert_int_equal(body_runs, 3);
    assert_int_equal(xenstore_list(0, "long", &names, &count), 0);
    assert_int_equal(count, 2);
    assert_memory_equal(names, "one\0two\0", 8);
    memory_free(names);

    assert_true(changed_at_least(2));
    xenstore_watch_remove(&watch);

    /* A length that cannot be ends it all: pending and new requests fail. */
    struct xenstore_header mad = { .type = XS_READ, .length_bytes = 4097 };
    server_put(&mad, sizeof(mad));
    host_event_fire(boot_info.store_port);
    assert_int_equal(xenstore_read_unsigned(0, "data", "value", 9, &number), -EIO);
    server_stop = true;
    while (!server_stopped)
        thread_yield();
    thread_release(server);
    memory_free(long_value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_have_names),
        cmocka_unit_test(events_are_two_strings),
        cmocka_unit_test(lists_and_paths),
        cmocka_unit_test(the_ring_wraps_and_refuses),
        cmocka_unit_test(the_client_talks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
