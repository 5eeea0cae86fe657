/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transmit: a frame takes a slot for each fragment (and one for its segmentation), whose pages are granted read-only where they lie, without a
 * copy. It is complete when the backend has answered them all. The frame is copied into pages of our own where the backend is not trusted
 * (a page holds other data besides) or cannot gather fragments.
 *
 * Trust: an answered id must be of a slot in use; answers for extra slots are counted; a grant that the backend keeps after its answer is
 * a violation. Completions run without the lock. Lock: tx_lock.
 */
#include "netfront/transmit.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/panic.h"

#define SLOTS_READY (NET_FRAGMENT_LIMIT + 1) /* the largest frame: below that the stack is not told of room */
#define EVENT_SLOTS (NETFRONT_RING_SIZE / 4) /* no event before so many were answered */

static struct netfront_interface *interface_of(struct net_device *device)
{
    return container_of(device, struct netfront_interface, device);
}

static struct netfront_tx_slot *slot_take(struct netfront_interface *interface)
{
    return &interface->tx_slots[interface->tx_free[--interface->tx_free_count]];
}

static void slot_give(struct netfront_interface *interface, struct netfront_tx_slot *slot)
{
    slot->frame = NULL;
    slot->page = NULL;
    if (slot->reference != GRANT_REFERENCE_NONE)
        interface->tx_free[interface->tx_free_count++] = (uint16_t)(slot - interface->tx_slots);
}

/* False where the backend still holds the page: then both stay with each other, and the slot gets a new reference. */
static bool slot_revoke(struct netfront_tx_slot *slot)
{
    if (grant_table_revoke(slot->reference))
        return true;
    page_take(slot->page);
    grant_table_end_later(slot->reference, slot->page);
    if (slot->page == slot->bounce) {
        page_release(slot->bounce);
        slot->bounce = NULL;
    }
    if (grant_table_allocate(&slot->reference) != 0)
        slot->reference = GRANT_REFERENCE_NONE;
    return false;
}

static struct netfront_wire_tx_request *slot_fill(struct netfront_interface *interface, struct netfront_tx_slot *slot,
                                                  struct net_frame *frame, struct page *page, uint32_t offset_bytes,
                                                  uint32_t size_bytes, bool more)
{
    struct netfront_wire_tx_request *request = &netfront_tx_queue_next(&interface->tx)->request;

    slot->frame = frame;
    slot->page = page;
    grant_table_permit(slot->reference, interface->backend_domain, frames_gfn(page_pfn(page)), true);
    request->reference = slot->reference;
    request->offset_bytes = (uint16_t)offset_bytes;
    request->size_bytes = (uint16_t)size_bytes;
    request->id = (uint16_t)(slot - interface->tx_slots);
    request->flags = more ? NETFRONT_MORE_DATA : 0;
    frame->slots_left++;
    return request;
}

/* Flags and extra slot of a frame's first request. */
static void frame_describe(struct netfront_interface *interface, struct netfront_wire_tx_request *first,
                           const struct net_frame *frame, uint32_t length_bytes)
{
    first->size_bytes = (uint16_t)length_bytes;
    if (frame->checksum == NET_CHECKSUM_PARTIAL)
        first->flags |= NETFRONT_CHECKSUM_BLANK | NETFRONT_DATA_VALIDATED;
    if (frame->gso == NET_GSO_NONE)
        return;
    first->flags |= NETFRONT_EXTRA_INFO;
    struct netfront_wire_extra *extra = &netfront_tx_queue_next(&interface->tx)->extra;
    extra->type = NETFRONT_EXTRA_GSO;
    extra->gso_type = frame->gso == NET_GSO_TCP_V4 ? NETFRONT_GSO_TCP_V4 : NETFRONT_GSO_TCP_V6;
    extra->gso_bytes = frame->gso_bytes;
    interface->tx_extras++;
}

static void frame_issue_in_place(struct netfront_interface *interface, struct net_frame *frame, uint32_t length_bytes)
{
    for (uint32_t i = 0; i < frame->fragment_count; i++) {
        const struct net_fragment *fragment = &frame->fragments[i];
        struct netfront_wire_tx_request *request =
            slot_fill(interface, slot_take(interface), frame, fragment->page, fragment->offset_bytes,
                      fragment->length_bytes, i + 1 < frame->fragment_count);
        if (i == 0)
            frame_describe(interface, request, frame, length_bytes);
    }
}

