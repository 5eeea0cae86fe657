/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pseudo-terminals: the line of the slave's terminal ends in a master file. What the master writes is the terminal's input,
 * what the terminal puts out the master reads.
 *
 * A pty's number is free again when both sides are closed. Lock order: ptys_lock (a mutex) > terminal->lock.
 */
#include "kernel/vfs/pty.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/terminal_line.h"
#include "xen/x86/user_access.h"

#define PTY_LIMIT 1024
#define PTY_GROUP 5 /* tty */
#define BOUNCE_BYTES 512
#define TIOCPKT 0x5420u
#define TIOCGPTN 0x80045430u
#define TIOCSPTLCK 0x40045431u
#define TIOCSIG 0x40045436u
#define TIOCGPKT 0x80045438u
#define TIOCGPTLCK 0x80045439u
#define TIOCINQ 0x541bu
#define SIGNAL_LAST 64

/* Locks: p ptys_lock; l terminal.lock; f fixed. */
struct pty {
    struct terminal terminal;
    int number;                     /* f */
    struct wait_queue master_queue; /* master's readers and writers */
    unsigned int slaves;            /* l open slave files */
    bool slave_opened;              /* l since it was made */
    bool master_open;               /* l */
    bool locked;                    /* l until unlockpt() */
    bool packets;                   /* l TIOCPKT: each read of the master begins with a byte of state */
    uint32_t uid, gid, mode;        /* p of /dev/pts/N */
};

/* A slave file: its own operations wrap the terminal's, to count slaves. */
static struct mutex ptys_lock = MUTEX_INITIALIZER(ptys_lock, "ptys", 0);
static struct pty *ptys[PTY_LIMIT]; /* ptys_lock */
static const struct file_operations master_operations;

static struct pty *pty_of(struct terminal *terminal)
{
    return container_of(terminal, struct pty, terminal);
}

/* With the terminal's lock held: the master may read. */
static void pty_start_output(struct terminal *terminal)
{
    if (!terminal->stopped && terminal->output_head != terminal->output_tail)
        wait_queue_wake_all(&pty_of(terminal)->master_queue, POLL_IN | POLL_READ_NORMAL);
}

static void pty_input_room(struct terminal *terminal)
{
    wait_queue_wake_all(&pty_of(terminal)->master_queue, POLL_OUT | POLL_WRITE_NORMAL);
}

static void pty_destroy(struct terminal *terminal)
{
    struct pty *pty = pty_of(terminal);

    mutex_lock(&ptys_lock);
    ptys[pty->number] = NULL;
    mutex_unlock(&ptys_lock);
    memory_free(pty);
}

static int pty_create(const struct file *file, struct pty **result)
{
    struct pty *pty = memory_allocate(sizeof(*pty));
    int number;

    if (!pty)
        return -ENOMEM;
    memset(pty, 0, sizeof(*pty));
    wait_queue_init(&pty->master_queue);
    pty->locked = pty->master_open = true;
    pty->uid = file->credentials ? file->credentials->fsuid : 0;
    pty->gid = PTY_GROUP;
    pty->mode = 0620;

    mutex_lock(&ptys_lock);
    for (number = 0; number < PTY_LIMIT && ptys[number]; number++)
        ;
    if (number == PTY_LIMIT) {
        mutex_unlock(&ptys_lock);
        memory_free(pty);
        return -ENOSPC;
    }
    pty->number = number;
    terminal_setup(&pty->terminal, DEVICE_NUMBER(PTY_MAJOR, (unsigned int)number));
    pty->terminal.start_output = pty_start_output;
    pty->terminal.input_room = pty_input_room;
    pty->terminal.destroy = pty_destroy;
    ptys[number] = pty;
    mutex_unlock(&ptys_lock);
    *result = pty;
    return 0;
}

int pty_open_master(struct file *file)
{
    struct pty *pty;
    int error = pty_create(file, &pty);

    if (error)
        return error;
    file->operations = &master_operations;
    file->data = pty;
    return 0;
}

/* The pty of a number, referenced, or NULL. */
static struct pty *pty_find(int number)
{
    struct pty *pty = NULL;

    if (number < 0 || number >= PTY_LIMIT)
        return NULL;
    mutex_lock(&ptys_lock);
    if (ptys[number] && reference_take_if_alive(&ptys[number]->terminal.reference))
        pty = ptys[number];
    mutex_unlock(&ptys_lock);
    return pty;
}

/* Runs in place of a slave file's release: the last one's end is what the master reads as the end. */
static void slave_released(struct file_watch *watch, struct file *file)
{
    struct pty *pty = pty_of(file->data);

    spinlock_lock(&pty->terminal.lock);
    bool last = --pty->slaves == 0;
    spinlock_unlock(&pty->terminal.lock);
    if (last)
        wait_queue_wake_all(&pty->master_queue, POLL_IN | POLL_READ_NORMAL | POLL_HANGUP);
    memory_free(watch);
}

