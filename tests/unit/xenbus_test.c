/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus against a xenstore in the test (a table of paths and values, answered at once): devices that come, are written by halves, tell
 * nonsense, go and come back, and every allocation that fails on the way.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/wait_queue.h"
#include "tests/unit/host/host.h"
#include "xen/bus/xenbus.h"
#include "xen/machine/clock.h"

#define DEVICE "device/vbd/51712"
#define BACKEND "/local/domain/0/backend/vbd/5/51712"

/* ---- The store ----------------------------------------------------------------------------------------------------- */

struct node {
    char path[160];
    char value[64];
    size_t length;
};

static struct node nodes[64];
static size_t node_count;
static struct xenstore_watch *watches[8];
static unsigned int lists; /* asked for */
static char written[1024]; /* "path=value;" of the kernel's writes, in order */
static int write_error;

static struct node *find(const char *path)
{
    for (size_t i = 0; i < node_count; i++)
        if (strcmp(nodes[i].path, path) == 0)
            return &nodes[i];
    return NULL;
}

static void put_bytes(const char *path, const void *value, size_t length)
{
    struct node *node = find(path);

    if (!node) {
        assert_true(node_count < sizeof(nodes) / sizeof(nodes[0]));
        node = &nodes[node_count++];
        snprintf(node->path, sizeof(node->path), "%s", path);
    }
    assert_true(length < sizeof(node->value));
    memcpy(node->value, value, length);
    node->length = length;
}

static void put(const char *path, const char *value)
{
    put_bytes(path, value, strlen(value));
}

/* With all below. */
static void take(const char *path)
{
    size_t length = strlen(path), kept = 0;

    for (size_t i = 0; i < node_count; i++)
        if (strncmp(nodes[i].path, path, length) != 0 || (nodes[i].path[length] != '/' && nodes[i].path[length] != 0))
            nodes[kept++] = nodes[i];
    node_count = kept;
}

static void fire(const char *path)
{
    struct xenstore_watch *now[8];

    memcpy(now, watches, sizeof(now));
    for (size_t i = 0; i < 8; i++) {
        if (!now[i] || watches[i] != now[i])
            continue;
        size_t length = strlen(now[i]->path);
        if (strncmp(path, now[i]->path, length) == 0 && (path[length] == '/' || path[length] == 0))
            now[i]->changed(now[i], path);
    }
}

static void put_and_fire(const char *path, const char *value)
{
    put(path, value);
    fire(path);
}

static unsigned int watch_count(void)
{
    unsigned int count = 0;

    for (size_t i = 0; i < 8; i++)
        count += watches[i] != NULL;
    return count;
}

/* ---- xen/bus/xenstore.h, as far as the bus calls it ---------------------------------------------------------------- */

int xenstore_join(char *buffer, size_t size_bytes, const char *directory, const char *name)
{
    return (size_t)snprintf(buffer, size_bytes, "%s/%s", directory, name) < size_bytes ? 0 : -ENAMETOOLONG;
}

static void answer(struct xenstore_request *request, const void *bytes, size_t length)
{
    request->reply = memory_allocate(length + 1);
    request->error = request->reply ? 0 : -ENOMEM;
    if (!request->reply)
        return;
    memcpy(request->reply, bytes, length);
    request->reply[length] = 0;
    request->reply_bytes = length;
}

void xenstore_start_read(struct xenstore_request *request, const char *directory, const char *name)
{
    char path[160];

    *request = (struct xenstore_request){.error = xenstore_join(path, sizeof(path), directory, name)};
    struct node *node = find(path);
    if (node)
        answer(request, node->value, node->length);
    else
        request->error = -ENOENT;
}

void xenstore_start_list(struct xenstore_request *request, const char *path)
{
    char names[512];
    size_t length = strlen(path), used = 0;

    lists++;
    *request = (struct xenstore_request){.error = -ENOENT};
    for (size_t i = 0; i < node_count; i++) {
        if (strncmp(nodes[i].path, path, length) != 0 || nodes[i].path[length] != '/')
            continue;
        size_t name = strcspn(nodes[i].path + length + 1, "/");
        bool seen = false;
        for (size_t at = 0; at < used; at += strlen(names + at) + 1)
            seen |= strlen(names + at) == name && memcmp(names + at, nodes[i].path + length + 1, name) == 0;
        if (seen)
            continue;
        memcpy(names + used, nodes[i].path + length + 1, name);
        names[used + name] = 0;
        used += name + 1;
    }
    if (used > 0)
        answer(request, names, used);
}

