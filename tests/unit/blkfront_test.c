/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkfront's data path against a backend in the test: an honest one over a small disk in memory, and each kind of dishonest one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "blkfront/handshake.h"
#include "blkfront/transfer.h"
#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "tests/unit/host/host.h"

#define DISK_SECTORS 4096u

static uint8_t disk_bytes[DISK_SECTORS * 512];

static struct blkfront_disk *disk;
static unsigned int violations;
static uint32_t backend_consumer, backend_producer;
static unsigned int backend_requests;
static int backend_status;

static void note_violation(struct deferred_work *work)
{
}

static void connect(bool trusted)
{
    disk->ring_page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    blkfront_queue_init(&disk->queue, page_address(disk->ring_page));
    assert_int_equal(event_channel_allocate_unbound(0, blkfront_event, disk, &disk->port), 0);
    disk->trusted = trusted;
    backend_consumer = backend_producer = 0;
    blkfront_transfer_resume(disk);
}

static void set_up(bool trusted)
{
    disk = memory_allocate_zeroed(sizeof(*disk));
    assert_int_equal(grant_table_init(), 0);
    assert_int_equal(blkfront_transfer_init(disk), 0);
    static const struct block_device_ops ops = { .submit = blkfront_submit };
    disk->device.ops = &ops;
    disk->device.sector_count = DISK_SECTORS;
    disk->device.logical_block_bytes = 512;
    disk->device.can_flush = true;
    strcpy(disk->device.name, "xvda");
    deferred_work_init(&disk->violation_work, note_violation);
    backend_status = 0;
    backend_requests = 0;
    connect(trusted);
}

static void tear_down(void)
{
    deferred_work_cancel(&disk->violation_work);
    blkfront_transfer_fail(disk);
    event_channel_close(disk->port);
    blkfront_transfer_destroy(disk);
    page_release(disk->ring_page);
    memory_free(disk);
    disk = NULL;
}

static struct blkfront_wire_ring *ring(void)
{
    return page_address(disk->ring_page);
}

static void backend_answer(uint64_t id, uint8_t operation, int16_t status)
{
    struct blkfront_wire_response *response = &ring()->entries[backend_producer++ % BLKFRONT_RING_SIZE].response;
    response->id = id;
    response->operation = operation;
    response->status = status;
    ring()->header.response_producer = backend_producer;
}

static void backend_serve(const struct blkfront_wire_request *request)
{
    uint8_t *place = disk_bytes + request->sector * 512;
    bool reads = request->operation == BLKFRONT_READ;

    for (unsigned int i = 0; i < request->segment_count; i++) {
        const struct blkfront_wire_segment *segment = &request->segments[i];
        size_t bytes = (size_t)(segment->last_sector - segment->first_sector + 1) * 512;
        uint8_t *page = host_grant_page(segment->reference, reads);
        assert_non_null(page);
        assert_true(segment->first_sector <= segment->last_sector && segment->last_sector < 8);
        page += segment->first_sector * 512;
        if (reads)
            memcpy(page, place, bytes);
        else
            memcpy(place, page, bytes);
        place += bytes;
    }
}

/* Serves what is in the ring, and tells; the number of requests. */
static unsigned int backend_run(void)
{
    unsigned int count = 0;
    while (backend_consumer != ring()->header.request_producer) {
        struct blkfront_wire_request request = ring()->entries[backend_consumer++ % BLKFRONT_RING_SIZE].request;
        if (request.operation == BLKFRONT_READ || request.operation == BLKFRONT_WRITE)
            backend_serve(&request);
        backend_answer(request.id, request.operation, (int16_t)backend_status);
        count++;
    }
    backend_requests += count;
    host_event_fire(disk->port);
    return count;
}

static unsigned int completions;
static int last_error;

static void completed(struct block_request *request)
{
    completions++;
    last_error = request->error;
}

#define PAGES 100

