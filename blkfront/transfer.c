/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data path of a disk.
 *
 *   blkfront_submit → waiting → disk_pump: a free slot for each piece (at most 11 segments), grants, a ring request
 *   blkfront_event  → disk_accept: response checked against its slot, grants taken back, piece complete → pump again
 *
 * A request that needs several pieces has pieces_left raised for each but the last, so it is complete when all of them are. A
 * slot stays busy across a reconnect, and is written into the new ring as it is.
 *
 * Trust: the id must name a busy slot, and the operation be that slot's; grants are revoked before the data counts as read. A page
 * whose grant the backend will not let go of is never given back: its request ends with -EIO and the device is closed. To a
 * backend that the toolstack marked untrusted, only pages of our own are granted, zeroed first, and data is copied.
 *
 * Requests are completed after the lock is released, as complete() may submit again. Lock: disk->lock.
 */
#include "blkfront/transfer.h"

#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/device/random.h"

/* Ended pieces, collected under the lock. */
struct ended {
    unsigned int count;
    struct block_request *requests[BLKFRONT_RING_SIZE];
    int errors[BLKFRONT_RING_SIZE];
};

static void ended_add(struct ended *ended, struct block_request *request, int error)
{
    ended->requests[ended->count] = request;
    ended->errors[ended->count++] = error;
}

static void ended_complete(const struct ended *ended)
{
    for (unsigned int i = 0; i < ended->count; i++)
        block_request_complete(ended->requests[i], ended->errors[i]);
}

static struct blkfront_disk *disk_of(struct block_device *device)
{
    return container_of(device, struct blkfront_disk, device);
}

static struct page *slot_page(const struct blkfront_disk *disk, const struct blkfront_slot *slot, unsigned int i)
{
    return disk->trusted ? slot->segments[i].page : slot->bounce[i];
}

static void *segment_bytes(const struct block_segment *segment)
{
    return (char *)page_address(segment->page) + segment->offset_bytes;
}

/* Writes the slot into the ring and permits its pages. */
static void slot_issue(struct blkfront_disk *disk, struct blkfront_slot *slot)
{
    struct blkfront_wire_request *wire = blkfront_queue_next(&disk->queue);

    wire->operation = slot->operation;
    wire->handle = disk->handle;
    wire->id = (uint64_t)(slot - disk->slots);
    wire->sector = slot->sector;
    if (slot->operation == BLKFRONT_DISCARD) {
        wire->discard_sectors = slot->discard_sectors;
        return;
    }
    wire->segment_count = slot->segment_count;
    for (unsigned int i = 0; i < slot->segment_count; i++) {
        const struct block_segment *segment = &slot->segments[i];
        struct page *page = slot_page(disk, slot, i);
        if (!disk->trusted && slot->operation == BLKFRONT_WRITE)
            memcpy((char *)page_address(page) + segment->offset_bytes, segment_bytes(segment), segment->length_bytes);
        grant_table_permit(slot->references[i], disk->backend_domain, frames_gfn(page_pfn(page)),
                           slot->operation == BLKFRONT_WRITE);
        wire->segments[i].reference = slot->references[i];
        wire->segments[i].first_sector = (uint8_t)(segment->offset_bytes / BLOCK_SECTOR_BYTES);
        wire->segments[i].last_sector =
            (uint8_t)((segment->offset_bytes + segment->length_bytes) / BLOCK_SECTOR_BYTES - 1);
    }
}

/* Takes back the grants; false if one is still in use: its page stays with it, and the slot gets a new reference. */
static bool slot_revoke(struct blkfront_disk *disk, struct blkfront_slot *slot)
{
    bool all = true;

    for (unsigned int i = 0; i < slot->segment_count; i++) {
        if (grant_table_revoke(slot->references[i]))
            continue;
        struct page *page = slot_page(disk, slot, i);
        page_take(page);
        grant_table_end_later(slot->references[i], page);
        if (grant_table_allocate(&slot->references[i]) != 0)
            slot->references[i] = GRANT_REFERENCE_NONE; /* the device is closed anyway */
        all = false;
    }
    return all;
}

static void slot_copy_out(const struct blkfront_disk *disk, const struct blkfront_slot *slot)
{
    for (unsigned int i = 0; i < slot->segment_count; i++) {
        const struct block_segment *segment = &slot->segments[i];
        memcpy(segment_bytes(segment), (char *)page_address(slot->bounce[i]) + segment->offset_bytes, segment->length_bytes);
    }
}

