/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of disks, the check of requests before a driver sees them, and the helpers that sleep.
 *
 * block_submit() refuses what is malformed, so that a driver sees whole sectors inside the disk and inside their pages. A
 * request is counted in pieces: submission holds one, the driver one for each ring request it makes of it; whoever ends the last
 * one calls complete(). Lock: table_mutex guards the lists; watchers are called under it.
 */
#include "kernel/device/block_device.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/sched/completion.h"
#include "kernel/sched/mutex.h"

#define SECTORS_OF(bytes) ((bytes) / BLOCK_SECTOR_BYTES)
#define READ_CHUNK_PAGES 16u

static struct mutex table_mutex = MUTEX_INITIALIZER(table_mutex, "block devices", 0);
static struct list devices = LIST_INITIALIZER(devices);   /* table_mutex */
static struct list watchers = LIST_INITIALIZER(watchers); /* table_mutex */

static void block_tell(struct block_device *device, enum block_change change)
{
    struct block_watcher *watcher;

    assert(mutex_held(&table_mutex));
    list_for_each(watcher, &watchers, link)
        watcher->changed(watcher, device, change);
}

static struct block_device *block_find_locked(const char *name)
{
    struct block_device *device;

    list_for_each(device, &devices, link)
        if (strcmp(device->name, name) == 0)
            return device;
    return NULL;
}

int block_device_register(struct block_device *device)
{
    mutex_lock(&table_mutex);
    if (block_find_locked(device->name)) {
        mutex_unlock(&table_mutex);
        return -EEXIST;
    }
    reference_init(&device->reference);
    list_add_last(&devices, &device->link);
    log_info("%s: %llu sectors of 512 bytes, blocks of %u, %s%s", device->name,
             (unsigned long long)atomic_load(&device->sector_count), device->logical_block_bytes,
             device->read_only ? "read-only" : "read-write", atomic_load(&device->can_flush) ? ", flush" : "");
    block_tell(device, BLOCK_ADDED);
    mutex_unlock(&table_mutex);
    return 0;
}

void block_device_unregister(struct block_device *device)
{
    atomic_store(&device->gone, true);
    mutex_lock(&table_mutex);
    list_remove(&device->link);
    block_tell(device, BLOCK_REMOVED);
    mutex_unlock(&table_mutex);
    block_device_release(device);
}

void block_device_resized(struct block_device *device, uint64_t sector_count)
{
    mutex_lock(&table_mutex);
    if (atomic_exchange(&device->sector_count, sector_count) != sector_count) {
        log_info("%s: now %llu sectors", device->name, (unsigned long long)sector_count);
        block_tell(device, BLOCK_RESIZED);
    }
    mutex_unlock(&table_mutex);
}

struct block_device *block_device_find(const char *name)
{
    mutex_lock(&table_mutex);
    struct block_device *device = block_find_locked(name);
    if (device)
        block_device_take(device);
    mutex_unlock(&table_mutex);
    return device;
}

struct block_device *block_device_next(struct block_device *after)
{
    struct block_device *next = NULL;

    mutex_lock(&table_mutex);
    if (!after)
        next = list_first(&devices, struct block_device, link);
    else if (list_linked(&after->link) && after->link.next != &devices) /* one removed meanwhile ends the walk */
        next = list_entry(after->link.next, struct block_device, link);
    if (next)
        block_device_take(next);
    mutex_unlock(&table_mutex);
    if (after)
        block_device_release(after);
    return next;
}

void block_device_take(struct block_device *device)
{
    reference_take(&device->reference);
}

void block_device_release(struct block_device *device)
{
    if (reference_release(&device->reference))
        device->ops->destroy(device);
}

void block_watch(struct block_watcher *watcher)
{
    struct block_device *device;

    mutex_lock(&table_mutex);
    list_add_last(&watchers, &watcher->link);
    list_for_each(device, &devices, link)
        watcher->changed(watcher, device, BLOCK_ADDED);
    mutex_unlock(&table_mutex);
}

void block_unwatch(struct block_watcher *watcher)
{
    mutex_lock(&table_mutex);
    list_remove(&watcher->link);
    mutex_unlock(&table_mutex);
}

void block_request_complete(struct block_request *request, int error)
{
    int none = 0;

    if (error != 0)
        atomic_compare_exchange_strong(&request->first_error, &none, error);
    if (atomic_fetch_sub(&request->pieces_left, 1) != 1)
        return;
    request->error = atomic_load(&request->first_error);
    request->complete(request);
}

