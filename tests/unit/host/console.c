/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xen/machine/console.h on the host: a buffer that tests read, and typing.
 */
#include "xen/machine/console.h"

#include <string.h>

#include "kernel/base/compiler.h"
#include "tests/unit/host/host.h"

static char output[65536];
static size_t output_bytes, room = SIZE_MAX;
static void (*room_handler)(void);
static void (*receiver)(const char *bytes, size_t length_bytes);

size_t console_write_some(const char *bytes, size_t length_bytes)
{
    size_t taken = minimum(minimum(length_bytes, room), sizeof(output) - 1 - output_bytes);

    memcpy(output + output_bytes, bytes, taken);
    output_bytes += taken;
    output[output_bytes] = 0;
    if (room != SIZE_MAX)
        room -= taken;
    return taken;
}

void console_write_all(const char *bytes, size_t length_bytes)
{
    console_write_some(bytes, length_bytes);
}

void console_set_room_handler(void (*handler)(void))
{
    room_handler = handler;
}

void console_set_receiver(void (*handler)(const char *bytes, size_t length_bytes))
{
    receiver = handler;
}

const char *host_console_output(void)
{
    static char copy[sizeof(output)];

    memcpy(copy, output, output_bytes + 1);
    output_bytes = 0;
    output[0] = 0;
    return copy;
}

void host_console_type(const char *text)
{
    if (receiver)
        receiver(text, strlen(text));
}

void host_console_set_room(size_t bytes)
{
    room = bytes;
    if (bytes > 0 && room_handler)
        room_handler();
}
