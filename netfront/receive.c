/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive: pages are granted and posted; the backend copies packets into them and answers in the order of posting.
 *
 *   event → rx_work → receive thread: responses → packets (receive_accept) → net_device_deliver(batch) → post again
 *   net_packet_release(): the pages go to the pool, from which they are posted again
 *
 * How many buffers are posted (rx_target) starts small, as each is a page of memory, and doubles when the backend has used up three quarters
 * of them before we came. No event is asked for while the thread is at work. It also takes what was answered to transmitted frames, for which few events
 * are asked for (transmit.c).
 *
 * Trust: a response must be to the slot in whose place it stands; grants are revoked before a byte is read; offset and length must
 * lie in the page. Broken rules close the interface; packets that are merely bad (negative status, too short, too many fragments) are
 * dropped and counted. Locks: rx_lock for the ring, pool_lock for the pool.
 */
#include "netfront/receive.h"

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/device/random.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/thread.h"
#include "netfront/transmit.h"
#include "xen/machine/clock.h"

#define TARGET_START 64u
#define BATCH_LIMIT 64u
#define RETRY_NS 50000000ull /* until the next try for memory, when no buffer is posted */

static struct object_cache *packet_cache;

static struct netfront_interface *interface_of(struct net_device *device)
{
    return container_of(device, struct netfront_interface, device);
}

static void pool_put(struct netfront_interface *interface, struct page *page)
{
    /* Somebody may have kept a reference of his own on the page; then it cannot be posted again. */
    bool ours = atomic_load(&page->reference.count) == 1;

    spinlock_lock(&interface->pool_lock);
    bool kept = ours && interface->pool_count < NETFRONT_RING_SIZE;
    if (kept) {
        list_add_first(&interface->pool, &page->link);
        interface->pool_count++;
    }
    spinlock_unlock(&interface->pool_lock);
    if (!kept)
        page_release(page);
}

static struct page *pool_take(struct netfront_interface *interface)
{
    struct page *page;

    spinlock_lock(&interface->pool_lock);
    page = list_first(&interface->pool, struct page, link);
    if (page) {
        list_remove(&page->link);
        interface->pool_count--;
    }
    spinlock_unlock(&interface->pool_lock);
    return page;
}

void netfront_packet_release(struct net_packet *packet)
{
    struct net_device *device = packet->device;
    struct netfront_interface *interface = interface_of(device);

    for (uint32_t i = 0; i < packet->fragment_count; i++)
        pool_put(interface, packet->fragments[i].page);
    object_cache_free(packet_cache, packet);
    net_device_release(device);
}

void netfront_receive_event(event_port_t port, void *data)
{
    struct netfront_interface *interface = data;

    random_add_event(port);
    atomic_store(&interface->rx_work, true);
    wait_queue_wake_all(&interface->rx_queue, 0);
}

/* Takes the page out of a slot. NULL with *violation where the backend still holds it: the page then stays with its reference. */
static struct page *slot_take_page(struct netfront_rx_slot *slot, const char **violation)
{
    struct page *page = slot->page;

    slot->page = NULL;
    if (grant_table_revoke(slot->reference))
        return page;
    grant_table_end_later(slot->reference, page);
    if (grant_table_allocate(&slot->reference) != 0)
        slot->reference = GRANT_REFERENCE_NONE;
    *violation = "an answer while the buffer is still mapped";
    return NULL;
}

static struct net_packet *packet_create(struct netfront_interface *interface)
{
    struct net_packet *packet = object_cache_allocate(packet_cache);

    if (!packet)
        return NULL;
    list_init(&packet->link);
    packet->device = &interface->device;
    packet->fragment_count = 0;
    packet->length_bytes = 0;
    packet->checksum = NET_CHECKSUM_NONE;
    packet->gso = NET_GSO_NONE;
    packet->gso_bytes = 0;
    packet->data = NULL;
    net_device_take(&interface->device);
    return packet;
}