void xenstore_start_write(struct xenstore_request *request, const char *directory, const char *name, const void *value, size_t length_bytes)
{
    size_t used = strlen(written);
    char path[160];

    *request = (struct xenstore_request){.error = write_error};
    assert_int_equal(xenstore_join(path, sizeof(path), directory, name), 0);
    snprintf(written + used, sizeof(written) - used, "%s=%.*s;", path, (int)length_bytes, (const char *)value);
    if (write_error == 0)
        put_bytes(path, value, length_bytes);
}

int xenstore_await(struct xenstore_request *request)
{
    return request->error;
}

int xenstore_await_value(struct xenstore_request *request, char **value, size_t *length_bytes)
{
    *value = request->reply;
    *length_bytes = request->reply_bytes;
    return request->error;
}

int xenstore_await_string(struct xenstore_request *request, char *buffer, size_t size_bytes)
{
    if (request->error == 0 && request->reply_bytes >= size_bytes)
        request->error = -E2BIG;
    else if (request->error == 0)
        memcpy(buffer, request->reply, request->reply_bytes + 1);
    memory_free(request->reply);
    return request->error;
}

int xenstore_await_unsigned(struct xenstore_request *request, uint64_t limit, uint64_t *value)
{
    char *end;

    if (request->error == 0) {
        unsigned long long number = strtoull(request->reply, &end, 10);
        request->error = request->reply_bytes == 0 || *end != 0 ? -EINVAL : number > limit ? -ERANGE
                                                                                          : 0;
        if (request->error == 0)
            *value = number;
    }
    memory_free(request->reply);
    return request->error;
}

int xenstore_await_list(struct xenstore_request *request, const char *path, char **names, unsigned int *count)
{
    *count = 0;
    for (size_t at = 0; request->error == 0 && at < request->reply_bytes; at += strlen(request->reply + at) + 1)
        ++*count;
    *names = request->reply;
    return request->error;
}

int xenstore_read(uint32_t transaction, const char *directory, const char *name, char **value, size_t *length_bytes)
{
    struct xenstore_request request;

    xenstore_start_read(&request, directory, name);
    return xenstore_await_value(&request, value, length_bytes);
}

int xenstore_print(uint32_t transaction, const char *directory, const char *name, const char *format, ...)
{
    struct xenstore_request request;
    char value[64];
    va_list list;

    va_start(list, format);
    int length = vsnprintf(value, sizeof(value), format, list);
    va_end(list);
    xenstore_start_write(&request, directory, name, value, (size_t)length);
    return request.error;
}

void xenstore_push(void)
{
}

void xenstore_watch_start_add(struct xenstore_watch *watch, struct xenstore_request *request)
{
    size_t place = 0;

    while (watches[place])
        place++;
    assert_true(place < 8);
    watches[place] = watch;
    *request = (struct xenstore_request){0};
}

int xenstore_watch_await_add(struct xenstore_watch *watch, struct xenstore_request *request)
{
    return request->error;
}

void xenstore_watch_remove(struct xenstore_watch *watch)
{
    for (size_t i = 0; i < 8; i++)
        if (watches[i] == watch)
            watches[i] = NULL;
}

/* ---- A driver ------------------------------------------------------------------------------------------------------ */

static struct xenbus_device *disk;
static unsigned int probes, tellings, removals;
static int probe_error;
static enum xenbus_state last_state;
static uint64_t number; /* of own keys in probe, of the backend's later */
static int number_error;
static bool has_text;

static int probe(struct xenbus_device *device)
{
    probes++;
    disk = device;
    number_error = xenbus_number(device, device->own, 0, 1000, &number);
    has_text = xenbus_text(device->own, 1) != NULL;
    return probe_error;
}

static void backend_changed(struct xenbus_device *device, enum xenbus_state state)
{
    assert_ptr_equal(device, disk);
    assert_null(device->own);
    tellings++;
    last_state = state;
    if (device->state == XENBUS_INITIALISED || device->state == XENBUS_CONNECTED)
        number_error = xenbus_number(device, device->backend, 0, 1000, &number);
}

static void gone(struct xenbus_device *device)
{
    assert_ptr_equal(device, disk);
    removals++;
    disk = NULL;
}

