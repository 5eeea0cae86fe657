/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile block backend: each input is a list of its deeds (bytes of the shared ring overwritten, indices moved, pages kept mapped, events) between
 * requests of ours. Whatever it does, every request completes exactly once, and all pages and grants come back.
 */
#include <stdlib.h>
#include <string.h>

#include "blkfront/transfer.h"
#include "kernel/memory/object_cache.h"
#include "tests/unit/host/host.h"

#define REQUESTS 24u
#define PAGES 13u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct block_request requests[REQUESTS];
static unsigned int completed[REQUESTS];
static struct block_segment segments[PAGES];
static struct page *pages[PAGES];

static void note(struct block_request *request)
{
    completed[request - requests]++;
}

static void ignore(struct deferred_work *work)
{
}

static void submit(struct blkfront_disk *disk, unsigned int *count, uint8_t kind)
{
    if (*count == REQUESTS)
        return;
    struct block_request *request = &requests[*count];
    completed[(*count)++] = 0;
    *request = (struct block_request){
        .operation = kind % 4 == 3 ? BLOCK_FLUSH : kind % 2 ? BLOCK_WRITE : BLOCK_READ,
        .sector = kind,
        .segments = segments,
        .segment_count = kind % 4 == 3 ? 0 : 1 + kind / 4 % PAGES,
        .complete = note,
    };
    block_submit(&disk->device, request);
}

/* The deed of the next bytes; how many it took. */
static size_t deed(struct blkfront_disk *disk, const uint8_t *data, size_t size, unsigned int *count)
{
    struct blkfront_wire_ring *ring = page_address(disk->ring_page);
    uint8_t argument = size > 1 ? data[1] : 0;

    switch (data[0] % 8) {
    case 0:
        submit(disk, count, argument);
        break;
    case 1: /* an answer, honest or with one thing wrong */
    case 2: {
        struct blkfront_wire_request asked = ring->entries[argument % BLKFRONT_RING_SIZE].request;
        struct blkfront_wire_response *response =
            &ring->entries[ring->header.response_producer % BLKFRONT_RING_SIZE].response;
        uint8_t twist = size > 2 ? data[2] : 0;
        response->id = asked.id + (twist == 1);
        response->operation = (uint8_t)(asked.operation + (twist == 2));
        response->status = (int16_t)(twist % 4 == 3 ? -(twist / 4) : 0);
        ring->header.response_producer++;
        return 3;
    }
    case 3: {
        uint32_t reference = ring->entries[argument % BLKFRONT_RING_SIZE].request.segments[0].reference;
        host_grant_hold(reference, data[0] & 8);
        break;
    }
    case 4:
        if (size < 5)
            return size;
        ((uint8_t *)ring)[(argument | data[2] << 8) % sizeof(*ring)] = data[3];
        return 4;
    case 5:
        ring->header.response_producer += argument;
        break;
    case 6:
        blkfront_transfer_pause(disk);
        blkfront_transfer_recall(disk);
        memset(ring, 0, sizeof(*ring));
        blkfront_queue_init(&disk->queue, ring);
        blkfront_transfer_resume(disk);
        return 1;
    default:
        host_event_fire(disk->port);
        return 1;
    }
    return 2;
}

static void release_all_holds(void)
{
    for (uint32_t reference = 8; reference < 8 * 512; reference++)
        host_grant_hold(reference, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct block_device_ops ops = { .submit = blkfront_submit };
    static bool started;
    struct grant_table_statistics before, after;
    unsigned int count = 0;

    if (!started && grant_table_init() != 0)
        abort();
    if (!started)
        (void)grant_table_reserve(1000);
    started = true;
    grant_table_statistics(&before);
    size_t pages_before = host_pages_in_use();
    struct blkfront_disk *disk = memory_allocate_zeroed(sizeof(*disk));
    if (!disk || blkfront_transfer_init(disk) != 0)
        abort();
    disk->device.ops = &ops;
    disk->device.sector_count = 1 << 20;
    disk->device.logical_block_bytes = 512;
    disk->device.can_flush = true;
    disk->trusted = size == 0 || data[0] % 2;
    deferred_work_init(&disk->violation_work, ignore);
    disk->ring_page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    for (unsigned int i = 0; i < PAGES; i++) {
        pages[i] = page_allocate(0, PAGE_KERNEL, 0);
        segments[i] = (struct block_segment){ pages[i], 0, PAGE_SIZE };
    }
    blkfront_queue_init(&disk->queue, page_address(disk->ring_page));
    if (event_channel_allocate_unbound(0, blkfront_event, disk, &disk->port) != 0)
        abort();
    blkfront_transfer_resume(disk);

    for (size_t place = 1; place < size;) {
        size_t taken = deed(disk, data + place, size - place, &count);
        place += taken;
    }
    deferred_work_cancel(&disk->violation_work);
    blkfront_transfer_fail(disk);
    event_channel_close(disk->port);
    for (unsigned int i = 0; i < count; i++)
        if (completed[i] != 1)
            abort();
    for (unsigned int i = 0; i < PAGES; i++)
        page_release(pages[i]);
    blkfront_transfer_destroy(disk);
    page_release(disk->ring_page);
    memory_free(disk);
    release_all_holds();
    host_clock_advance(1100000000);
    grant_table_statistics(&after);
    if (before.free != after.free || after.ending != 0 || pages_before != host_pages_in_use())
        abort();
    return 0;
}