/* Extra information about the packet at hand. */
static void receive_extra(struct netfront_interface *interface, const struct netfront_wire_extra *extra)
{
    struct net_packet *packet = interface->rx_packet;

    interface->rx_extra = extra->flags & NETFRONT_EXTRA_MORE;
    if (extra->type != NETFRONT_EXTRA_GSO || !packet)
        return;
    packet->gso = extra->gso_type == NETFRONT_GSO_TCP_V4   ? NET_GSO_TCP_V4
                  : extra->gso_type == NETFRONT_GSO_TCP_V6 ? NET_GSO_TCP_V6
                                                           : NET_GSO_NONE;
    packet->gso_bytes = extra->gso_bytes;
    if (packet->gso == NET_GSO_NONE || packet->gso_bytes == 0)
        interface->rx_discard = true;
    else if (packet->checksum == NET_CHECKSUM_NONE)
        packet->checksum = NET_CHECKSUM_PARTIAL; /* segments cannot have been summed */
}

/* The first response of a packet. */
static void receive_begin(struct netfront_interface *interface, const struct netfront_wire_rx_response *response)
{
    interface->rx_discard = false;
    interface->rx_packet = packet_create(interface);
    if (!interface->rx_packet) {
        interface->rx_discard = true;
        return;
    }
    if (response->flags & NETFRONT_CHECKSUM_BLANK)
        interface->rx_packet->checksum = NET_CHECKSUM_PARTIAL;
    else if (response->flags & NETFRONT_DATA_VALIDATED)
        interface->rx_packet->checksum = NET_CHECKSUM_TRUSTED;
}

/* Adds the data of one response; takes the page over. NULL, or what is wrong. */
static const char *receive_data(struct netfront_interface *interface, const struct netfront_wire_rx_response *response,
                                struct page *page)
{
    struct net_packet *packet = interface->rx_packet;
    uint32_t offset_bytes = response->offset_bytes, length_bytes = response->status < 0 ? 0 : (uint32_t)response->status;
    const char *violation = NULL;

    if (length_bytes > PAGE_SIZE || offset_bytes > PAGE_SIZE - length_bytes)
        violation = "data that does not lie in its buffer";
    if (response->status < 0 || !packet || packet->fragment_count == NET_FRAGMENT_LIMIT ||
        packet->length_bytes + length_bytes > NET_FRAME_BYTES_LIMIT)
        interface->rx_discard = true;
    if (violation || interface->rx_discard || length_bytes == 0) {
        pool_put(interface, page);
        return violation;
    }
    packet->fragments[packet->fragment_count++] = (struct net_fragment){ page, offset_bytes, length_bytes };
    packet->length_bytes += length_bytes;
    return NULL;
}

/* The packet is whole: onto `ready`, or dropped. */
static void receive_end(struct netfront_interface *interface, struct list *ready)
{
    struct net_packet *packet = interface->rx_packet;
    struct net_device *device = &interface->device;

    interface->rx_packet = NULL;
    if (!packet || interface->rx_discard || packet->length_bytes < NET_HEADER_BYTES) {
        atomic_fetch_add_explicit(packet ? &device->rx_errors : &device->rx_dropped, 1, memory_order_relaxed);
        if (packet)
            netfront_packet_release(packet);
        return;
    }
    atomic_fetch_add_explicit(&device->rx_packets, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&device->rx_bytes, packet->length_bytes, memory_order_relaxed);
    list_add_last(ready, &packet->link);
}

/* One response; a packet it completes goes onto `ready`. NULL, or what is wrong. rx_lock held. */
static const char *receive_accept(struct netfront_interface *interface, const union netfront_wire_rx *wire, uint32_t index,
                                  struct list *ready)
{
    const struct netfront_wire_rx_response *response = &wire->response;
    struct netfront_rx_slot *slot = &interface->rx_slots[index];
    const char *violation = NULL;

