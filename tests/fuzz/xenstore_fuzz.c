/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What xenstored (or whoever stands in for it) puts into the ring: the input is a stream of bytes, written to the ring in pieces whose
 * lengths it gives too, with now and then an index of its own choosing. Messages that come out are given to every parser.
 */
#include <stdlib.h>
#include <string.h>

#include "xen/bus/xenstore_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const struct xenstore_assembly *message)
{
    const char *path, *token;
    unsigned int count;
    char *exact = malloc(message->header.length_bytes + 1u);

    if (!exact)
        abort();
    memcpy(exact, message->payload, message->header.length_bytes + 1u);
    if (exact[message->header.length_bytes] != 0)
        abort();
    (void)xenstore_parse_error(exact, message->header.length_bytes);
    if (xenstore_parse_event(exact, message->header.length_bytes, &path, &token) == 0 &&
        (path[0] == 0 || token + strlen(token) >= exact + message->header.length_bytes))
        abort();
    if (xenstore_parse_names(exact, message->header.length_bytes, &count) == 0 && count > message->header.length_bytes)
        abort();
    (void)xenstore_path_valid(exact);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xenstore_ring ring;
    static struct xenstore_assembly assembly;
    size_t place = 0;

    memset(&ring, 0, sizeof(ring));
    memset(&assembly, 0, sizeof(assembly));
    if (size >= 4) {
        memcpy(&ring.response_producer, data, 4);
        ring.response_consumer = ring.response_producer;
        place = 4;
    }
    while (place < size) {
        size_t piece = data[place++];
        if (piece == 255 && place + 4 <= size) {
            memcpy(&ring.response_producer, data + place, 4);
            place += 4;
        }
        for (; piece > 0 && place < size; piece--)
            ring.response[ring.response_producer++ % XENSTORE_RING_BYTES] = (char)data[place++];
        int whole;
        while ((whole = xenstore_assemble(&assembly, &ring)) == 1) {
            parse(&assembly);
            xenstore_assembly_reset(&assembly);
        }
        if (whole < 0)
            return 0;
    }
    return 0;
}