static struct page *pages[PAGES];
static struct block_segment segments[PAGES];
static struct block_request request;

static void submit(enum block_operation operation, uint64_t sector, unsigned int count)
{
    request = (struct block_request){ .operation = operation, .sector = sector, .segments = segments, .segment_count = count, .complete = completed };
    completions = 0;
    block_submit(&disk->device, &request);
}

static void take_pages(void)
{
    for (unsigned int i = 0; i < PAGES; i++) {
        pages[i] = page_allocate(0, PAGE_KERNEL, 0);
        memset(page_address(pages[i]), (int)i + 1, PAGE_SIZE);
        segments[i] = (struct block_segment){ pages[i], 0, PAGE_SIZE };
    }
}

static void drop_pages(void)
{
    for (unsigned int i = 0; i < PAGES; i++)
        page_release(pages[i]);
}

static void data_goes_there_and_back(bool trusted)
{
    set_up(trusted);
    take_pages();
    submit(BLOCK_WRITE, 0, PAGES);
    while (completions == 0)
        assert_true(backend_run() > 0);
    assert_int_equal(last_error, 0);
    assert_int_equal(backend_requests, (PAGES + 10) / 11);
    for (unsigned int i = 0; i < PAGES; i++)
        memset(page_address(pages[i]), 0, PAGE_SIZE);
    submit(BLOCK_READ, 0, PAGES);
    while (completions == 0)
        assert_true(backend_run() > 0);
    for (unsigned int i = 0; i < PAGES; i++)
        assert_int_equal(((uint8_t *)page_address(pages[i]))[i], i + 1);
    assert_int_equal(completions, 1);
    drop_pages();
    tear_down();
}

static void trusted_backend(void **state)
{
    data_goes_there_and_back(true);
}

static void untrusted_backend(void **state)
{
    data_goes_there_and_back(false);
}

static void neighbours_are_merged(void **state)
{
    set_up(true);
    take_pages();
    for (unsigned int i = 0; i < 32; i++)
        segments[i] = (struct block_segment){ pages[i / 8], (i % 8) * 512, 512 };
    submit(BLOCK_WRITE, 8, 32);
    assert_int_equal(backend_run(), 1);
    assert_int_equal(completions, 1);
    assert_memory_equal(disk_bytes + 8 * 512, page_address(pages[0]), PAGE_SIZE);
    drop_pages();
    tear_down();
}

static void backends_without_flush(void **state)
{
    set_up(true);
    submit(BLOCK_FLUSH, 0, 0);
    backend_status = BLKFRONT_UNSUPPORTED;
    assert_int_equal(backend_run(), 1);
    assert_int_equal(completions * 100 + last_error, 100);
    assert_false(disk->device.can_flush);
    submit(BLOCK_FLUSH, 0, 0);
    assert_int_equal(completions * 100 + last_error, 100);
    assert_int_equal(backend_run(), 0);
    tear_down();
}

static void errors_are_reported(void **state)
{
    set_up(true);
    take_pages();
    backend_status = BLKFRONT_ERROR;
    submit(BLOCK_READ, 0, 30);
    backend_run();
    assert_int_equal(completions, 1);
    assert_int_equal(last_error, -EIO);
    assert_int_equal(disk->state, BLKFRONT_CONNECTED);
    drop_pages();
    tear_down();
}

static void requests_in_flight_are_sent_again(void **state)
{
    struct grant_table_statistics before, after;

    set_up(true);
    take_pages();
    grant_table_statistics(&before);
    submit(BLOCK_WRITE, 0, PAGES);
    event_channel_close(disk->port);
    blkfront_transfer_pause(disk);
    blkfront_transfer_recall(disk);
    page_release(disk->ring_page);
    connect(true);
    assert_int_equal(completions, 0);
    while (completions == 0)
        assert_true(backend_run() > 0);
    assert_int_equal(last_error, 0);
    assert_int_equal(disk_bytes[99 * 4096], 100);
    grant_table_statistics(&after);
    assert_int_equal(before.free, after.free);
    drop_pages();
    tear_down();
}

