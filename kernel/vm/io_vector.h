/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the bytes of a read or write come from or go to: a list of segments in the program's memory or in the
 * kernel's, with a cursor that the copies advance. So a file system or socket copies once, straight to the program.
 *
 * Copies into program memory may fault and sleep: never under a spinlock.
 */
#pragma once

#include "kernel/base/compiler.h"

struct io_segment {
    uint64_t address;
    uint64_t length_bytes;
};

/* Used by one thread; the segments belong to the caller and stay until he is done. */
struct io_vector {
    const struct io_segment *segments;
    size_t segment_count;
    size_t segment_index;        /* cursor */
    uint64_t segment_offset;     /* cursor within it */
    size_t remaining_bytes;
    bool user;
    bool faulted;                /* a copy met a bad address: the caller answers what was copied, or -EFAULT if nothing */
};

void io_vector_init_kernel(struct io_vector *vector, struct io_segment *segment, void *buffer, size_t length_bytes);
/* Segments were copied in and checked by kernel/linux (ranges in user space, total ≤ 0x7ffff000). */
void io_vector_init_user(struct io_vector *vector, const struct io_segment *segments, size_t segment_count);

/* kernel → destination, source → kernel, zeroes → destination. Return the bytes copied (short only after a fault or at the end). */
size_t io_vector_put(struct io_vector *vector, const void *bytes, size_t length_bytes);
size_t io_vector_get(struct io_vector *vector, void *bytes, size_t length_bytes);
size_t io_vector_put_zeroes(struct io_vector *vector, size_t length_bytes);
/* Moves the cursor back by bytes just copied (a write that was refused after the copy) or ahead without a copy. */
void io_vector_revert(struct io_vector *vector, size_t length_bytes);
void io_vector_skip(struct io_vector *vector, size_t length_bytes);
/* Touches the program's pages under the next length_bytes so that a following copy is not likely to fault; 0 or -EFAULT. */
int io_vector_fault_in(struct io_vector *vector, size_t length_bytes, bool for_put);
