/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline's way in: what Linux's N_TTY does with a byte that arrives. In canonical mode bytes gather in the
 * input ring behind input_ready, where they can still be erased, until one ends the line. Signals are noted under the
 * lock and sent after it.
 */
#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/terminal_line.h"

#define SIGNAL_INTERRUPT 2
#define SIGNAL_QUIT 3
#define SIGNAL_TERMINAL_STOP 20
#define DISABLED 0 /* _POSIX_VDISABLE */
#define TAB_COLUMNS 8u

static bool is_set(const struct terminal *terminal, uint32_t local)
{
    return (terminal->settings.local & local) != 0;
}

static bool is_character(const struct terminal *terminal, uint8_t byte, unsigned int which)
{
    return terminal->settings.characters[which] != DISABLED && terminal->settings.characters[which] == byte;
}

static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

static uint8_t input_at(const struct terminal *terminal, uint32_t position)
{
    return terminal->input[position % INPUT_BYTES];
}

/* One byte as it is shown. */
static void echo_byte(struct terminal *terminal, uint8_t byte)
{
    if (is_set(terminal, LOCAL_ECHO_CONTROL) && is_control(byte) && byte != '\n' && byte != '\t') {
        terminal_output_byte(terminal, '^');
        terminal_output_byte(terminal, byte ^ 0x40);
    } else {
        terminal_output_byte(terminal, byte);
    }
}

static void input_put(struct terminal *terminal, uint8_t byte, bool ends_line, bool eof)
{
    uint32_t at = terminal->input_head % INPUT_BYTES;

    terminal->input[at] = byte;
    if (ends_line)
        bitmap_set(terminal->line_ends, at);
    else
        bitmap_clear(terminal->line_ends, at);
    if (eof)
        bitmap_set(terminal->eofs, at);
    else
        bitmap_clear(terminal->eofs, at);
    terminal->input_head++;
}

static bool input_has_room(const struct terminal *terminal)
{
    /* A canonical line always finds a place for its end. */
    return terminal->input_head - terminal->input_tail < INPUT_BYTES - is_set(terminal, LOCAL_CANONICAL);
}

void terminal_input_flush(struct terminal *terminal)
{
    terminal->input_tail = terminal->input_ready = terminal->input_head;
}

/* The columns that the last byte of the line takes: as the line stands on the screen, for tabs. */
static uint32_t shown_columns(const struct terminal *terminal, uint32_t last)
{
    uint32_t column = terminal->line_column, before = column;

    if (input_at(terminal, last) != '\t')
        return is_control(input_at(terminal, last)) ? (is_set(terminal, LOCAL_ECHO_CONTROL) ? 2 : 0) : 1;
    for (uint32_t i = terminal->input_ready; i != last + 1; i++) {
        uint8_t byte = input_at(terminal, i);

        before = column;
        if (byte == '\t')
            column = round_up(column + 1, TAB_COLUMNS);
        else if (is_control(byte))
            column += is_set(terminal, LOCAL_ECHO_CONTROL) ? 2 : 0;
        else if (!(terminal->settings.input & INPUT_UTF8) || (byte & 0xc0) != 0x80)
            column++;
    }
    return column - before;
}

/* Takes the last character of the line back. False: there is none. */
static bool erase_one(struct terminal *terminal)
{
    if (terminal->input_head == terminal->input_ready)
        return false;
    if (terminal->settings.input & INPUT_UTF8)
        while (terminal->input_head - 1 != terminal->input_ready && (input_at(terminal, terminal->input_head - 1) & 0xc0) == 0x80)
            terminal->input_head--;

    bool tab = input_at(terminal, terminal->input_head - 1) == '\t';
    uint32_t columns = shown_columns(terminal, terminal->input_head - 1);
    terminal->input_head--;
    if (!is_set(terminal, LOCAL_ECHO))
        return true;
    if (!is_set(terminal, LOCAL_ECHO_ERASE)) {
        echo_byte(terminal, terminal->settings.characters[CHARACTER_ERASE]);
        return true;
    }
    for (uint32_t i = 0; i < columns; i++) {
        terminal_output_byte(terminal, '\b');
        if (!tab) {
            terminal_output_byte(terminal, ' ');
            terminal_output_byte(terminal, '\b');
        }
    }
    return true;
}

static void erase_word(struct terminal *terminal)
{
    bool in_word = false;

    while (terminal->input_head != terminal->input_ready) {
        uint8_t last = input_at(terminal, terminal->input_head - 1);
        bool word_byte = (last >= '0' && last <= '9') || ((last | 0x20) >= 'a' && (last | 0x20) <= 'z') || last == '_' || last >= 0x80;

        if (in_word && !word_byte)
            break;
        in_word |= word_byte;
        erase_one(terminal);
    }
}

