/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * panic(): formats the message on the stack of whoever found the kernel broken and hands it to the registered handler,
 * which reports and ends the domain. A panic inside the handler, or before there is one, traps.
 */
#include "kernel/base/panic.h"

#include <stdarg.h>
#include <stdatomic.h>

#include "kernel/base/format.h"

#define PANIC_MESSAGE_BYTES 512
#define PANIC_DEPTH_LIMIT 8

typedef void (*panic_handler_t)(const char *message);

static _Atomic(panic_handler_t) panic_handler;
static atomic_uint panic_depth;

void panic_set_handler(void (*handler)(const char *message))
{
    atomic_store(&panic_handler, handler);
}

void panic(const char *format, ...)
{
    char message[PANIC_MESSAGE_BYTES];
    va_list list;

    va_start(list, format);
    format_string_list(message, sizeof(message), format, list);
    va_end(list);

    panic_handler_t handler = atomic_load(&panic_handler);
    /* Several CPUs may panic at once, and the handler itself once: it sorts them out; a third time is a loop. */
    if (handler && atomic_fetch_add(&panic_depth, 1) < PANIC_DEPTH_LIMIT)
        handler(message);
    for (;;)
        __builtin_trap();
}