    if (!slot->page)
        return "an answer to a buffer that was not posted";
    struct page *page = slot_take_page(slot, &violation);
    if (!page)
        return violation;
    if (interface->rx_extra) {
        pool_put(interface, page); /* the buffer of an extra slot is not written to */
        receive_extra(interface, &wire->extra);
    } else {
        if (response->id != index) {
            pool_put(interface, page);
            return "an answer in the wrong place";
        }
        if (!interface->rx_more)
            receive_begin(interface, response);
        violation = receive_data(interface, response, page);
        if (violation)
            return violation;
        interface->rx_more = response->flags & NETFRONT_MORE_DATA;
        interface->rx_extra = response->flags & NETFRONT_EXTRA_INFO;
    }
    if (!interface->rx_more && !interface->rx_extra)
        receive_end(interface, ready);
    return NULL;
}

static uint32_t receive_posted(const struct netfront_interface *interface)
{
    return interface->rx.indices.request_producer - interface->rx.indices.response_consumer;
}

/* Posts buffers up to the target; rx_lock held on entry and exit, but not while memory is looked for. True when the backend is to be told. */
static bool receive_post(struct netfront_interface *interface)
{
    while (interface->rx_connected && receive_posted(interface) < interface->rx_target) {
        struct netfront_rx_slot *slot =
            &interface->rx_slots[interface->rx.indices.request_producer & (NETFRONT_RING_SIZE - 1)];
        if (slot->reference == GRANT_REFERENCE_NONE)
            break;
        struct page *page = pool_take(interface);
        if (!page)
            page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO | PAGE_ALLOCATE_ATOMIC);
        if (!page)
            break;
        uint32_t index;
        struct netfront_wire_rx_request *request = netfront_rx_queue_next(&interface->rx, &index);
        slot->page = page;
        grant_table_permit(slot->reference, interface->backend_domain, frames_gfn(page_pfn(page)), false);
        request->reference = slot->reference;
    }
    return interface->rx_connected && shared_ring_push(&interface->rx.indices);
}

/* Takes up to a batch; rx_lock held. */
static const char *receive_consume(struct netfront_interface *interface, struct list *ready, unsigned int *taken_count)
{
    union netfront_wire_rx response;
    uint32_t index;

    while (*taken_count < BATCH_LIMIT) {
        int taken = netfront_rx_queue_take(&interface->rx, &response, &index);
        if (taken < 0)
            return "an impossible index of receive responses";
        if (taken == 0)
            break;
        (*taken_count)++;
        const char *violation = receive_accept(interface, &response, index, ready);
        if (violation)
            return violation;
    }
    /* Nearly all were used: more next time. */
    if (receive_posted(interface) < interface->rx_target / 4)
        interface->rx_target = minimum(interface->rx_target * 2, NETFRONT_RING_SIZE);
    return NULL;
}

bool netfront_receive_round(struct netfront_interface *interface)
{
    const char *violation = NULL;
    unsigned int taken = 0;
    bool notify = false, again = false;
    struct list ready;

    netfront_transmit_collect(interface);
    list_init(&ready);
    spinlock_lock(&interface->rx_lock);
    if (interface->rx_connected) {
        violation = receive_consume(interface, &ready, &taken);
        if (violation)
            interface->rx_connected = false;
        notify = receive_post(interface);
        if (interface->rx_connected && taken < BATCH_LIMIT)
            again = shared_ring_rearm(&interface->rx.indices, 1);
    }
    event_port_t port = interface->rx_port;
    spinlock_unlock(&interface->rx_lock);
    if (notify)
        event_channel_send(port);
    if (violation)
        netfront_violation(interface, violation);
    if (!list_empty(&ready))
        net_device_deliver(&interface->device, &ready);
    return taken == BATCH_LIMIT || again;
}

