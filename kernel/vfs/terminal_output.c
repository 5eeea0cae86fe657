/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A terminal's way out: output processing into the output ring. The terminal's lock is held throughout.
 */
#include "kernel/base/panic.h"
#include "kernel/vfs/terminal_line.h"

#define TAB_COLUMNS 8u

uint32_t terminal_output_room(const struct terminal *terminal)
{
    return OUTPUT_BYTES - (terminal->output_head - terminal->output_tail);
}

bool terminal_output_raw(struct terminal *terminal, uint8_t byte)
{
    if (terminal_output_room(terminal) == 0)
        return false;
    terminal->output[terminal->output_head++ % OUTPUT_BYTES] = byte;
    return true;
}

static bool output_newline(struct terminal *terminal, uint32_t flags)
{
    if (flags & OUTPUT_NL_TO_CRNL) {
        if (terminal_output_room(terminal) < 2)
            return false;
        terminal_output_raw(terminal, '\r');
    }
    if (!terminal_output_raw(terminal, '\n'))
        return false;
    if (flags & (OUTPUT_NL_TO_CRNL | OUTPUT_NL_RETURNS))
        terminal->column = 0;
    return true;
}

static bool output_tab(struct terminal *terminal, uint32_t flags)
{
    uint32_t blanks = TAB_COLUMNS - terminal->column % TAB_COLUMNS;

    if ((flags & OUTPUT_TABS) == OUTPUT_TABS) {
        if (terminal_output_room(terminal) < blanks)
            return false;
        for (uint32_t i = 0; i < blanks; i++)
            terminal_output_raw(terminal, ' ');
    } else if (!terminal_output_raw(terminal, '\t')) {
        return false;
    }
    terminal->column += blanks;
    return true;
}

bool terminal_output_byte(struct terminal *terminal, uint8_t byte)
{
    uint32_t flags = terminal->settings.output;

    if (!(flags & OUTPUT_PROCESS))
        return terminal_output_raw(terminal, byte);
    switch (byte) {
    case '\n':
        return output_newline(terminal, flags);
    case '\r':
        if ((flags & OUTPUT_NO_CR_AT_0) && terminal->column == 0)
            return true;
        if (flags & OUTPUT_CR_TO_NL)
            return output_newline(terminal, flags & ~OUTPUT_NL_TO_CRNL);
        if (!terminal_output_raw(terminal, byte))
            return false;
        terminal->column = 0;
        return true;
    case '\t':
        return output_tab(terminal, flags);
    case '\b':
        if (!terminal_output_raw(terminal, byte))
            return false;
        terminal->column -= terminal->column > 0;
        return true;
    default:
        if (!terminal_output_raw(terminal, byte))
            return false;
        /* Continuation bytes of UTF-8 do not move the cursor. */
        if (byte >= 0x20 && byte != 0x7f && !((terminal->settings.input & INPUT_UTF8) && (byte & 0xc0) == 0x80))
            terminal->column++;
        return true;
    }
}

size_t terminal_output_peek(struct terminal *terminal, const uint8_t **bytes)
{
    uint32_t at = terminal->output_tail % OUTPUT_BYTES;

    *bytes = &terminal->output[at];
    return minimum(terminal->output_head - terminal->output_tail, OUTPUT_BYTES - at);
}

void terminal_output_consume(struct terminal *terminal, size_t length_bytes)
{
    assert(length_bytes <= terminal->output_head - terminal->output_tail);
    terminal->output_tail += (uint32_t)length_bytes;
}

void terminal_output_flush(struct terminal *terminal)
{
    terminal->output_tail = terminal->output_head;
}