/* One page is asked for; `misbehave` answers; the disk must be dead and the request over, with an error. */
static void violation(void (*misbehave)(void), bool keep)
{
    set_up(true);
    take_pages();
    submit(BLOCK_READ, 0, 1);
    misbehave();
    host_event_fire(disk->port);
    assert_int_equal(disk->state, BLKFRONT_DEAD);
    assert_non_null(disk->violation);
    assert_int_equal(completions, 1);
    assert_int_equal(last_error, -EIO);
    submit(BLOCK_READ, 0, 1);
    assert_int_equal(completions, 1);
    assert_int_equal(last_error, -EIO);
    drop_pages();
    tear_down();
    violations++;
}

static void answer_too_many(void)
{
    ring()->header.response_producer = 2;
}

static void answer_backwards(void)
{
    ring()->header.response_producer = UINT32_MAX;
}

static void answer_bad_id(void)
{
    backend_answer(1ull << 40, BLKFRONT_READ, 0);
}

static void answer_free_id(void)
{
    backend_answer(1, BLKFRONT_READ, 0);
}

static void answer_other_operation(void)
{
    backend_answer(0, BLKFRONT_WRITE, 0);
}

static uint32_t held;

static void answer_while_mapped(void)
{
    held = ring()->entries[0].request.segments[0].reference;
    host_grant_hold(held, true);
    backend_answer(0, BLKFRONT_READ, 0);
}

static void violations_close_the_disk(void **state)
{
    violation(answer_too_many, false);
    violation(answer_backwards, false);
    violation(answer_bad_id, false);
    violation(answer_free_id, false);
    violation(answer_other_operation, false);
}

static void mapped_pages_stay_with_their_grant(void **state)
{
    struct grant_table_statistics statistics;
    size_t before = host_pages_in_use();

    violation(answer_while_mapped, true);
    grant_table_statistics(&statistics);
    assert_int_equal(statistics.ending, 1);
    assert_int_equal(host_pages_in_use(), before + 1);
    host_clock_advance(1500000000);
    grant_table_statistics(&statistics);
    assert_int_equal(statistics.ending, 1);
    host_grant_hold(held, false);
    host_clock_advance(1500000000);
    grant_table_statistics(&statistics);
    assert_int_equal(statistics.ending, 0);
    assert_int_equal(host_pages_in_use(), before);
}

static void names_of_virtual_devices(void **state)
{
    static const struct {
        uint32_t id;
        const char *name;
        uint32_t number;
    } cases[] = {
        { 51712, "xvda", 51712 }, { 51713, "xvda1", 51713 }, { 51728, "xvdb", 51728 }, { 2049, "xvda1", 51713 },
        { 768, "xvda", 51712 }, { 832, "xvdb", 51728 }, { 5632, "xvdc", 51744 }, { 1u << 28 | 26 << 8 | 2, "xvdaa2", 0 },
    };
    char name[BLOCK_NAME_BYTES];
    uint32_t number;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(blkfront_handshake_name(cases[i].id, name, &number), 0);
        assert_string_equal(name, cases[i].name);
        if (cases[i].number)
            assert_int_equal(number, cases[i].number);
    }
    assert_int_equal(blkfront_handshake_name(7 << 8, name, &number), -EINVAL);
    assert_int_equal(blkfront_handshake_name(UINT32_MAX, name, &number), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusted_backend),
        cmocka_unit_test(untrusted_backend),
        cmocka_unit_test(neighbours_are_merged),
        cmocka_unit_test(backends_without_flush),
        cmocka_unit_test(errors_are_reported),
        cmocka_unit_test(requests_in_flight_are_sent_again),
        cmocka_unit_test(violations_close_the_disk),
        cmocka_unit_test(mapped_pages_stay_with_their_grant),
        cmocka_unit_test(names_of_virtual_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
