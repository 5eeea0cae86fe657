/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals as files: reading by lines or by bytes, writing, polling, and the terminals' lives. Bytes are copied between
 * the rings and programs through a small buffer on the stack, as the rings' lock is a spinlock.
 */
#include "kernel/vfs/terminal.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/terminal_line.h"
#include "xen/machine/clock.h"

#define SIGNAL_HANG_UP 1
#define SIGNAL_CONTINUE 18
#define SIGNAL_TERMINAL_IN 21
#define SIGNAL_TERMINAL_OUT 22
#define BOUNCE_BYTES 512
#define TENTH_OF_SECOND_NS 100000000ull

static struct spinlock terminals_lock = SPINLOCK_INITIALIZER("terminals", 0);
static struct list terminals = LIST_INITIALIZER(terminals); /* terminals_lock */
static const struct file_operations terminal_operations;

/* Linux's first settings: cooked, with echo. */
static const struct terminal_settings first_settings = {
    .input = INPUT_CR_TO_NL | INPUT_XON,
    .output = OUTPUT_PROCESS | OUTPUT_NL_TO_CRNL,
    .control = 0xbf, /* B38400, CS8, CREAD */
    .local = LOCAL_SIGNALS | LOCAL_CANONICAL | LOCAL_ECHO | LOCAL_ECHO_ERASE | LOCAL_ECHO_KILL | LOCAL_ECHO_CONTROL |
             LOCAL_ECHO_KILL_VISIBLE | LOCAL_EXTENDED,
    .characters = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0},
    .input_speed = 38400,
    .output_speed = 38400,
};

void terminal_setup(struct terminal *terminal, uint64_t device)
{
    memset(terminal, 0, sizeof(*terminal));
    spinlock_init(&terminal->lock, "terminal", 0);
    reference_init(&terminal->reference);
    terminal->device = device;
    terminal->settings = first_settings;
    wait_queue_init(&terminal->read_queue);
    wait_queue_init(&terminal->write_queue);
    spinlock_lock(&terminals_lock);
    list_add_last(&terminals, &terminal->link);
    spinlock_unlock(&terminals_lock);
}

void terminal_take(struct terminal *terminal)
{
    reference_take(&terminal->reference);
}

void terminal_put(struct terminal *terminal)
{
    if (!reference_release(&terminal->reference))
        return;
    spinlock_lock(&terminals_lock);
    list_remove(&terminal->link);
    spinlock_unlock(&terminals_lock);
    terminal->destroy(terminal);
}

struct terminal *terminal_find_session(int session_id)
{
    struct terminal *terminal, *found = NULL;

    if (session_id == 0)
        return NULL;
    spinlock_lock(&terminals_lock);
    list_for_each(terminal, &terminals, link)
        if (read_once(terminal->session_id) == session_id && reference_take_if_alive(&terminal->reference)) {
            found = terminal;
            break;
        }
    spinlock_unlock(&terminals_lock);
    return found;
}

bool terminal_of_session(int session_id, uint64_t *device, int *group_id)
{
    struct terminal *terminal = terminal_find_session(session_id);

    if (!terminal)
        return false;
    *device = terminal->device;
    *group_id = read_once(terminal->group_id);
    terminal_put(terminal);
    return true;
}

/* The terminal belongs to no session any more. *group_id: who was in front. */
static void leave_session(struct terminal *terminal, int *session_id, int *group_id)
{
    spinlock_lock(&terminal->lock);
    *session_id = terminal->session_id;
    *group_id = terminal->group_id;
    terminal->session_id = terminal->group_id = 0;
    spinlock_unlock(&terminal->lock);
}

void terminal_session_ended(int session_id)
{
    struct terminal *terminal = terminal_find_session(session_id);
    int group_id;

    if (!terminal)
        return;
    leave_session(terminal, &session_id, &group_id);
    terminal_put(terminal);
    if (group_id != 0) {
        vfs_process->signal_group(group_id, SIGNAL_HANG_UP);
        vfs_process->signal_group(group_id, SIGNAL_CONTINUE);
    }
}