static void erase_line(struct terminal *terminal, uint8_t byte)
{
    if (is_set(terminal, LOCAL_ECHO) && (!is_set(terminal, LOCAL_ECHO_KILL_VISIBLE) || !is_set(terminal, LOCAL_ECHO_ERASE))) {
        terminal->input_head = terminal->input_ready;
        echo_byte(terminal, byte);
        if (is_set(terminal, LOCAL_ECHO_KILL))
            terminal_output_byte(terminal, '\n');
        return;
    }
    while (erase_one(terminal))
        ;
}

static void reprint_line(struct terminal *terminal, uint8_t byte)
{
    echo_byte(terminal, byte);
    terminal_output_byte(terminal, '\n');
    for (uint32_t i = terminal->input_ready; i != terminal->input_head; i++)
        echo_byte(terminal, input_at(terminal, i));
}

/* Erase, kill and the like. True: the byte was one of them. */
static bool edit_line(struct terminal *terminal, uint8_t byte)
{
    bool extended = is_set(terminal, LOCAL_EXTENDED);

    if (is_character(terminal, byte, CHARACTER_ERASE))
        erase_one(terminal);
    else if (is_character(terminal, byte, CHARACTER_KILL))
        erase_line(terminal, byte);
    else if (extended && is_character(terminal, byte, CHARACTER_WORD_ERASE))
        erase_word(terminal);
    else if (extended && is_character(terminal, byte, CHARACTER_REPRINT) && is_set(terminal, LOCAL_ECHO))
        reprint_line(terminal, byte);
    else
        return false;
    return true;
}

/* The line is complete: true, so that the readers are woken. */
static bool end_line(struct terminal *terminal, uint8_t byte, bool eof)
{
    input_put(terminal, eof ? 0 : byte, true, eof);
    terminal->input_ready = terminal->input_head;
    terminal->line_column = terminal->column;
    return true;
}

static void echo_input(struct terminal *terminal, uint8_t byte)
{
    if (!is_set(terminal, LOCAL_ECHO))
        return;
    if (terminal->input_head == terminal->input_ready)
        terminal->line_column = terminal->column;
    echo_byte(terminal, byte);
}

/* True: readers have something new. */
static bool canonical_byte(struct terminal *terminal, uint8_t byte)
{
    if (edit_line(terminal, byte))
        return false;
    if (byte == '\n') {
        if (is_set(terminal, LOCAL_ECHO | LOCAL_ECHO_NL))
            terminal_output_byte(terminal, '\n');
        return end_line(terminal, byte, false);
    }
    if (is_character(terminal, byte, CHARACTER_EOF))
        return end_line(terminal, byte, true);
    if (is_character(terminal, byte, CHARACTER_EOL) ||
        (is_set(terminal, LOCAL_EXTENDED) && is_character(terminal, byte, CHARACTER_EOL2))) {
        echo_input(terminal, byte);
        return end_line(terminal, byte, false);
    }
    if (!input_has_room(terminal)) {
        if (terminal->settings.input & INPUT_BELL)
            terminal_output_raw(terminal, '\a');
        return false;
    }
    if (is_set(terminal, LOCAL_EXTENDED) && is_character(terminal, byte, CHARACTER_LITERAL_NEXT)) {
        terminal->literal_next = true;
        if (is_set(terminal, LOCAL_ECHO) && is_set(terminal, LOCAL_ECHO_CONTROL)) {
            terminal_output_byte(terminal, '^');
            terminal_output_byte(terminal, '\b');
        }
        return false;
    }
    echo_input(terminal, byte);
    input_put(terminal, byte, false, false);
    return false;
}

static int signal_of(const struct terminal *terminal, uint8_t byte)
{
    if (!is_set(terminal, LOCAL_SIGNALS))
        return 0;
    return is_character(terminal, byte, CHARACTER_INTERRUPT) ? SIGNAL_INTERRUPT
           : is_character(terminal, byte, CHARACTER_QUIT)    ? SIGNAL_QUIT
           : is_character(terminal, byte, CHARACTER_SUSPEND) ? SIGNAL_TERMINAL_STOP
                                                             : 0;
}

