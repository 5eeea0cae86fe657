/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of the lab's control protocol (frame.h says what they mean), and the byte buffers they pass through.
 *
 * Used on both sides: the agent in dom0 and the tool outside. Descriptors are non-blocking; a buffer takes what a read
 * gives, hands out whole frames, and gives a write what it will take. Lengths from the wire are checked here.
 */
#include "tools/lab-agent/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t frame_buffer_length(const struct frame_buffer *buffer)
{
    return buffer->end - buffer->start;
}

static int reserve(struct frame_buffer *buffer, size_t length)
{
    if (buffer->start > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, frame_buffer_length(buffer));
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->end + length <= buffer->capacity)
        return 0;
    size_t capacity = (buffer->end + length) * 2;
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return -ENOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

int frame_buffer_add(struct frame_buffer *buffer, const void *bytes, size_t length)
{
    int error = reserve(buffer, length);

    if (error < 0 || length == 0)
        return error;
    memcpy(buffer->bytes + buffer->end, bytes, length);
    buffer->end += length;
    return 0;
}

/* One read of at most length_max bytes. Returns their number, 0 at the end of the stream, -EAGAIN when there is nothing yet. */
int frame_buffer_fill(struct frame_buffer *buffer, int fd, size_t length_max)
{
    int error = reserve(buffer, length_max);

    if (error < 0)
        return error;
    ssize_t got = read(fd, buffer->bytes + buffer->end, length_max);
    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    buffer->end += (size_t)got;
    return (int)got;
}

/* Writes what the descriptor takes now. Returns 0, also when something is left, or a negative errno. */
int frame_buffer_drain(struct frame_buffer *buffer, int fd)
{
    while (frame_buffer_length(buffer) > 0) {
        ssize_t put = write(fd, buffer->bytes + buffer->start, frame_buffer_length(buffer));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno == EAGAIN ? 0 : -errno;
        buffer->start += (size_t)put;
    }
    return 0;
}

void frame_buffer_free(struct frame_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct frame_buffer){0};
}

int frame_put(struct frame_buffer *buffer, enum frame_type type, const void *payload, size_t length)
{
    uint8_t header[FRAME_HEADER_SIZE] = {(uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16),
        (uint8_t)(length >> 24), (uint8_t)type};

    if (length > FRAME_PAYLOAD_MAX)
        return -E2BIG;
    int error = frame_buffer_add(buffer, header, sizeof(header));
    return error < 0 ? error : frame_buffer_add(buffer, payload, length);
}

/* Takes the next whole frame. Returns 1, 0 when it is not whole yet, -EPROTO when it cannot be one. */
int frame_take(struct frame_buffer *buffer, struct frame *out)
{
    const uint8_t *bytes = buffer->bytes + buffer->start;

    if (frame_buffer_length(buffer) < FRAME_HEADER_SIZE)
        return 0;
    uint32_t length = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    if (length > FRAME_PAYLOAD_MAX || bytes[4] < FRAME_HELLO || bytes[4] > FRAME_FAIL)
        return -EPROTO;
    if (frame_buffer_length(buffer) < FRAME_HEADER_SIZE + length)
        return 0;
    out->type = (enum frame_type)bytes[4];
    out->length = length;
    out->payload = bytes + FRAME_HEADER_SIZE;
    buffer->start += FRAME_HEADER_SIZE + length;
    return 1;
}