/* The line is gone: everybody who sleeps here wakes to find it so, and the session is told. */
void terminal_hang_up(struct terminal *terminal)
{
    int session_id, group_id;

    leave_session(terminal, &session_id, &group_id);
    spinlock_lock(&terminal->lock);
    terminal->hung_up = true;
    spinlock_unlock(&terminal->lock);
    wait_queue_wake_all(&terminal->read_queue, POLL_IN | POLL_HANGUP | POLL_ERROR);
    wait_queue_wake_all(&terminal->write_queue, POLL_OUT | POLL_HANGUP | POLL_ERROR);
    if (session_id != 0) { /* the leader, whose group has the session's number, and who is in front */
        vfs_process->signal_group(session_id, SIGNAL_HANG_UP);
        vfs_process->signal_group(session_id, SIGNAL_CONTINUE);
    }
    if (group_id != 0 && group_id != session_id) {
        vfs_process->signal_group(group_id, SIGNAL_HANG_UP);
        vfs_process->signal_group(group_id, SIGNAL_CONTINUE);
    }
}

struct terminal *terminal_from_file(const struct file *file)
{
    return file->operations == &terminal_operations ? file->data : NULL;
}

bool file_is_terminal(const struct file *file)
{
    return file->operations == &terminal_operations;
}

void terminal_make_controlling(struct file *file, int session_id, int group_id)
{
    struct terminal *terminal = terminal_from_file(file);

    if (!terminal)
        return;
    spinlock_lock(&terminal->lock);
    terminal->session_id = session_id;
    terminal->group_id = group_id;
    spinlock_unlock(&terminal->lock);
}

void terminal_open_file(struct terminal *terminal, struct file *file)
{
    file->operations = &terminal_operations;
    file->data = terminal;
    if (!(atomic_load(&file->flags) & FILE_NO_CONTROLLING_TERMINAL))
        terminal_acquire(terminal, file);
    atomic_fetch_and(&file->flags, ~(unsigned int)FILE_NO_CONTROLLING_TERMINAL);
}

static bool is_nonblocking(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NONBLOCK) != 0;
}

/* How reads wait: at least `minimum` bytes (canonical: a line), and when they give up. */
struct read_wait {
    bool canonical;
    size_t minimum_bytes;
    uint64_t deadline_ns;      /* of the first byte */
    uint64_t interval_ns;      /* between bytes; 0: none */
};

static void read_wait_begin(struct terminal *terminal, size_t wanted, struct read_wait *wait)
{
    const uint8_t *characters = terminal->settings.characters;
    uint64_t time_ns = characters[CHARACTER_TIME] * TENTH_OF_SECOND_NS;

    *wait = (struct read_wait){.minimum_bytes = 1, .deadline_ns = WAIT_FOREVER};
    spinlock_lock(&terminal->lock);
    wait->canonical = (terminal->settings.local & LOCAL_CANONICAL) != 0;
    if (!wait->canonical) {
        if (characters[CHARACTER_MINIMUM] == 0)
            wait->deadline_ns = time_ns ? clock_monotonic_ns() + time_ns : 0;
        else
            wait->interval_ns = time_ns;
        wait->minimum_bytes = minimum(maximum((size_t)characters[CHARACTER_MINIMUM], (size_t)1), wanted);
    }
    spinlock_unlock(&terminal->lock);
}

static bool has_input(struct terminal *terminal)
{
    spinlock_lock(&terminal->lock);
    bool ready = terminal_input_count(terminal) > 0 || terminal->hung_up;
    spinlock_unlock(&terminal->lock);
    return ready;
}

/* Copies what is there: bytes, or -EFAULT. *end: the line is over. */
static long read_present(struct terminal *terminal, struct io_vector *vector, bool *end)
{
    uint8_t bounce[BOUNCE_BYTES];
    long done = 0;

    *end = false;
    while (!*end && vector->remaining_bytes > 0) {
        spinlock_lock(&terminal->lock);
        size_t count = terminal_input_take(terminal, bounce, minimum(sizeof(bounce), vector->remaining_bytes), end);
        spinlock_unlock(&terminal->lock);
        if (count == 0)
            break;
        size_t moved = io_vector_put(vector, bounce, count);

        done += (long)moved;
        if (moved < count)
            return done > 0 ? done : -EFAULT;
    }
    if ((done > 0 || *end) && terminal->input_room)
        terminal->input_room(terminal);
    return done;
}

