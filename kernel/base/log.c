/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message log. A message is formatted on its writer's stack, copied into the ring, and handed to the sink.
 *
 * There is no lock, as this room has none and messages come from every context, a holder of any spinlock and a
 * panicking CPU included: a writer reserves its bytes of the ring by one atomic addition to `log_head` and then fills
 * them. A reader that overtakes a writer sees that line's place half filled with older bytes; nothing else breaks.
 */
#include "kernel/base/log.h"

#include <stdatomic.h>
#include <stdarg.h>

#include "kernel/base/format.h"

#define LOG_RING_BYTES 16384u
#define LOG_LINE_BYTES 400u

static char log_ring[LOG_RING_BYTES];
static atomic_size_t log_head; /* bytes ever reserved */
static _Atomic(int) log_level = LOG_INFO;
static void (*_Atomic log_sink)(const char *line, size_t length_bytes);
static uint64_t (*_Atomic log_clock)(void);

void log_set_sink(void (*sink)(const char *line, size_t length_bytes))
{
    atomic_store(&log_sink, sink);
}

void log_set_level(enum log_level level)
{
    atomic_store(&log_level, (int)level);
}

void log_set_clock(uint64_t (*now_ns)(void))
{
    atomic_store(&log_clock, now_ns);
}

/* "[    1.234567] message\n"; returns the length. Control bytes, which hostile strings may hold, become '?'. */
static size_t log_format(char line[LOG_LINE_BYTES], const char *format, va_list list)
{
    uint64_t (*clock)(void) = atomic_load(&log_clock);
    uint64_t now_us = clock ? clock() / 1000 : 0;
    int stamp = format_string(line, LOG_LINE_BYTES, "[%5llu.%06llu] ", (unsigned long long)(now_us / 1000000),
                              (unsigned long long)(now_us % 1000000));
    size_t room = LOG_LINE_BYTES - 1 - (size_t)stamp; /* one byte stays for the newline */
    int wanted = format_string_list(line + stamp, room, format, list);
    size_t length = (size_t)stamp + minimum((size_t)wanted, room - 1);

    for (size_t i = (size_t)stamp; i < length; i++)
        if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
            line[i] = '?';
    line[length] = '\n';
    return length + 1;
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_BYTES];
    va_list list;

    va_start(list, format);
    size_t length = log_format(line, format, list);
    va_end(list);

    size_t place = atomic_fetch_add(&log_head, length);
    for (size_t i = 0; i < length; i++)
        write_once(log_ring[(place + i) % LOG_RING_BYTES], line[i]);

    void (*sink)(const char *, size_t) = atomic_load(&log_sink);
    if (sink && (int)level <= atomic_load(&log_level))
        sink(line, length);
}

size_t log_copy(char *buffer, size_t size_bytes)
{
    size_t head = atomic_load(&log_head);
    size_t length = minimum(minimum(head, (size_t)LOG_RING_BYTES), size_bytes);

    for (size_t i = 0; i < length; i++)
        buffer[i] = read_once(log_ring[(head - length + i) % LOG_RING_BYTES]);
    return length;
}