static void slot_free(struct blkfront_disk *disk, struct blkfront_slot *slot)
{
    slot->busy = false;
    slot->request = NULL;
    slot->segment_count = 0;
    disk->free_slots |= 1u << (slot - disk->slots);
}

/* The slot can take a segment i: it has a reference and, for untrusted backends, a page of its own. */
static bool slot_ready(const struct blkfront_disk *disk, struct blkfront_slot *slot, unsigned int i)
{
    if (slot->references[i] == GRANT_REFERENCE_NONE)
        return false;
    if (!disk->trusted && !slot->bounce[i])
        slot->bounce[i] = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO | PAGE_ALLOCATE_ATOMIC);
    return disk->trusted || slot->bounce[i];
}

/* Moves as many segments as fit from the request into the slot; neighbours in one page become one. */
static void slot_fill(struct blkfront_disk *disk, struct blkfront_slot *slot, struct block_request *request)
{
    unsigned int count = 0;

    while (request->next_segment < request->segment_count) {
        const struct block_segment *segment = &request->segments[request->next_segment];
        struct block_segment *last = count > 0 ? &slot->segments[count - 1] : NULL;
        if (last && last->page == segment->page && last->offset_bytes + last->length_bytes == segment->offset_bytes) {
            last->length_bytes += segment->length_bytes;
        } else {
            if (count == BLKFRONT_SEGMENT_LIMIT || !slot_ready(disk, slot, count))
                break;
            slot->segments[count++] = *segment;
        }
        request->next_sector += segment->length_bytes / BLOCK_SECTOR_BYTES;
        request->next_segment++;
    }
    slot->segment_count = (uint8_t)count;
}

static uint8_t wire_operation(enum block_operation operation)
{
    switch (operation) {
    case BLOCK_READ:
        return BLKFRONT_READ;
    case BLOCK_WRITE:
        return BLKFRONT_WRITE;
    case BLOCK_FLUSH:
        return BLKFRONT_FLUSH;
    default:
        return BLKFRONT_DISCARD;
    }
}

/* Puts the next piece of the first waiting request into the ring. */
static void disk_issue_piece(struct blkfront_disk *disk, struct ended *ended)
{
    struct block_request *request = list_first(&disk->waiting, struct block_request, link);
    struct blkfront_slot *slot = &disk->slots[bits_lowest(disk->free_slots)];
    bool has_data = request->operation == BLOCK_READ || request->operation == BLOCK_WRITE;

    slot->operation = wire_operation(request->operation);
    slot->sector = request->next_sector;
    slot->discard_sectors = request->discard_sectors;
    slot->segment_count = 0;
    if (has_data)
        slot_fill(disk, slot, request);
    if (has_data && slot->segment_count == 0) {
        list_remove(&request->link); /* no memory to copy through; its pieces in flight end it with this error */
        ended_add(ended, request, -ENOMEM);
        return;
    }
    if (has_data && request->next_segment < request->segment_count)
        atomic_fetch_add(&request->pieces_left, 1); /* this piece's; the last one goes with what submission held */
    else
        list_remove(&request->link);
    slot->busy = true;
    slot->request = request;
    disk->free_slots &= ~(1u << (slot - disk->slots));
    slot_issue(disk, slot);
}

/* Fills the ring; true when the backend is to be told. Lock held. */
static bool disk_pump(struct blkfront_disk *disk, struct ended *ended)
{
    assert(spinlock_held(&disk->lock));
    if (disk->state != BLKFRONT_CONNECTED)
        return false;
    while (disk->free_slots && !list_empty(&disk->waiting) && ended->count < BLKFRONT_RING_SIZE)
        disk_issue_piece(disk, ended);
    return shared_ring_push(&disk->queue.indices);
}

void blkfront_submit(struct block_device *device, struct block_request *request)
{
    struct blkfront_disk *disk = disk_of(device);
    struct ended ended = { 0 };
    bool notify = false;

    spinlock_lock(&disk->lock);
    if (disk->state == BLKFRONT_DEAD) {
        ended_add(&ended, request, -EIO);
    } else {
        list_add_last(&disk->waiting, &request->link);
        notify = disk_pump(disk, &ended);
    }
    event_port_t port = disk->port;
    spinlock_unlock(&disk->lock);
    if (notify)
        event_channel_send(port);
    ended_complete(&ended);
}

