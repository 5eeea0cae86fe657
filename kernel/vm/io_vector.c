/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cursor over the segments of a read or write. Every copy goes segment by segment; a fault in the program's memory
 * ends it short and sets `faulted`. Used by one thread, no locks.
 */
#include "kernel/vm/io_vector.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/frame_number.h"
#include "xen/x86/user_access.h"

void io_vector_init_kernel(struct io_vector *vector, struct io_segment *segment, void *buffer, size_t length_bytes)
{
    *segment = (struct io_segment){ .address = (uintptr_t)buffer, .length_bytes = length_bytes };
    *vector = (struct io_vector){ .segments = segment, .segment_count = 1, .remaining_bytes = length_bytes };
}

void io_vector_init_user(struct io_vector *vector, const struct io_segment *segments, size_t segment_count)
{
    *vector = (struct io_vector){ .segments = segments, .segment_count = segment_count, .user = true };
    for (size_t i = 0; i < segment_count; i++)
        vector->remaining_bytes += segments[i].length_bytes;
}

/* The part of the current segment that is left; moves over empty and finished ones. 0 at the end. */
static size_t io_vector_piece(struct io_vector *vector, uint64_t *address)
{
    while (vector->segment_index < vector->segment_count) {
        const struct io_segment *segment = &vector->segments[vector->segment_index];
        if (vector->segment_offset < segment->length_bytes) {
            *address = segment->address + vector->segment_offset;
            return segment->length_bytes - vector->segment_offset;
        }
        vector->segment_index++;
        vector->segment_offset = 0;
    }
    return 0;
}

enum io_direction { IO_PUT, IO_GET, IO_ZERO };

static size_t io_vector_move(struct io_vector *vector, uint64_t address, char *bytes, size_t length, enum io_direction direction)
{
    if (!vector->user) {
        void *memory = (void *)address;
        if (direction == IO_PUT)
            memcpy(memory, bytes, length);
        else if (direction == IO_GET)
            memcpy(bytes, memory, length);
        else
            memset(memory, 0, length);
        return length;
    }
    if (direction == IO_PUT)
        return user_copy_out_partial(address, bytes, length);
    if (direction == IO_GET)
        return user_copy_in_partial(bytes, address, length);
    return user_zero(address, length) == 0 ? length : 0;
}

static size_t io_vector_copy(struct io_vector *vector, char *bytes, size_t length_bytes, enum io_direction direction)
{
    size_t done = 0;

    length_bytes = minimum(length_bytes, vector->remaining_bytes);
    while (done < length_bytes && !vector->faulted) {
        uint64_t address;
        size_t length = minimum(io_vector_piece(vector, &address), length_bytes - done);
        if (length == 0)
            break;
        size_t moved = io_vector_move(vector, address, bytes ? bytes + done : NULL, length, direction);
        vector->segment_offset += moved;
        vector->remaining_bytes -= moved;
        done += moved;
        if (moved < length)
            vector->faulted = true;
    }
    return done;
}

size_t io_vector_put(struct io_vector *vector, const void *bytes, size_t length_bytes)
{
    return io_vector_copy(vector, (char *)(uintptr_t)bytes, length_bytes, IO_PUT);
}

size_t io_vector_get(struct io_vector *vector, void *bytes, size_t length_bytes)
{
    return io_vector_copy(vector, bytes, length_bytes, IO_GET);
}

size_t io_vector_put_zeroes(struct io_vector *vector, size_t length_bytes)
{
    return io_vector_copy(vector, NULL, length_bytes, IO_ZERO);
}

void io_vector_revert(struct io_vector *vector, size_t length_bytes)
{
    vector->remaining_bytes += length_bytes;
    while (length_bytes > vector->segment_offset) {
        length_bytes -= vector->segment_offset;
        vector->segment_index--;
        vector->segment_offset = vector->segments[vector->segment_index].length_bytes;
    }
    vector->segment_offset -= length_bytes;
}

void io_vector_skip(struct io_vector *vector, size_t length_bytes)
{
    uint64_t address;

    while (length_bytes > 0) {
        size_t length = minimum(io_vector_piece(vector, &address), length_bytes);
        if (length == 0)
            return;
        vector->segment_offset += length;
        vector->remaining_bytes -= length;
        length_bytes -= length;
    }
}

/* A write is tried without changing anything: compare-and-exchange of zero with zero always makes a write access. */
static int io_vector_touch(uint64_t address, bool for_put)
{
    uint32_t value;

    address = round_down(address, 4);
    return for_put ? user_compare_exchange_u32(address, 0, 0, &value) : user_load_u32(address, &value);
}

int io_vector_fault_in(struct io_vector *vector, size_t length_bytes, bool for_put)
{
    struct io_vector probe = *vector;
    uint64_t address;

    if (!vector->user)
        return 0;
    while (length_bytes > 0) {
        size_t length = minimum(io_vector_piece(&probe, &address), length_bytes);
        if (length == 0)
            return 0;
        for (uint64_t page = address; page < address + length; page = PAGE_ROUND_DOWN(page) + PAGE_SIZE)
            if (io_vector_touch(page, for_put) != 0)
                return -EFAULT;
        io_vector_skip(&probe, length);
        length_bytes -= length;
    }
    return 0;
}
