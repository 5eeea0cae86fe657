/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console as a terminal, and the device numbers of terminals.
 *
 * Output goes from the terminal's ring into the console's as far as there is room; its room event sets the rest going.
 * Input comes in event context: it waits in a small ring for deferred work, which gives it to the line discipline.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/sched/timer.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/pty.h"
#include "kernel/vfs/terminal_line.h"
#include "xen/machine/console.h"

#define ARRIVED_BYTES 1024u
#define MINOR_TTY 0
#define MINOR_CONSOLE 1
#define MINOR_PTMX 2

static struct terminal console;
static struct spinlock arrived_lock = SPINLOCK_INITIALIZER("console input", 0);
static uint8_t arrived[ARRIVED_BYTES];            /* arrived_lock */
static uint32_t arrived_head, arrived_tail;       /* arrived_lock */
static struct deferred_work input_work;

/* With console.lock held. */
static void console_start_output(struct terminal *terminal)
{
    const uint8_t *bytes;
    size_t length, written;

    while (!terminal->stopped && (length = terminal_output_peek(terminal, &bytes)) > 0) {
        written = console_write_some((const char *)bytes, length);
        terminal_output_consume(terminal, written);
        if (written < length)
            break;
    }
}

/* Event context. */
static void console_room(void)
{
    spinlock_lock(&console.lock);
    bool waiting = console.output_head != console.output_tail;
    console_start_output(&console);
    spinlock_unlock(&console.lock);
    if (waiting)
        wait_queue_wake_all(&console.write_queue, POLL_OUT | POLL_WRITE_NORMAL);
}

/* Event context. What finds no room is lost, as on a serial line without flow control. */
static void console_receive(const char *bytes, size_t length_bytes)
{
    spinlock_lock(&arrived_lock);
    for (size_t i = 0; i < length_bytes && arrived_head - arrived_tail < ARRIVED_BYTES; i++)
        arrived[arrived_head++ % ARRIVED_BYTES] = (uint8_t)bytes[i];
    spinlock_unlock(&arrived_lock);
    deferred_work_schedule(&input_work);
}

static void console_input(struct deferred_work *work)
{
    for (;;) {
        spinlock_lock(&arrived_lock);
        uint32_t at = arrived_tail % ARRIVED_BYTES;
        size_t length = minimum(arrived_head - arrived_tail, minimum(ARRIVED_BYTES - at, 128u));
        uint8_t bytes[128];
        memcpy(bytes, &arrived[at], length);
        spinlock_unlock(&arrived_lock);
        if (length == 0)
            return;

        size_t taken = terminal_input(&console, bytes, length);
        spinlock_lock(&arrived_lock);
        arrived_tail += (uint32_t)taken;
        spinlock_unlock(&arrived_lock);
        if (taken < length) /* full: a reader makes room */
            return;
    }
}

static void console_input_room(struct terminal *terminal)
{
    if (read_once(arrived_head) != read_once(arrived_tail))
        deferred_work_schedule(&input_work);
}

/* /dev/tty is the caller's controlling terminal. */
static int open_own_terminal(struct file *file)
{
    struct process_identity self;
    struct terminal *terminal = vfs_process->identity(&self) ? terminal_find_session(self.session_id) : NULL;

    if (!terminal)
        return -ENXIO;
    atomic_fetch_or(&file->flags, FILE_NO_CONTROLLING_TERMINAL);
    terminal_open_file(terminal, file);
    return 0;
}

static int terminal_device_open(struct inode *inode, struct file *file)
{
    switch (DEVICE_MINOR(inode->device)) {
    case MINOR_TTY:
        return open_own_terminal(file);
    case MINOR_CONSOLE:
        write_once(console.hung_up, false); /* after a vhangup() */
        terminal_take(&console);
        terminal_open_file(&console, file);
        return 0;
    case MINOR_PTMX:
        return pty_open_master(file);
    default:
        return -ENXIO;
    }
}

static int pty_device_open(struct inode *inode, struct file *file)
{
    return pty_open_slave((int)DEVICE_MINOR(inode->device), file);
}

int terminal_console_open(unsigned int flags, struct credentials *credentials, struct file **file)
{
    static const struct file_operations none = {0};
    int error = file_create_anonymous(&none, NULL, flags | FILE_NO_CONTROLLING_TERMINAL, credentials, file);

    if (error)
        return error;
    terminal_take(&console);
    terminal_open_file(&console, *file);
    return 0;
}

int terminal_init(void)
{
    terminal_setup(&console, DEVICE_NUMBER(TERMINAL_MAJOR, MINOR_CONSOLE));
    console.start_output = console_start_output;
    console.input_room = console_input_room;
    console.settings.input |= INPUT_UTF8;
    console.window = (struct terminal_window){.rows = 24, .columns = 80};
    deferred_work_init(&input_work, console_input);
    int error = device_file_register(false, TERMINAL_MAJOR, terminal_device_open);
    return error ? error : device_file_register(false, PTY_MAJOR, pty_device_open);
}

void terminal_console_start(void)
{
    console_set_room_handler(console_room);
    console_set_receiver(console_receive);
}