/* What a response means for its request. */
static int disk_result(struct blkfront_disk *disk, const struct blkfront_slot *slot, int status)
{
    if (status == BLKFRONT_OKAY)
        return 0;
    if (status == BLKFRONT_UNSUPPORTED && slot->operation == BLKFRONT_FLUSH) {
        /* An old backend: what it wrote is as stable as it will ever be. */
        if (atomic_exchange(&disk->device.can_flush, false))
            log_notice("%s: the backend does not flush after all", disk->device.name);
        return 0;
    }
    if (status == BLKFRONT_UNSUPPORTED && slot->operation == BLKFRONT_DISCARD) {
        atomic_store(&disk->device.can_discard, false);
        return -EOPNOTSUPP;
    }
    log_error("%s: the backend failed operation %u on sector %llu: status %d", disk->device.name, slot->operation,
              (unsigned long long)slot->sector, status);
    return -EIO;
}

/* NULL, or what is wrong with the response. */
static const char *disk_accept(struct blkfront_disk *disk, const struct blkfront_wire_response *response,
                               struct ended *ended)
{
    if (response->id >= BLKFRONT_RING_SIZE || !disk->slots[response->id].busy)
        return "a response to a request that is not outstanding";
    struct blkfront_slot *slot = &disk->slots[response->id];
    if (response->operation != slot->operation)
        return "a response of another operation than its request";
    int error = disk_result(disk, slot, response->status);
    if (!slot_revoke(disk, slot)) {
        ended_add(ended, slot->request, -EIO);
        slot_free(disk, slot);
        return "a response while pages of its request are still mapped";
    }
    if (error == 0 && slot->operation == BLKFRONT_READ && !disk->trusted)
        slot_copy_out(disk, slot);
    ended_add(ended, slot->request, error);
    slot_free(disk, slot);
    return NULL;
}

/* Takes up to a ring full of responses; true when there may be more. Lock held. */
static bool disk_consume(struct blkfront_disk *disk, struct ended *ended)
{
    struct blkfront_wire_response response;
    const char *violation = NULL;

    while (ended->count < BLKFRONT_RING_SIZE) {
        int taken = blkfront_queue_take(&disk->queue, &response);
        if (taken < 0)
            violation = "an impossible response index";
        else if (taken > 0)
            violation = disk_accept(disk, &response, ended);
        else if (!shared_ring_rearm(&disk->queue.indices, 1))
            return false;
        if (violation) {
            log_error("%s: %s", disk->device.name, violation); /* now: what fails next may end the guest */
            disk->violation = violation;
            disk->state = BLKFRONT_DEAD;
            atomic_store(&disk->device.gone, true);
            deferred_work_schedule(&disk->violation_work);
            return false;
        }
    }
    return true;
}

void blkfront_event(event_port_t port, void *data)
{
    struct blkfront_disk *disk = data;
    bool more = true;

    random_add_event(port);
    while (more) {
        struct ended ended = { 0 };
        bool notify = false, idle;
        spinlock_lock(&disk->lock);
        more = (disk->state == BLKFRONT_CONNECTED || disk->state == BLKFRONT_DRAINING) && disk_consume(disk, &ended);
        if (ended.count < BLKFRONT_RING_SIZE)
            notify = disk_pump(disk, &ended);
        else
            more = true; /* the pump had no room to note failures: once more */
        idle = disk->state == BLKFRONT_DRAINING && disk->free_slots == ~0u;
        bool dead = disk->state == BLKFRONT_DEAD;
        spinlock_unlock(&disk->lock);
        if (notify)
            event_channel_send(port);
        ended_complete(&ended);
        if (idle)
            wait_queue_wake_all(&disk->drained, 0);
        if (dead) {
            blkfront_transfer_fail(disk);
            return;
        }
    }
}