static const char *const own_keys[] = {"virtual-device", "device-type", NULL};
static const char *const connect_keys[] = {"sectors", NULL};
static const struct xenbus_driver block = {
    .class_name = "vbd",
    .keys = own_keys,
    .connect_keys = connect_keys,
    .probe = probe,
    .backend_changed = backend_changed,
    .remove = gone,
};
static const struct xenbus_driver *const drivers[] = {&block, NULL};

static int start_bus(void **state)
{
    xenbus_start(drivers);
    return 0;
}

static int set_up(void **state)
{
    probes = tellings = removals = lists = 0;
    probe_error = number_error = write_error = 0;
    written[0] = 0;
    disk = NULL;
    return 0;
}

/* All devices are gone, and what they took with them. */
static int tear_down(void **state)
{
    node_count = 0;
    fire("device");
    assert_null(disk);
    assert_int_equal(watch_count(), 1);
    return 0;
}

static void plug(void)
{
    put(DEVICE "/backend-id", "0");
    put(DEVICE "/virtual-device", "768");
    put(DEVICE "/device-type", "disk");
    put(BACKEND "/state", "2");
    put_and_fire(DEVICE "/backend", BACKEND);
}

/* ---- Cases --------------------------------------------------------------------------------------------------------- */

static void a_device_comes_and_goes(void **state)
{
    static const struct xenbus_entry entries[] = {{.name = "ring-ref", .number = 8}, {.name = "protocol", .text = "x86_64-abi"}};

    assert_int_equal(xenbus_wait(NULL, NULL, clock_monotonic_ns()), -ETIMEDOUT); /* no scan yet */
    plug();
    assert_int_equal(probes, 1);
    assert_int_equal(number, 768);
    assert_true(has_text);
    assert_int_equal(tellings, 1);
    assert_int_equal(last_state, XENBUS_INIT_WAIT);
    assert_int_equal(xenbus_wait(NULL, NULL, clock_monotonic_ns()), -ETIMEDOUT);

    assert_int_equal(xenbus_offer(disk, entries, 2, XENBUS_INITIALISED), 0);
    assert_string_equal(written, DEVICE "/ring-ref=8;" DEVICE "/protocol=x86_64-abi;" DEVICE "/state=3;");
    lists = 0;
    fire(DEVICE "/state"); /* our own write */
    assert_int_equal(lists, 0);

    put(BACKEND "/sectors", "640");
    put_and_fire(BACKEND "/state", "4");
    assert_int_equal(last_state, XENBUS_CONNECTED);
    assert_int_equal(number, 640);
    xenbus_set_state(disk, XENBUS_CONNECTED);
    xenbus_set_state(disk, XENBUS_CONNECTED);
    assert_string_equal(written, DEVICE "/ring-ref=8;" DEVICE "/protocol=x86_64-abi;" DEVICE "/state=3;" DEVICE "/state=4;");
    assert_int_equal(xenbus_wait(NULL, NULL, clock_monotonic_ns()), 0);

    take(BACKEND);
    fire(BACKEND "/state");
    assert_int_equal(last_state, XENBUS_CLOSED);
    take(DEVICE);
    fire(DEVICE);
    assert_int_equal(removals, 1);
    assert_int_equal(probes, 1);
    plug();
    assert_int_equal(probes, 2);
}

static bool enough(void *data)
{
    return *(bool *)data;
}

static void who_waits_may_have_enough(void **state)
{
    bool yes = true, no = false;

    plug();
    assert_int_equal(xenbus_wait(enough, &yes, clock_monotonic_ns()), 0);
    assert_int_equal(xenbus_wait(enough, &no, clock_monotonic_ns()), -ETIMEDOUT);
    xenbus_set_state(disk, XENBUS_CLOSING);
    assert_int_equal(xenbus_wait(enough, &no, clock_monotonic_ns()), 0);
}

static void half_a_device_is_none_yet(void **state)
{
    put_and_fire(DEVICE "/backend-id", "0");
    assert_int_equal(probes, 0);
    put_and_fire(DEVICE "/backend", BACKEND); /* the backend's state is not there */
    assert_int_equal(probes, 1);
    assert_int_equal(number_error, -ENOENT);
    assert_false(has_text);
    assert_int_equal(last_state, XENBUS_UNKNOWN);
    put_and_fire(BACKEND "/state", "1");
    assert_int_equal(last_state, XENBUS_INITIALISING);
    assert_int_equal(probes, 1);
}