/* Takes over the reference. */
static int slave_open(struct pty *pty, struct file *file)
{
    struct file_watch *watch = memory_allocate(sizeof(*watch));
    int error = watch ? 0 : -ENOMEM;

    spinlock_lock(&pty->terminal.lock);
    if (!error && (pty->locked || !pty->master_open || pty->terminal.hung_up))
        error = -EIO;
    if (!error && pty->terminal.exclusive && !credentials_capable(file->credentials, CAPABILITY_SYS_ADMIN))
        error = -EBUSY;
    if (!error) {
        pty->slaves++;
        pty->slave_opened = true;
    }
    spinlock_unlock(&pty->terminal.lock);
    if (error) {
        memory_free(watch);
        terminal_put(&pty->terminal);
        return error;
    }
    *watch = (struct file_watch){.released = slave_released};
    list_init(&watch->link);
    file_watch_add(file, watch);
    terminal_open_file(&pty->terminal, file);
    return 0;
}

int pty_open_slave(int number, struct file *file)
{
    struct pty *pty = pty_find(number);

    return pty ? slave_open(pty, file) : -ENXIO;
}

static bool is_nonblocking(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NONBLOCK) != 0;
}

/* What the master could read. Lock held. */
static size_t master_readable(struct pty *pty)
{
    return pty->terminal.stopped ? 0 : pty->terminal.output_head - pty->terminal.output_tail;
}

/* All slaves were closed after one was open: end of file comes as EIO. Lock held. */
static bool master_at_end(struct pty *pty)
{
    return pty->slave_opened && pty->slaves == 0;
}

static bool master_may_read(struct pty *pty)
{
    spinlock_lock(&pty->terminal.lock);
    bool may = master_readable(pty) > 0 || master_at_end(pty);
    spinlock_unlock(&pty->terminal.lock);
    return may;
}

/* Bytes moved, -EFAULT, -EAGAIN (nothing there), -EIO (the end). */
static long master_read_present(struct pty *pty, struct io_vector *vector)
{
    uint8_t bounce[BOUNCE_BYTES];
    long done = 0;

    while (vector->remaining_bytes > 0) {
        const uint8_t *bytes;

        spinlock_lock(&pty->terminal.lock);
        size_t length = master_readable(pty) ? terminal_output_peek(&pty->terminal, &bytes) : 0;
        bool prefix = pty->packets && done == 0 && length > 0;
        bool ended = length == 0 && master_at_end(pty);
        length = minimum(minimum(length, sizeof(bounce) - prefix), vector->remaining_bytes - prefix);
        bounce[0] = 0; /* TIOCPKT_DATA */
        if (length > 0)
            memcpy(bounce + prefix, bytes, length);
        terminal_output_consume(&pty->terminal, length);
        spinlock_unlock(&pty->terminal.lock);
        if (length == 0 && !prefix)
            return done > 0 ? done : ended ? -EIO : -EAGAIN;

        size_t moved = io_vector_put(vector, bounce, length + prefix);
        done += (long)moved;
        if (moved < length + prefix)
            return done > 0 ? done : -EFAULT;
    }
    return done;
}

static long master_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct pty *pty = file->data;

    if (vector->remaining_bytes == 0)
        return 0;
    for (;;) {
        long done = master_read_present(pty, vector);

        if (done > 0)
            wait_queue_wake_all(&pty->terminal.write_queue, POLL_OUT | POLL_WRITE_NORMAL);
        if (done != -EAGAIN || is_nonblocking(file))
            return done;
        if (WAIT_UNTIL(&pty->master_queue, master_may_read(pty), WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return -ERESTARTSYS;
    }
}

static bool master_may_write(struct pty *pty)
{
    spinlock_lock(&pty->terminal.lock);
    bool may = pty->terminal.input_head - pty->terminal.input_tail < INPUT_BYTES / 2;
    spinlock_unlock(&pty->terminal.lock);
    return may;
}

static long master_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct pty *pty = file->data;
    uint8_t bounce[BOUNCE_BYTES];
    long done = 0;

    while (vector->remaining_bytes > 0) {
        spinlock_lock(&pty->terminal.lock);
        bool ended = master_at_end(pty);
        spinlock_unlock(&pty->terminal.lock);
        if (ended)
            return done > 0 ? done : -EIO;

        size_t count = io_vector_get(vector, bounce, sizeof(bounce));
        if (count == 0)
            return done > 0 ? done : -EFAULT;
        size_t taken = terminal_input(&pty->terminal, bounce, count);
        io_vector_revert(vector, count - taken);
        done += (long)taken;
        if (taken == count)
            continue;
        if (is_nonblocking(file))
            return done > 0 ? done : -EAGAIN;
        if (WAIT_UNTIL(&pty->master_queue, master_may_write(pty), WAIT_FOREVER, WAIT_INTERRUPTIBLE))
            return done > 0 ? done : -ERESTARTSYS;
    }
    return done;
}