static bool receive_starved(struct netfront_interface *interface)
{
    spinlock_lock(&interface->rx_lock);
    bool starved = interface->rx_connected && receive_posted(interface) == 0;
    spinlock_unlock(&interface->rx_lock);
    return starved;
}

static void receive_thread(void *argument)
{
    struct netfront_interface *interface = argument;

    thread_keep_time();
    while (!atomic_load(&interface->rx_stop)) {
        /* Without a posted buffer no event will come: look again when memory may have come back. */
        uint64_t deadline_ns = receive_starved(interface) ? clock_monotonic_ns() + RETRY_NS : WAIT_FOREVER;
        (void)WAIT_UNTIL(&interface->rx_queue, atomic_exchange(&interface->rx_work, false), deadline_ns,
                         WAIT_UNINTERRUPTIBLE);
        while (!atomic_load(&interface->rx_stop) && netfront_receive_round(interface))
            thread_yield_if_due();
    }
    completion_complete(&interface->rx_stopped);
}

void netfront_receive_start(struct netfront_interface *interface)
{
    spinlock_lock(&interface->rx_lock);
    interface->rx_connected = true;
    interface->rx_more = false;
    interface->rx_extra = false;
    bool notify = receive_post(interface);
    event_port_t port = interface->rx_port;
    spinlock_unlock(&interface->rx_lock);
    if (notify)
        event_channel_send(port);
    atomic_store(&interface->rx_work, true);
    wait_queue_wake_all(&interface->rx_queue, 0);
}

void netfront_receive_stop(struct netfront_interface *interface)
{
    const char *violation = NULL;

    spinlock_lock(&interface->rx_lock);
    interface->rx_connected = false;
    for (uint32_t i = 0; i < NETFRONT_RING_SIZE; i++) {
        struct page *page = interface->rx_slots[i].page ? slot_take_page(&interface->rx_slots[i], &violation) : NULL;
        if (page)
            pool_put(interface, page);
    }
    struct net_packet *half = interface->rx_packet;
    interface->rx_packet = NULL;
    spinlock_unlock(&interface->rx_lock);
    if (half)
        netfront_packet_release(half);
    if (violation)
        log_warning("%s: the backend keeps receive buffers mapped; they stay with it", interface->device.name);
}

void netfront_receive_end_thread(struct netfront_interface *interface)
{
    atomic_store(&interface->rx_stop, true);
    atomic_store(&interface->rx_work, true);
    wait_queue_wake_all(&interface->rx_queue, 0);
    completion_wait(&interface->rx_stopped, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
}

int netfront_receive_init_all(void)
{
    if (!packet_cache)
        packet_cache = object_cache_create("network-packet", sizeof(struct net_packet), 16);
    return packet_cache ? 0 : -ENOMEM;
}

int netfront_receive_init(struct netfront_interface *interface)
{
    int error = grant_table_reserve(NETFRONT_RING_SIZE + 1);

    spinlock_init(&interface->rx_lock, "receive", 0);
    spinlock_init(&interface->pool_lock, "receive pool", 0);
    list_init(&interface->pool);
    wait_queue_init(&interface->rx_queue);
    completion_init(&interface->rx_stopped);
    interface->rx_target = TARGET_START;
    for (uint32_t i = 0; error == 0 && i < NETFRONT_RING_SIZE; i++)
        error = grant_table_allocate(&interface->rx_slots[i].reference);
    if (error == 0)
        error = thread_create(&interface->rx_thread, "netfront", receive_thread, interface);
    return error;
}

void netfront_receive_destroy(struct netfront_interface *interface)
{
    struct page *page;

    for (uint32_t i = 0; i < NETFRONT_RING_SIZE; i++)
        if (interface->rx_slots[i].reference != GRANT_REFERENCE_NONE)
            grant_table_free(interface->rx_slots[i].reference);
    while ((page = pool_take(interface)) != NULL)
        page_release(page);
    if (interface->rx_thread)
        thread_release(interface->rx_thread);
}
