/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore's wire format. The rings' indices run freely modulo 2^32; both sides write only their own, so that an index
 * read once and found impossible (more than a ring full apart) means a broken or hostile other side.
 */
#include "xen/bus/xenstore_message.h"

#include <string.h>

#include "kernel/base/error.h"

#define PATH_ABSOLUTE_BYTES 3072u
#define PATH_RELATIVE_BYTES 2048u

static size_t ring_offset(uint32_t index)
{
    return index & (XENSTORE_RING_BYTES - 1);
}

long xenstore_ring_put(struct xenstore_ring *ring, const void *bytes, size_t length_bytes)
{
    const char *from = bytes;
    uint32_t producer = ring->request_producer;
    uint32_t used = producer - __atomic_load_n(&ring->request_consumer, __ATOMIC_ACQUIRE);

    if (used > XENSTORE_RING_BYTES)
        return -EIO;
    size_t count = minimum(length_bytes, (size_t)(XENSTORE_RING_BYTES - used));
    size_t first = minimum(count, XENSTORE_RING_BYTES - ring_offset(producer));
    memcpy(ring->request + ring_offset(producer), from, first);
    memcpy(ring->request, from + first, count - first);
    /* The bytes before the index; xenstored reads the other way round. */
    __atomic_store_n(&ring->request_producer, producer + (uint32_t)count, __ATOMIC_RELEASE);
    return (long)count;
}

long xenstore_ring_get(struct xenstore_ring *ring, void *bytes, size_t length_bytes, bool *was_full)
{
    char *to = bytes;
    uint32_t consumer = ring->response_consumer;
    uint32_t available = __atomic_load_n(&ring->response_producer, __ATOMIC_ACQUIRE) - consumer;

    if (available > XENSTORE_RING_BYTES)
        return -EIO;
    size_t count = minimum(length_bytes, (size_t)available);
    size_t first = minimum(count, XENSTORE_RING_BYTES - ring_offset(consumer));
    memcpy(to, ring->response + ring_offset(consumer), first);
    memcpy(to + first, ring->response, count - first);
    /*
     * The copy before the index: then xenstored may overwrite. The index before the look at the producer: if xenstored filled the ring up to where
     * we were, it either sees the new index or has seen the old one and waits.
     */
    __atomic_store_n(&ring->response_consumer, consumer + (uint32_t)count, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->response_producer, __ATOMIC_SEQ_CST) - consumer >= XENSTORE_RING_BYTES)
        *was_full = true;
    return (long)count;
}

void xenstore_assembly_reset(struct xenstore_assembly *assembly)
{
    assembly->filled_bytes = 0;
}

/* Fills [filled, goal) of a part that starts at `start`; 1 when it is full. */
static int assemble_part(struct xenstore_assembly *assembly, struct xenstore_ring *ring, void *part, size_t start,
                         size_t goal)
{
    if (assembly->filled_bytes >= goal)
        return 1;
    long got = xenstore_ring_get(ring, (char *)part + (assembly->filled_bytes - start), goal - assembly->filled_bytes,
                                &assembly->was_full);
    if (got < 0)
        return (int)got;
    assembly->filled_bytes += (size_t)got;
    return assembly->filled_bytes == goal;
}

int xenstore_assemble(struct xenstore_assembly *assembly, struct xenstore_ring *ring)
{
    int done = assemble_part(assembly, ring, &assembly->header, 0, XENSTORE_HEADER_BYTES);
    if (done != 1)
        return done;
    if (assembly->header.length_bytes > XENSTORE_PAYLOAD_BYTES)
        return -EIO;
    done = assemble_part(assembly, ring, assembly->payload, XENSTORE_HEADER_BYTES,
                         XENSTORE_HEADER_BYTES + assembly->header.length_bytes);
    if (done == 1)
        assembly->payload[assembly->header.length_bytes] = 0;
    return done;
}

int xenstore_parse_error(const char *payload, size_t length_bytes)
{
    static const struct {
        const char *name;
        int error;
    } names[] = {
        { "EINVAL", EINVAL }, { "EACCES", EACCES }, { "EEXIST", EEXIST }, { "EISDIR", EISDIR }, { "ENOENT", ENOENT },
        { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC }, { "EIO", EIO },       { "ENOTEMPTY", ENOTEMPTY },
        { "ENOSYS", ENOSYS }, { "EROFS", EROFS },   { "EBUSY", EBUSY },   { "EAGAIN", EAGAIN }, { "EISCONN", EISCONN },
        { "E2BIG", E2BIG },   { "EPERM", EPERM },   { "EQUOTA", EDQUOT },
    };

    for (size_t i = 0; i < array_count(names); i++) {
        size_t size_bytes = strlen(names[i].name) + 1;
        if (length_bytes == size_bytes && memcmp(payload, names[i].name, size_bytes) == 0)
            return -names[i].error;
    }
    return -EIO;
}

int xenstore_parse_event(const char *payload, size_t length_bytes, const char **path, const char **token)
{
    const char *middle = memchr(payload, 0, length_bytes);

    if (!middle || payload[length_bytes - 1] != 0)
        return -EINVAL;
    size_t path_bytes = (size_t)(middle - payload) + 1;
    if (path_bytes == 1 || path_bytes == length_bytes || path_bytes > PATH_ABSOLUTE_BYTES + 1)
        return -EINVAL;
    *path = payload;
    *token = middle + 1;
    /* More strings may follow (a depth, in newer versions); none is asked for. */
    return 0;
}

int xenstore_parse_names(const char *payload, size_t length_bytes, unsigned int *count)
{
    *count = 0;
    for (size_t place = 0; place < length_bytes; (*count)++) {
        const char *end = memchr(payload + place, 0, length_bytes - place);
        if (!end || end == payload + place)
            return -EINVAL;
        place = (size_t)(end - payload) + 1;
    }
    return 0;
}

bool xenstore_path_valid(const char *path)
{
    size_t limit = path[0] == '/' ? PATH_ABSOLUTE_BYTES : PATH_RELATIVE_BYTES;
    size_t length = 0;

    for (; path[length]; length++) {
        char byte = path[length];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (!plain && (byte == 0 || !strchr("-/_@", byte)))
            return false;
        if (length >= limit)
            return false;
    }
    return length > 0;
}