/* ^S and ^Q. True: the byte was one of them. */
static bool flow_control(struct terminal *terminal, uint8_t byte)
{
    if (!(terminal->settings.input & INPUT_XON))
        return false;
    bool start = is_character(terminal, byte, CHARACTER_START), stop = is_character(terminal, byte, CHARACTER_STOP);
    if (start || stop)
        terminal->stopped = stop && !(start && terminal->stopped);
    else if (terminal->settings.input & INPUT_XANY)
        terminal->stopped = false;
    return start || stop;
}

/* One byte. *signal: to be sent to the foreground group. True: readers have something new. */
static bool input_byte(struct terminal *terminal, uint8_t byte, int *signal)
{
    uint32_t flags = terminal->settings.input;

    if (flags & INPUT_STRIP)
        byte &= 0x7f;
    if (terminal->literal_next) {
        terminal->literal_next = false;
        if (input_has_room(terminal)) {
            echo_input(terminal, byte);
            input_put(terminal, byte, false, false);
        }
        return !is_set(terminal, LOCAL_CANONICAL);
    }
    if (flow_control(terminal, byte))
        return false;
    *signal = signal_of(terminal, byte);
    if (*signal) {
        if (!is_set(terminal, LOCAL_NO_FLUSH)) {
            terminal_input_flush(terminal);
            terminal_output_flush(terminal);
        }
        echo_input(terminal, byte);
        terminal->stopped = false;
        return false;
    }
    if (byte == '\r') {
        if (flags & INPUT_IGNORE_CR)
            return false;
        if (flags & INPUT_CR_TO_NL)
            byte = '\n';
    } else if (byte == '\n' && (flags & INPUT_NL_TO_CR)) {
        byte = '\r';
    }
    if (is_set(terminal, LOCAL_CANONICAL))
        return canonical_byte(terminal, byte);
    if (is_set(terminal, LOCAL_ECHO) || (byte == '\n' && is_set(terminal, LOCAL_ECHO_NL) && is_set(terminal, LOCAL_CANONICAL)))
        echo_byte(terminal, byte);
    input_put(terminal, byte, false, false);
    return true;
}

size_t terminal_input(struct terminal *terminal, const uint8_t *bytes, size_t length_bytes)
{
    bool wake = false;
    size_t done = 0;

    while (done < length_bytes) {
        int signal = 0;

        spinlock_lock(&terminal->lock);
        /* In canonical mode a full ring still takes what ends or erases the line. */
        while (done < length_bytes && !signal && (is_set(terminal, LOCAL_CANONICAL) || input_has_room(terminal)) &&
               terminal->input_head - terminal->input_tail < INPUT_BYTES)
            wake |= input_byte(terminal, bytes[done++], &signal);
        bool full = !signal && done < length_bytes;
        int group_id = terminal->group_id;
        terminal->start_output(terminal);
        spinlock_unlock(&terminal->lock);
        if (signal && group_id != 0)
            vfs_process->signal_group(group_id, signal);
        if (full)
            break;
    }
    if (wake)
        wait_queue_wake_all(&terminal->read_queue, POLL_IN | POLL_READ_NORMAL);
    return done;
}

size_t terminal_input_count(const struct terminal *terminal)
{
    return (is_set(terminal, LOCAL_CANONICAL) ? terminal->input_ready : terminal->input_head) - terminal->input_tail;
}

/* Canonical mode was switched: what lies in the ring becomes a line, or just bytes. */
void terminal_settings_changed(struct terminal *terminal, uint32_t old_local)
{
    if (!((old_local ^ terminal->settings.local) & LOCAL_CANONICAL))
        return;
    memset(terminal->line_ends, 0, sizeof(terminal->line_ends));
    memset(terminal->eofs, 0, sizeof(terminal->eofs));
    terminal->input_ready = terminal->input_head;
    if (is_set(terminal, LOCAL_CANONICAL) && terminal->input_head != terminal->input_tail)
        bitmap_set(terminal->line_ends, (terminal->input_head - 1) % INPUT_BYTES);
}

size_t terminal_input_take(struct terminal *terminal, uint8_t *bytes, size_t size_bytes, bool *end)
{
    bool canonical = is_set(terminal, LOCAL_CANONICAL);
    size_t count = 0;

    *end = false;
    while (!*end && terminal_input_count(terminal) > 0) {
        uint32_t at = terminal->input_tail % INPUT_BYTES;
        bool eof = canonical && bitmap_test(terminal->eofs, at);

        if (count == size_bytes && !eof)
            break;
        *end = canonical && bitmap_test(terminal->line_ends, at);
        if (!eof)
            bytes[count++] = terminal->input[at];
        terminal->input_tail++;
        if (!canonical)
            terminal->input_ready = terminal->input_tail;
    }
    return count;
}
