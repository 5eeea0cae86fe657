/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore's wire format, as functions without state: what they are given comes from the other side of a shared ring and is checked, never
 * trusted. They run on the host too, under a fuzzer. Source: Xen's io/xs_wire.h, docs/misc/xenstore.txt.
 */
#pragma once

#include "kernel/base/compiler.h"

#define XENSTORE_HEADER_BYTES 16u
#define XENSTORE_PAYLOAD_BYTES 4096u
#define XENSTORE_RING_BYTES 1024u

struct xenstore_header {
    uint32_t type;
    uint32_t request;
    uint32_t transaction;
    uint32_t length_bytes;
};

_Static_assert(sizeof(struct xenstore_header) == XENSTORE_HEADER_BYTES, "as on the wire");

/* The shared page, as Xen's struct xenstore_domain_interface. */
struct xenstore_ring {
    char request[XENSTORE_RING_BYTES];
    char response[XENSTORE_RING_BYTES];
    uint32_t request_consumer, request_producer;
    uint32_t response_consumer, response_producer;
    uint32_t server_features;
    uint32_t connection;
    uint32_t error;
};

/*
 * Puts as much of bytes[0..length) into the request ring as there is room for / takes what there is, up to length. They
 * answer how much, or -EIO where the other side's index is impossible. The caller notifies after putting, and after getting where *was_full became
 * true: then the other side waits for room.
 */
long xenstore_ring_put(struct xenstore_ring *ring, const void *bytes, size_t length_bytes);
long xenstore_ring_get(struct xenstore_ring *ring, void *bytes, size_t length_bytes, bool *was_full);

/* A message as it comes together from pieces. */
struct xenstore_assembly {
    struct xenstore_header header;
    char payload[XENSTORE_PAYLOAD_BYTES + 1]; /* terminated once whole */
    size_t filled_bytes;                      /* header included */
    bool was_full;                            /* the ring was: the caller clears it and notifies */
};

/* Takes from the ring: 1: a whole message is there (xenstore_assembly_reset() before the next), 0: not yet, -EIO: the stream is broken. */
int xenstore_assemble(struct xenstore_assembly *assembly, struct xenstore_ring *ring);
void xenstore_assembly_reset(struct xenstore_assembly *assembly);

/* "ENOENT\0" → -ENOENT; -EIO for what is no known name. */
int xenstore_parse_error(const char *payload, size_t length_bytes);
/* "path\0token\0": 0 with both inside payload (terminated), else -EINVAL. */
int xenstore_parse_event(const char *payload, size_t length_bytes, const char **path, const char **token);
/* Counts the terminated, non-empty names of a directory's answer; -EINVAL where it is not a list of them. */
int xenstore_parse_names(const char *payload, size_t length_bytes, unsigned int *count);
/* A path this side may send: not empty, no odd characters, not too long. */
bool xenstore_path_valid(const char *path);