/* Copies length_bytes of the frame, from its byte `from` on. */
static void frame_copy(const struct net_frame *frame, uint32_t from, char *to, uint32_t length_bytes)
{
    for (uint32_t i = 0; i < frame->fragment_count && length_bytes > 0; i++) {
        const struct net_fragment *fragment = &frame->fragments[i];
        if (from >= fragment->length_bytes) {
            from -= fragment->length_bytes;
            continue;
        }
        uint32_t part = minimum(fragment->length_bytes - from, length_bytes);
        memcpy(to, (char *)page_address(fragment->page) + fragment->offset_bytes + from, part);
        to += part;
        length_bytes -= part;
        from = 0;
    }
}

/* Pages for the slots that the next `count` takes will give; false when memory is out. */
static bool slots_have_bounce(struct netfront_interface *interface, uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++) {
        struct netfront_tx_slot *slot = &interface->tx_slots[interface->tx_free[interface->tx_free_count - i]];
        if (!slot->bounce)
            slot->bounce = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO | PAGE_ALLOCATE_ATOMIC);
        if (!slot->bounce)
            return false;
    }
    return true;
}

static void frame_issue_copied(struct netfront_interface *interface, struct net_frame *frame, uint32_t length_bytes)
{
    for (uint32_t from = 0; from < length_bytes;) {
        struct netfront_tx_slot *slot = slot_take(interface);
        uint32_t part = minimum(length_bytes - from, (uint32_t)PAGE_SIZE);
        frame_copy(frame, from, page_address(slot->bounce), part);
        struct netfront_wire_tx_request *request =
            slot_fill(interface, slot, frame, slot->bounce, 0, part, from + part < length_bytes);
        if (from == 0)
            frame_describe(interface, request, frame, length_bytes);
        from += part;
    }
}

static int frame_check(uint32_t features, const struct net_frame *frame, uint32_t length_bytes)
{
    if (frame->gso == NET_GSO_TCP_V4 && !(features & NET_FEATURE_TSO_V4))
        return -EMSGSIZE;
    if (frame->gso == NET_GSO_TCP_V6 && !(features & NET_FEATURE_TSO_V6))
        return -EMSGSIZE;
    if (frame->gso == NET_GSO_NONE && !(features & NET_FEATURE_SCATTER_GATHER) && length_bytes > PAGE_SIZE)
        return -EMSGSIZE;
    return 0;
}

/* Into the ring; tx_lock held. 0, or the answer of transmit. */
static int frame_issue(struct netfront_interface *interface, struct net_frame *frame)
{
    uint32_t features = atomic_load(&interface->device.features);
    uint32_t length_bytes = net_frame_length(frame);
    bool gathers = (features & NET_FEATURE_SCATTER_GATHER) || frame->fragment_count == 1;
    bool in_place = interface->trusted && gathers;
    uint32_t slots = in_place ? frame->fragment_count : (length_bytes + (uint32_t)PAGE_SIZE - 1) / (uint32_t)PAGE_SIZE;
    uint32_t extras = frame->gso != NET_GSO_NONE;

    if (!interface->tx_connected)
        return -ENETDOWN;
    int error = frame_check(features, frame, length_bytes);
    if (error != 0)
        return error;
    if (slots > interface->tx_free_count || slots + extras > shared_ring_room(&interface->tx.indices) ||
        (!in_place && !slots_have_bounce(interface, slots))) {
        interface->tx_stopped = true;
        return -ENOBUFS;
    }
    frame->slots_left = 0;
    if (in_place)
        frame_issue_in_place(interface, frame, length_bytes);
    else
        frame_issue_copied(interface, frame, length_bytes);
    return 0;
}

int netfront_transmit(struct net_device *device, struct net_frame *frame, bool more)
{
    struct netfront_interface *interface = interface_of(device);
    bool notify = false;
    uint32_t length_bytes = net_frame_length(frame);

    spinlock_lock(&interface->tx_lock);
    int error = frame_issue(interface, frame);
    /* A refused frame may be the one that was to follow: what came before it goes now. */
    if (interface->tx_connected && (!more || error != 0))
        notify = shared_ring_push(&interface->tx.indices);
    event_port_t port = atomic_load(&interface->tx_port);
    spinlock_unlock(&interface->tx_lock);
    if (notify)
        event_channel_send(port);
    if (error == 0) {
        atomic_fetch_add_explicit(&device->tx_packets, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&device->tx_bytes, length_bytes, memory_order_relaxed); /* the frame may be another one by now */
    }
    return error;
}

/* A slot was answered; puts the frame on `done` with its last one. NULL, or what is wrong. */
static const char *transmit_accept(struct netfront_interface *interface, const struct netfront_wire_tx_response *response,
                                   struct list *done)
{
    if (response->status == NETFRONT_NULL) {
        if (interface->tx_extras == 0)
            return "an answer to extra information that was not sent";
        interface->tx_extras--;
        return NULL;
    }
    if (response->id >= NETFRONT_RING_SIZE || !interface->tx_slots[response->id].frame)
        return "an answer to a frame that was not sent";