static void nonsense_is_no_device(void **state)
{
    static const char *const domains[] = {"", "x", "-1", "0x1", "32752", "99999999999999999999"};
    static const char *const names[] = {"device/vbd/x", "device/vbd/4294967296", "device/vbd/-1", "device/vfb/0"};
    char path[160];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/backend-id", names[i]);
        put(path, "0");
        snprintf(path, sizeof(path), "%s/backend", names[i]);
        put_and_fire(path, BACKEND);
    }
    for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
        put(DEVICE "/backend-id", domains[i]);
        put_and_fire(DEVICE "/backend", BACKEND);
    }
    assert_int_equal(probes, 0);
    assert_int_equal(watch_count(), 1);
    put_and_fire(DEVICE "/backend-id", "32751");
    fire(DEVICE "/backend");
    assert_int_equal(probes, 1);
    assert_int_equal(disk->backend_domain, 32751);
}

static void nonsense_of_a_backend_is_passed_over(void **state)
{
    static const char *const states[] = {"", "9", "-1", "4 ", "four"};
    static const char *const numbers[] = {"", "1001", "-1", "1 ", "18446744073709551616"};

    plug();
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        put_and_fire(BACKEND "/state", states[i]);
    assert_int_equal(tellings, 1);
    xenbus_set_state(disk, XENBUS_CONNECTED);
    put(BACKEND "/state", "4");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        put(BACKEND "/sectors", numbers[i]);
        fire(BACKEND "/state");
        assert_int_not_equal(number_error, 0);
        assert_int_equal(number, 768);
    }
    put_bytes(BACKEND "/sectors", "1\0002", 3);
    fire(BACKEND "/state");
    assert_int_equal(number_error, -EINVAL);
    assert_int_equal(tellings, 7);
    put(BACKEND "/sectors", "1000");
    fire(BACKEND "/state");
    assert_int_equal(number, 1000);
}

static void a_text_with_a_nul_is_none(void **state)
{
    put(DEVICE "/backend-id", "0");
    put_bytes(DEVICE "/device-type", "di\0sk", 5);
    put_and_fire(DEVICE "/backend", BACKEND);
    assert_int_equal(probes, 1);
    assert_false(has_text);
}

static void a_refused_device_is_not_tried_again(void **state)
{
    probe_error = -ENODEV;
    plug();
    disk = NULL;
    fire("device");
    fire(BACKEND "/state");
    assert_int_equal(probes, 1);
    assert_int_equal(tellings, 0);
    assert_int_equal(watch_count(), 1);
    assert_int_equal(xenbus_wait(NULL, NULL, clock_monotonic_ns()), 0); /* it is given up */
    take(DEVICE);
    fire(DEVICE);
    assert_int_equal(removals, 0);
    probe_error = 0;
    plug();
    assert_int_equal(probes, 2);
}

static void a_violation_closes(void **state)
{
    plug();
    xenbus_fail(disk, -EIO, "it lies");
    assert_string_equal(written, "error/" DEVICE "/error=5 it lies;" DEVICE "/state=5;");
    assert_int_equal(disk->state, XENBUS_CLOSING);
    write_error = -EACCES;
    assert_int_equal(xenbus_offer(disk, NULL, 0, XENBUS_INITIALISED), -EACCES);
    xenbus_set_state(disk, XENBUS_CLOSED);
    assert_int_equal(disk->state, XENBUS_CLOSED);
}

/* Whatever allocation fails: no fault, no leak; and with memory back the next event finds the device, unless it was given up with a line. */
static void out_of_memory_is_outlived(void **state)
{
    size_t objects = host_objects_in_use();
    unsigned int found = 0;
    long successes = -1;

    do {
        set_up(state);
        successes++;
        host_fail_allocations_after(successes);
        plug();
        bool refused = tellings == 0;
        host_fail_allocations_after(-1);
        fire("device");
        fire(BACKEND "/state");
        if (probes == 0)
            assert_int_equal(xenbus_wait(NULL, NULL, clock_monotonic_ns()), 0);
        else
            assert_int_not_equal(tellings, 0);
        found += probes;
        assert_true(successes < 100);
        tear_down(state);
        assert_int_equal(host_objects_in_use(), objects);
        if (!refused)
            break;
    } while (true);
    assert_true(successes > 5);
    assert_true((long)found >= successes / 2); /* of one more turn than that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_device_comes_and_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_may_have_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_a_device_is_none_yet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_no_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_of_a_backend_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_text_with_a_nul_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_device_is_not_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_violation_closes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_is_outlived, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, start_bus, NULL);
}