/* Sectors of a read or write; 0 where a segment is malformed. */
static uint64_t block_count_sectors(const struct block_device *device, const struct block_request *request)
{
    uint64_t bytes = 0;
    uint32_t mask = device->logical_block_bytes - 1;

    for (uint32_t i = 0; i < request->segment_count; i++) {
        const struct block_segment *segment = &request->segments[i];
        if (!segment->page || segment->length_bytes == 0 || segment->offset_bytes >= PAGE_SIZE ||
            segment->length_bytes > PAGE_SIZE - segment->offset_bytes)
            return 0;
        if ((segment->offset_bytes & (BLOCK_SECTOR_BYTES - 1)) || (segment->length_bytes & mask))
            return 0;
        bytes += segment->length_bytes;
    }
    return SECTORS_OF(bytes);
}

/* 0 or the error that ends the request before the driver sees it. */
static int block_check(struct block_device *device, struct block_request *request)
{
    uint64_t block_sectors = SECTORS_OF(device->logical_block_bytes);
    uint64_t sectors;

    if (atomic_load(&device->gone))
        return -EIO;
    switch (request->operation) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        sectors = block_count_sectors(device, request);
        break;
    case BLOCK_DISCARD:
        if (!atomic_load(&device->can_discard))
            return -EOPNOTSUPP;
        sectors = request->discard_sectors;
        break;
    case BLOCK_FLUSH:
        return 0;
    default:
        return -EINVAL;
    }
    if (device->read_only && request->operation != BLOCK_READ)
        return -EROFS;
    uint64_t count = atomic_load(&device->sector_count);
    if (sectors == 0 || request->sector > count || sectors > count - request->sector)
        return -EINVAL;
    if (request->sector % block_sectors || sectors % block_sectors)
        return -EINVAL;

    bool reads = request->operation == BLOCK_READ;
    atomic_fetch_add_explicit(reads ? &device->read_requests : &device->write_requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(reads ? &device->read_sectors : &device->write_sectors, sectors, memory_order_relaxed);
    return 0;
}

void block_submit(struct block_device *device, struct block_request *request)
{
    atomic_store(&request->pieces_left, 1);
    atomic_store(&request->first_error, 0);
    list_init(&request->link);
    request->next_segment = 0;
    request->next_offset_bytes = 0;
    request->next_sector = request->sector;

    int error = block_check(device, request);
    if (request->operation == BLOCK_FLUSH)
        atomic_fetch_add_explicit(&device->flush_requests, 1, memory_order_relaxed);
    if (error != 0 || (request->operation == BLOCK_FLUSH && !atomic_load(&device->can_flush)))
        block_request_complete(request, error);
    else
        device->ops->submit(device, request);
}

static void block_wake_submitter(struct block_request *request)
{
    completion_complete(request->data);
}

static int block_run(struct block_device *device, struct block_request *request)
{
    struct completion done;

    completion_init(&done);
    request->complete = block_wake_submitter;
    request->data = &done;
    block_submit(device, request);
    completion_wait(&done, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    return request->error;
}

int block_device_transfer(struct block_device *device, enum block_operation operation, uint64_t sector,
                          const struct block_segment *segments, uint32_t segment_count)
{
    struct block_request request = {
        .operation = operation,
        .sector = sector,
        .segments = segments,
        .segment_count = segment_count,
    };
    return block_run(device, &request);
}

int block_device_flush(struct block_device *device)
{
    struct block_request request = { .operation = BLOCK_FLUSH };
    return block_run(device, &request);
}

int block_device_read(struct block_device *device, uint64_t sector, void *buffer, size_t length_bytes)
{
    struct block_segment segments[READ_CHUNK_PAGES];
    uint32_t pages = (uint32_t)minimum(PAGE_ROUND_UP(length_bytes) / PAGE_SIZE, (size_t)READ_CHUNK_PAGES);
    uint32_t allocated = 0;
    int error = length_bytes % BLOCK_SECTOR_BYTES ? -EINVAL : 0;

    for (; allocated < pages; allocated++) {
        segments[allocated].page = page_allocate(0, PAGE_KERNEL, 0);
        if (!segments[allocated].page)
            break;
        segments[allocated].offset_bytes = 0;
    }
    if (allocated == 0 && pages > 0)
        error = -ENOMEM;

    for (char *to = buffer; error == 0 && length_bytes > 0;) {
        uint32_t count = 0, bytes = 0;
        for (; count < allocated && bytes < length_bytes; count++) {
            segments[count].length_bytes = (uint32_t)minimum(length_bytes - bytes, PAGE_SIZE);
            bytes += segments[count].length_bytes;
        }
        error = block_device_transfer(device, BLOCK_READ, sector, segments, count);
        for (uint32_t i = 0; error == 0 && i < count; i++)
            memcpy(to + i * PAGE_SIZE, page_address(segments[i].page), segments[i].length_bytes);
        to += bytes;
        length_bytes -= bytes;
        sector += SECTORS_OF(bytes);
    }
    while (allocated > 0)
        page_release(segments[--allocated].page);
    return error;
}