    struct netfront_tx_slot *slot = &interface->tx_slots[response->id];
    struct net_frame *frame = slot->frame;
    bool revoked = slot_revoke(slot);
    slot_give(interface, slot);
    if (response->status != NETFRONT_OKAY)
        atomic_fetch_add_explicit(&interface->device.tx_errors, 1, memory_order_relaxed);
    if (--frame->slots_left == 0)
        list_add_last(done, &frame->link);
    return revoked ? NULL : "an answer while the frame's page is still mapped";
}

static void frames_complete(struct list *done, int error)
{
    while (!list_empty(done)) {
        struct net_frame *frame = list_first(done, struct net_frame, link);
        list_remove(&frame->link);
        frame->complete(frame, error);
    }
}

/*
 * Takes all responses; tx_lock held. An event is asked for when half of what is out has come back, of a quarter of the ring at least: fewer frames hold
 * little memory, and mostly packets come in answer to them, whose thread looks here, too.
 */
static const char *transmit_consume(struct netfront_interface *interface, struct list *done)
{
    struct netfront_wire_tx_response response;
    const char *violation = NULL;

    while (!violation) {
        int taken = netfront_tx_queue_take(&interface->tx, &response);
        if (taken < 0)
            return "an impossible index of transmit responses";
        if (taken > 0) {
            violation = transmit_accept(interface, &response, done);
            continue;
        }
        uint32_t out = interface->tx.indices.request_pushed - interface->tx.indices.response_consumer;
        if (!shared_ring_rearm(&interface->tx.indices, maximum(out / 2 + 1, EVENT_SLOTS)))
            break;
    }
    return violation;
}

void netfront_transmit_collect(struct netfront_interface *interface)
{
    const char *violation = NULL;
    struct list done;
    bool ready = false;

    list_init(&done);
    spinlock_lock(&interface->tx_lock);
    if (interface->tx_connected) {
        violation = transmit_consume(interface, &done);
        ready = interface->tx_stopped && interface->tx_free_count >= SLOTS_READY &&
                shared_ring_room(&interface->tx.indices) >= SLOTS_READY;
        if (ready)
            interface->tx_stopped = false;
        if (violation)
            interface->tx_connected = false;
    }
    spinlock_unlock(&interface->tx_lock);
    frames_complete(&done, 0);
    if (violation)
        netfront_violation(interface, violation);
    else if (ready)
        net_device_transmit_ready(&interface->device);
}

void netfront_transmit_event(event_port_t port, void *data)
{
    netfront_transmit_collect(data);
}

void netfront_transmit_start(struct netfront_interface *interface)
{
    spinlock_lock(&interface->tx_lock);
    interface->tx_connected = true;
    bool ready = interface->tx_stopped;
    interface->tx_stopped = false;
    spinlock_unlock(&interface->tx_lock);
    if (ready)
        net_device_transmit_ready(&interface->device);
}

void netfront_transmit_stop(struct netfront_interface *interface)
{
    struct list done;

    list_init(&done);
    spinlock_lock(&interface->tx_lock);
    interface->tx_connected = false;
    for (uint32_t i = 0; i < NETFRONT_RING_SIZE; i++) {
        struct netfront_tx_slot *slot = &interface->tx_slots[i];
        struct net_frame *frame = slot->frame;
        if (!frame)
            continue;
        (void)slot_revoke(slot);
        slot_give(interface, slot);
        if (--frame->slots_left == 0)
            list_add_last(&done, &frame->link);
    }
    interface->tx_extras = 0;
    spinlock_unlock(&interface->tx_lock);
    frames_complete(&done, -EIO);
}

int netfront_transmit_init(struct netfront_interface *interface)
{
    int error = grant_table_reserve(NETFRONT_RING_SIZE + 1);

    spinlock_init(&interface->tx_lock, "transmit", 0);
    for (uint32_t i = NETFRONT_RING_SIZE; error == 0 && i-- > 0;) {
        error = grant_table_allocate(&interface->tx_slots[i].reference);
        if (error == 0)
            interface->tx_free[interface->tx_free_count++] = (uint16_t)i;
    }
    return error;
}

void netfront_transmit_destroy(struct netfront_interface *interface)
{
    for (uint32_t i = 0; i < NETFRONT_RING_SIZE; i++) {
        struct netfront_tx_slot *slot = &interface->tx_slots[i];
        if (slot->reference != GRANT_REFERENCE_NONE)
            grant_table_free(slot->reference);
        if (slot->bounce)
            page_release(slot->bounce);
    }
}