static long terminal_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct terminal *terminal = file->data;
    struct read_wait wait;
    long done = 0;
    bool end = false;

    if (vector->remaining_bytes == 0)
        return 0;
    read_wait_begin(terminal, vector->remaining_bytes, &wait);
    for (;;) {
        int error = terminal_check_job(terminal, SIGNAL_TERMINAL_IN);
        if (error)
            return done > 0 ? done : error;

        long moved = read_present(terminal, vector, &end);
        if (moved < 0)
            return done > 0 ? done : moved;
        done += moved;
        if (end || vector->remaining_bytes == 0 || (done > 0 && (wait.canonical || (size_t)done >= wait.minimum_bytes)))
            return done;
        if (read_once(terminal->hung_up))
            return done;
        if (is_nonblocking(file))
            return done > 0 ? done : -EAGAIN;
        if (done > 0 && wait.interval_ns != 0)
            wait.deadline_ns = clock_monotonic_ns() + wait.interval_ns;
        error = WAIT_UNTIL(&terminal->read_queue, has_input(terminal), wait.deadline_ns, WAIT_INTERRUPTIBLE);
        if (error == -ETIMEDOUT)
            return done;
        if (error)
            return done > 0 ? done : -ERESTARTSYS;
    }
}

/* Puts as much of the bytes as there is room for into the output ring; returns how many, or -EIO. */
static long write_present(struct terminal *terminal, const uint8_t *bytes, size_t length)
{
    size_t done = 0;

    spinlock_lock(&terminal->lock);
    if (terminal->hung_up) {
        spinlock_unlock(&terminal->lock);
        return -EIO;
    }
    for (;;) {
        while (done < length && terminal_output_byte(terminal, bytes[done]))
            done++;
        uint32_t room = terminal_output_room(terminal);
        terminal->start_output(terminal);
        if (done == length || terminal_output_room(terminal) == room)
            break;
    }
    spinlock_unlock(&terminal->lock);
    return (long)done;
}

static bool has_room(struct terminal *terminal)
{
    spinlock_lock(&terminal->lock);
    bool room = terminal_output_room(terminal) > OUTPUT_BYTES / 4 || terminal->hung_up;
    spinlock_unlock(&terminal->lock);
    return room;
}

static long terminal_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct terminal *terminal = file->data;
    uint8_t bounce[BOUNCE_BYTES];
    long done = 0;

    int error = terminal_check_job(terminal, SIGNAL_TERMINAL_OUT);
    if (error)
        return error;
    while (vector->remaining_bytes > 0) {
        size_t count = io_vector_get(vector, bounce, sizeof(bounce));
        if (count == 0)
            return done > 0 ? done : -EFAULT;

        long moved = write_present(terminal, bounce, count);
        if (moved < (long)count)
            io_vector_revert(vector, count - (size_t)maximum(moved, 0l));
        if (moved < 0)
            return done > 0 ? done : moved;
        done += moved;
        if (moved == (long)count)
            continue;
        if (is_nonblocking(file))
            return done > 0 ? done : -EAGAIN;
        if (WAIT_UNTIL(&terminal->write_queue, has_room(terminal), WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return done > 0 ? done : -ERESTARTSYS;
    }
    return done;
}

static uint32_t terminal_poll(struct file *file, struct poll_table *table)
{
    struct terminal *terminal = file->data;
    uint32_t ready = 0;

    poll_wait(table, &terminal->read_queue);
    poll_wait(table, &terminal->write_queue);
    spinlock_lock(&terminal->lock);
    const uint8_t *characters = terminal->settings.characters;
    bool by_count = !(terminal->settings.local & LOCAL_CANONICAL) && characters[CHARACTER_TIME] == 0;
    size_t needed = by_count ? maximum((size_t)characters[CHARACTER_MINIMUM], (size_t)1) : 1;
    if (terminal_input_count(terminal) >= needed)
        ready |= POLL_IN | POLL_READ_NORMAL;
    if (terminal->hung_up)
        ready |= POLL_IN | POLL_READ_NORMAL | POLL_OUT | POLL_WRITE_NORMAL | POLL_HANGUP | POLL_ERROR;
    else if (terminal_output_room(terminal) > OUTPUT_BYTES / 4)
        ready |= POLL_OUT | POLL_WRITE_NORMAL;
    spinlock_unlock(&terminal->lock);
    return ready;
}

static long terminal_file_ioctl(struct file *file, unsigned int command, uint64_t argument)
{
    return terminal_ioctl(file->data, file, command, argument, false);
}

static void terminal_release(struct file *file)
{
    terminal_put(file->data);
}

static const struct file_operations terminal_operations = {
    .read = terminal_read,
    .write = terminal_write,
    .poll = terminal_poll,
    .ioctl = terminal_file_ioctl,
    .release = terminal_release,
    .anonymous_mode = MODE_CHARACTER | 0620,
};