static uint32_t master_poll(struct file *file, struct poll_table *table)
{
    struct pty *pty = file->data;
    uint32_t ready = 0;

    poll_wait(table, &pty->master_queue);
    spinlock_lock(&pty->terminal.lock);
    if (master_readable(pty) > 0)
        ready |= POLL_IN | POLL_READ_NORMAL;
    if (master_at_end(pty))
        ready |= POLL_HANGUP;
    if (pty->terminal.input_head - pty->terminal.input_tail < INPUT_BYTES / 2)
        ready |= POLL_OUT | POLL_WRITE_NORMAL;
    spinlock_unlock(&pty->terminal.lock);
    return ready;
}

static long set_flag(struct pty *pty, bool *flag, uint64_t argument)
{
    int32_t value;

    if (user_load(&value, argument))
        return -EFAULT;
    spinlock_lock(&pty->terminal.lock);
    *flag = value != 0;
    spinlock_unlock(&pty->terminal.lock);
    return 0;
}

static long tell_int(uint64_t argument, int32_t value)
{
    return user_store(argument, &value);
}

static long master_ioctl(struct file *file, unsigned int command, uint64_t argument)
{
    struct pty *pty = file->data;

    switch (command) {
    case TIOCGPTN:
        return tell_int(argument, pty->number);
    case TIOCSPTLCK:
        return set_flag(pty, &pty->locked, argument);
    case TIOCGPTLCK:
        return tell_int(argument, read_once(pty->locked));
    case TIOCPKT:
        return set_flag(pty, &pty->packets, argument);
    case TIOCGPKT:
        return tell_int(argument, read_once(pty->packets));
    case TIOCINQ: {
        spinlock_lock(&pty->terminal.lock);
        int32_t count = (int32_t)master_readable(pty);
        spinlock_unlock(&pty->terminal.lock);
        return tell_int(argument, count);
    }
    case TIOCSIG:
        if (argument < 1 || argument > SIGNAL_LAST)
            return -EINVAL;
        if (read_once(pty->terminal.group_id) != 0)
            vfs_process->signal_group(read_once(pty->terminal.group_id), (int)argument);
        return 0;
    default:
        return terminal_ioctl(&pty->terminal, file, command, argument, true);
    }
}

static void master_release(struct file *file)
{
    struct pty *pty = file->data;

    spinlock_lock(&pty->terminal.lock);
    pty->master_open = false;
    spinlock_unlock(&pty->terminal.lock);
    terminal_hang_up(&pty->terminal);
    terminal_put(&pty->terminal);
}

static const struct file_operations master_operations = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .release = master_release,
    .anonymous_mode = MODE_CHARACTER | 0620,
};

int pty_open_peer(struct file *master, unsigned int flags, struct file **slave)
{
    static const struct file_operations none = {0};

    if (master->operations != &master_operations)
        return -ENOTTY;
    int error = file_create_anonymous(&none, NULL, flags, master->credentials, slave);
    if (error)
        return error;
    struct pty *pty = master->data;
    terminal_take(&pty->terminal);
    error = slave_open(pty, *slave);
    if (error)
        file_release(*slave);
    return error;
}

/* A pty is listed while its master is open. */
int pty_next(int from)
{
    int found = -1;

    mutex_lock(&ptys_lock);
    for (int number = maximum(from, 0); number < PTY_LIMIT && found < 0; number++)
        if (ptys[number] && read_once(ptys[number]->master_open))
            found = number;
    mutex_unlock(&ptys_lock);
    return found;
}

int pty_attributes(int number, uint32_t *uid, uint32_t *gid, uint32_t *mode)
{
    int error = -ENOENT;

    mutex_lock(&ptys_lock);
    if (number >= 0 && number < PTY_LIMIT && ptys[number] && read_once(ptys[number]->master_open)) {
        *uid = ptys[number]->uid;
        *gid = ptys[number]->gid;
        *mode = ptys[number]->mode;
        error = 0;
    }
    mutex_unlock(&ptys_lock);
    return error;
}

int pty_set_attributes(int number, uint32_t uid, uint32_t gid, uint32_t mode)
{
    int error = -ENOENT;

    mutex_lock(&ptys_lock);
    if (number >= 0 && number < PTY_LIMIT && ptys[number]) {
        ptys[number]->uid = uid;
        ptys[number]->gid = gid;
        ptys[number]->mode = mode & 07777;
        error = 0;
    }
    mutex_unlock(&ptys_lock);
    return error;
}