void blkfront_transfer_resume(struct blkfront_disk *disk)
{
    struct ended ended = { 0 };

    spinlock_lock(&disk->lock);
    if (disk->state == BLKFRONT_DEAD) {
        spinlock_unlock(&disk->lock);
        return;
    }
    disk->state = BLKFRONT_CONNECTED;
    for (unsigned int i = 0; i < BLKFRONT_RING_SIZE; i++)
        if (disk->slots[i].busy)
            slot_issue(disk, &disk->slots[i]);
    bool notify = disk_pump(disk, &ended);
    event_port_t port = disk->port;
    spinlock_unlock(&disk->lock);
    if (notify)
        event_channel_send(port);
    ended_complete(&ended);
}

void blkfront_transfer_pause(struct blkfront_disk *disk)
{
    spinlock_lock(&disk->lock);
    if (disk->state == BLKFRONT_CONNECTED)
        disk->state = BLKFRONT_DRAINING;
    spinlock_unlock(&disk->lock);
}

static bool disk_drained(struct blkfront_disk *disk)
{
    spinlock_lock(&disk->lock);
    bool drained = disk->free_slots == ~0u || disk->state != BLKFRONT_DRAINING;
    spinlock_unlock(&disk->lock);
    return drained;
}

bool blkfront_transfer_drain(struct blkfront_disk *disk, uint64_t deadline_ns)
{
    return WAIT_UNTIL(&disk->drained, disk_drained(disk), deadline_ns, WAIT_UNINTERRUPTIBLE) == 0;
}

void blkfront_transfer_recall(struct blkfront_disk *disk)
{
    struct ended ended = { 0 };

    spinlock_lock(&disk->lock);
    if (disk->state != BLKFRONT_DEAD)
        disk->state = BLKFRONT_DISCONNECTED;
    for (unsigned int i = 0; i < BLKFRONT_RING_SIZE; i++) {
        struct blkfront_slot *slot = &disk->slots[i];
        /* What the old backend still holds cannot be sent again: it might write into it later. */
        if (slot->busy && !slot_revoke(disk, slot)) {
            ended_add(&ended, slot->request, -EIO);
            slot_free(disk, slot);
        }
    }
    spinlock_unlock(&disk->lock);
    ended_complete(&ended);
}

void blkfront_transfer_fail(struct blkfront_disk *disk)
{
    struct ended ended = { 0 };
    struct list waiting;

    list_init(&waiting);
    spinlock_lock(&disk->lock);
    disk->state = BLKFRONT_DEAD;
    for (unsigned int i = 0; i < BLKFRONT_RING_SIZE; i++) {
        struct blkfront_slot *slot = &disk->slots[i];
        if (!slot->busy)
            continue;
        (void)slot_revoke(disk, slot);
        ended_add(&ended, slot->request, -EIO);
        slot_free(disk, slot);
    }
    list_move_all(&waiting, &disk->waiting);
    spinlock_unlock(&disk->lock);
    ended_complete(&ended);
    while (!list_empty(&waiting)) {
        struct block_request *request = list_first(&waiting, struct block_request, link);
        list_remove(&request->link);
        block_request_complete(request, -EIO);
    }
    wait_queue_wake_all(&disk->drained, 0);
}

int blkfront_transfer_init(struct blkfront_disk *disk)
{
    spinlock_init(&disk->lock, "disk", 0);
    list_init(&disk->waiting);
    wait_queue_init(&disk->drained);
    disk->state = BLKFRONT_DISCONNECTED;
    disk->free_slots = ~0u;
    int error = grant_table_reserve(BLKFRONT_RING_SIZE * BLKFRONT_SEGMENT_LIMIT + 1);
    for (unsigned int i = 0; error == 0 && i < BLKFRONT_RING_SIZE; i++)
        for (unsigned int k = 0; error == 0 && k < BLKFRONT_SEGMENT_LIMIT; k++)
            error = grant_table_allocate(&disk->slots[i].references[k]);
    if (error != 0)
        blkfront_transfer_destroy(disk);
    return error;
}

void blkfront_transfer_destroy(struct blkfront_disk *disk)
{
    for (unsigned int i = 0; i < BLKFRONT_RING_SIZE; i++) {
        struct blkfront_slot *slot = &disk->slots[i];
        for (unsigned int k = 0; k < BLKFRONT_SEGMENT_LIMIT; k++) {
            if (slot->references[k] != GRANT_REFERENCE_NONE)
                grant_table_free(slot->references[k]);
            if (slot->bounce[k])
                page_release(slot->bounce[k]);
        }
    }
}
