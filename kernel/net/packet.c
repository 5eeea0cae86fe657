/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets over pages. See the header for the rule about PBUF_ROM.
 */
#include "kernel/net/packet.h"

#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/net/core.h"
#include "kernel/vm/io_vector.h"

#define SMALL_BYTES 2048  /* one block of memory, headers and all */
#define COMPACT_BYTES 512

struct page_pbuf {
    struct pbuf_custom custom;
    struct page *page;
};

static struct object_cache *page_pbufs;

int packet_start(void)
{
    page_pbufs = object_cache_create("packets", sizeof(struct page_pbuf), 8);
    return page_pbufs != NULL ? 0 : -ENOMEM;
}

static void page_pbuf_free(struct pbuf *p)
{
    struct page_pbuf *self = container_of(p, struct page_pbuf, custom.pbuf);
    page_release(self->page);
    object_cache_free(page_pbufs, self);
}

struct pbuf *packet_create_page(struct page *page, size_t offset_bytes, size_t length_bytes)
{
    struct page_pbuf *created = object_cache_allocate(page_pbufs);
    if (created == NULL)
        return NULL;
    page_take(page);
    created->page = page;
    created->custom.custom_free_function = page_pbuf_free;
    struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, (u16_t)length_bytes, PBUF_ROM, &created->custom, (uint8_t *)page_address(page) + offset_bytes, (u16_t)length_bytes);
    p->link = NULL;
    return p;
}

/* A page with the next bytes of the vector, as a pbuf. */
static int page_from_vector(struct io_vector *vector, size_t length_bytes, struct pbuf **p)
{
    struct page *page = page_allocate(0, PAGE_KERNEL, 0);
    int error = 0;

    *p = NULL;
    if (page == NULL)
        return -ENOMEM;
    if (io_vector_get(vector, page_address(page), length_bytes) != length_bytes)
        error = -EFAULT;
    else if ((*p = packet_create_page(page, 0, length_bytes)) == NULL)
        error = -ENOMEM;
    page_release(page);
    return error;
}

int packet_create_vector(struct io_vector *vector, size_t length_bytes, pbuf_layer layer, struct pbuf **packet)
{
    bool small = length_bytes <= SMALL_BYTES;
    struct pbuf *head = pbuf_alloc(layer, small ? (u16_t)length_bytes : 0, PBUF_RAM);
    int error = 0;

    if (head == NULL)
        return -ENOMEM;
    if (small && io_vector_get(vector, head->payload, length_bytes) != length_bytes)
        error = -EFAULT;
    struct pbuf *tail = head;
    for (size_t left = small ? 0 : length_bytes; left > 0 && error == 0;) {
        size_t part = minimum(left, (size_t)PAGE_SIZE);
        error = page_from_vector(vector, part, &tail->next);
        if (error == 0)
            tail = tail->next;
        left -= part;
    }
    if (error != 0) {
        packet_free(head);
        return error;
    }
    size_t total = length_bytes;
    for (struct pbuf *p = head; p != NULL; p = p->next) {
        p->tot_len = (u16_t)total;
        total -= p->len;
    }
    *packet = head;
    return 0;
}

bool packet_for_each_page(const void *payload, size_t length_bytes, bool (*visit)(void *context, struct page *page, size_t offset_bytes, size_t length_bytes), void *context)
{
    const uint8_t *at = payload;
    while (length_bytes > 0) {
        size_t offset = (uintptr_t)at % PAGE_SIZE;
        size_t part = minimum(length_bytes, PAGE_SIZE - offset);
        if (!visit(context, page_from_address(at), offset, part))
            return false;
        at += part;
        length_bytes -= part;
    }
    return true;
}

struct cloning {
    struct pbuf *tail;
};

static bool clone_page(void *context, struct page *page, size_t offset_bytes, size_t length_bytes)
{
    struct cloning *cloning = context;
    struct pbuf *p = packet_create_page(page, offset_bytes, length_bytes);
    if (p == NULL)
        return false;
    cloning->tail->next = p;
    cloning->tail = p;
    return true;
}

static bool in_pages(const struct pbuf *p)
{
    return pbuf_match_type(p, PBUF_ROM) && (p->type_internal & PBUF_TYPE_FLAG_DATA_VOLATILE) == 0;
}

struct pbuf *packet_clone(const struct pbuf *packet)
{
    size_t copied = 0, total = packet->tot_len;
    const struct pbuf *p = packet;

    for (; p != NULL && !in_pages(p); p = p->next)
        copied += p->len;
    struct pbuf *head = pbuf_alloc(PBUF_RAW, (u16_t)copied, PBUF_RAM);
    if (head == NULL)
        return NULL;
    pbuf_copy_partial(packet, head->payload, (u16_t)copied, 0);
    struct cloning cloning = {head};
    for (; p != NULL; p = p->next) {
        bool done;
        if (in_pages(p)) {
            done = packet_for_each_page(p->payload, p->len, clone_page, &cloning);
        } else {
            cloning.tail->next = pbuf_alloc(PBUF_RAW, p->len, PBUF_RAM);
            done = cloning.tail->next != NULL;
            if (done) {
                cloning.tail = cloning.tail->next;
                memcpy(cloning.tail->payload, p->payload, p->len);
            }
        }
        if (!done) {
            pbuf_free(head);
            return NULL;
        }
    }
    for (struct pbuf *q = head; q != NULL; q = q->next) {
        q->tot_len = (u16_t)total;
        total -= q->len;
    }
    return head;
}

struct pbuf *packet_compact(struct pbuf *packet)
{
    if (packet->tot_len > COMPACT_BYTES || (packet->flags & PBUF_FLAG_IS_CUSTOM) == 0)
        return packet;
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, packet);
    if (copy == NULL)
        return packet;
    copy->flags |= packet->flags & (PBUF_FLAG_PUSH | PBUF_FLAG_TCP_FIN);
    packet_free(packet);
    return copy;
}

void packet_free(struct pbuf *packet)
{
    const struct pbuf *p = packet;

    /* With one reference each, nobody else can see them: lwIP's counts and the allocators below it need no lock. */
    while (p != NULL && p->ref == 1)
        p = p->next;
    bool shared = p != NULL && !network_locked();
    if (shared)
        network_lock();
    pbuf_free(packet);
    if (shared)
        network_unlock();
}

bool packet_has_ip_header(const struct pbuf *packet, size_t offset_bytes)
{
    if (packet->len < offset_bytes + IP_HLEN)
        return false;
    unsigned int version = ((const uint8_t *)packet->payload)[offset_bytes] >> 4;
    return version == 4 || (version == 6 && packet->len >= offset_bytes + IP6_HLEN);
}

size_t packet_put(const struct pbuf *packet, size_t offset_bytes, struct io_vector *vector, size_t length_bytes)
{
    size_t done = 0;
    for (const struct pbuf *p = packet; p != NULL && done < length_bytes; p = p->next) {
        if (offset_bytes >= p->len) {
            offset_bytes -= p->len;
            continue;
        }
        size_t part = minimum(length_bytes - done, p->len - offset_bytes);
        size_t copied = io_vector_put(vector, (const uint8_t *)p->payload + offset_bytes, part);
        done += copied;
        if (copied < part)
            break;
        offset_bytes = 0;
    }
    return done;
}
