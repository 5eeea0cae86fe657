/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lab's control protocol, spoken over one TCP connection for each command.
 *
 *   client                                     agent (in dom0)
 *   HELLO  token, 64 hexadecimal digits   -->
 *   EXEC   directory NUL { K=V NUL } NUL { argument NUL }  -->
 *   STDIN  bytes; an empty one is the end -->
 *   SIGNAL one byte, a signal number      -->  (to the command's process group)
 *                                         <--  STDOUT bytes; an empty one says that the command has been started
 *                                         <--  STDERR bytes
 *                                         <--  EXIT one byte, the status as a shell tells it; the last frame
 *                                         <--  FAIL text: refused or cannot be started; the last frame
 *
 * A frame is a header of 8 bytes (length of the payload, 4 bytes, little endian; type; 3 zero bytes) and its payload.
 * When the client's side of the connection goes away, the agent ends the command: SIGTERM to its process group, SIGKILL
 * to what is left of it FRAME_GRACE_SECONDS later.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum frame_type {
    FRAME_HELLO = 1,
    FRAME_EXEC = 2,
    FRAME_STDIN = 3,
    FRAME_SIGNAL = 4,
    FRAME_STDOUT = 5,
    FRAME_STDERR = 6,
    FRAME_EXIT = 7,
    FRAME_FAIL = 8,
};

#define FRAME_HEADER_SIZE 8
#define FRAME_PAYLOAD_MAX (1024 * 1024)
#define FRAME_DATA_MAX 32768
#define FRAME_TOKEN_LENGTH 64
#define FRAME_AGENT_PORT 7777
#define FRAME_GRACE_SECONDS 120

/* Bytes on their way through a descriptor: filled at the end, taken from the start. */
struct frame_buffer {
    uint8_t *bytes;
    size_t start;
    size_t end;
    size_t capacity;
};

struct frame {
    enum frame_type type;
    uint32_t length;
    const uint8_t *payload; /* inside the buffer, until the next call on it */
};

size_t frame_buffer_length(const struct frame_buffer *buffer);
int frame_buffer_add(struct frame_buffer *buffer, const void *bytes, size_t length);
int frame_buffer_fill(struct frame_buffer *buffer, int fd, size_t length_max);
int frame_buffer_drain(struct frame_buffer *buffer, int fd);
void frame_buffer_free(struct frame_buffer *buffer);
int frame_put(struct frame_buffer *buffer, enum frame_type type, const void *payload, size_t length);
int frame_take(struct frame_buffer *buffer, struct frame *out);
