/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals' ioctls (Linux's numbers and layouts), and job control: whose terminal it is, who is in front.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/terminal_line.h"
#include "xen/machine/clock.h"
#include "xen/x86/user_access.h"

#define SIGNAL_TERMINAL_OUT 22
#define SIGNAL_WINDOW 28

enum { TCGETS = 0x5401, TCSETS, TCSETSW, TCSETSF, TCSBRK = 0x5409, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCGPGRP,
       TIOCSPGRP, TIOCOUTQ, TIOCSTI, TIOCGWINSZ, TIOCSWINSZ, TIOCMGET, TIOCINQ = 0x541b, TIOCNOTTY = 0x5422, TIOCSETD, TIOCGETD,
       TCSBRKP, TIOCGSID = 0x5429 };
#define TCGETS2 0x802c542au
#define TCSETS2 0x402c542bu
#define TCSETSW2 0x402c542cu
#define TCSETSF2 0x402c542du
#define TIOCGDEV 0x80045432u
#define TIOCGEXCL 0x80045440u
#define TIOCVHANGUP 0x5437u

/* CBAUD's codes. */
static const uint32_t speeds[] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
static const uint32_t high_speeds[] = {0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000,
                                       2000000, 2500000, 3000000, 3500000, 4000000};
#define CONTROL_SPEED 0xfu
#define CONTROL_SPEED_HIGH 0x1000u

int terminal_check_job(struct terminal *terminal, int signal)
{
    struct process_identity self;

    if (!vfs_process->identity(&self))
        return 0;
    spinlock_lock(&terminal->lock);
    bool background = terminal->session_id != 0 && terminal->session_id == self.session_id && terminal->group_id != 0 &&
                      terminal->group_id != self.group_id;
    if (signal == SIGNAL_TERMINAL_OUT && !(terminal->settings.local & LOCAL_STOP))
        background = false;
    spinlock_unlock(&terminal->lock);
    if (!background)
        return 0;
    if (vfs_process->signal_ignored(signal))
        return signal == SIGNAL_TERMINAL_OUT ? 0 : -EIO;
    if (vfs_process->group_orphaned(self.group_id))
        return -EIO;
    vfs_process->signal_group(self.group_id, signal);
    return -ERESTARTSYS;
}

void terminal_acquire(struct terminal *terminal, struct file *file)
{
    struct process_identity self;

    if (!vfs_process->identity(&self) || self.pid != self.session_id || !file->readable)
        return;
    struct terminal *own = terminal_find_session(self.session_id);
    if (own) {
        terminal_put(own);
        return;
    }
    spinlock_lock(&terminal->lock);
    if (terminal->session_id == 0) {
        terminal->session_id = self.session_id;
        terminal->group_id = self.group_id;
    }
    spinlock_unlock(&terminal->lock);
}

/* TIOCSCTTY. */
static long make_controlling(struct terminal *terminal, struct file *file, bool steal)
{
    struct process_identity self;
    long result = 0;

    if (!vfs_process->identity(&self) || self.pid != self.session_id)
        return -EPERM;
    struct terminal *own = terminal_find_session(self.session_id);
    if (own) {
        terminal_put(own);
        return own == terminal ? 0 : -EPERM;
    }
    spinlock_lock(&terminal->lock);
    if (terminal->session_id != 0 && !(steal && credentials_capable(file->credentials, CAPABILITY_SYS_ADMIN))) {
        result = -EPERM;
    } else {
        terminal->session_id = self.session_id;
        terminal->group_id = self.group_id;
    }
    spinlock_unlock(&terminal->lock);
    return result;
}

/* TIOCNOTTY. */
static long give_up(struct terminal *terminal)
{
    struct process_identity self;

    if (!vfs_process->identity(&self) || read_once(terminal->session_id) != self.session_id)
        return -ENOTTY;
    if (self.pid == self.session_id)
        terminal_session_ended(self.session_id);
    return 0;
}

/* Of the caller's own terminal only, but for the master side of a pty. */
static long get_group(struct terminal *terminal, uint64_t argument, bool session, bool master)
{
    struct process_identity self = {0};

    bool own = vfs_process->identity(&self) && read_once(terminal->session_id) == self.session_id && self.session_id != 0;
    if (!own && !master)
        return -ENOTTY;
    int32_t answer = session ? read_once(terminal->session_id) : read_once(terminal->group_id);
    if (session && answer == 0)
        return -ENOTTY;
    return user_store(argument, &answer);
}

static long set_group(struct terminal *terminal, uint64_t argument)
{
    struct process_identity self;
    int32_t group_id;

    if (!vfs_process->identity(&self) || read_once(terminal->session_id) != self.session_id || self.session_id == 0)
        return -ENOTTY;
    /* A background group that takes the front is stopped, unless it ignores that. */
    if (read_once(terminal->group_id) != 0 && read_once(terminal->group_id) != self.group_id &&
        !vfs_process->signal_ignored(SIGNAL_TERMINAL_OUT)) {
        if (vfs_process->group_orphaned(self.group_id))
            return -EIO;
        vfs_process->signal_group(self.group_id, SIGNAL_TERMINAL_OUT);
        return -ERESTARTSYS;
    }
    if (user_load(&group_id, argument))
        return -EFAULT;
    if (group_id < 0)
        return -EINVAL;
    if (!vfs_process->group_in_session(group_id, self.session_id))
        return -EPERM;
    spinlock_lock(&terminal->lock);
    terminal->group_id = group_id;
    spinlock_unlock(&terminal->lock);
    return 0;
}

static void read_speeds(struct terminal_settings *settings)
{
    uint32_t code = settings->control & CONTROL_SPEED;

    if (settings->control & CONTROL_SPEED_HIGH) {
        if (code == 0) /* BOTHER: the speeds are given as numbers */
            return;
        settings->output_speed = high_speeds[code];
    } else {
        settings->output_speed = speeds[code];
    }
    settings->input_speed = settings->output_speed;
}

static bool output_is_gone(struct terminal *terminal)
{
    spinlock_lock(&terminal->lock);
    bool gone = terminal->output_head == terminal->output_tail || terminal->hung_up;
    spinlock_unlock(&terminal->lock);
    return gone;
}

static int drain(struct terminal *terminal)
{
    return WAIT_UNTIL(&terminal->write_queue, output_is_gone(terminal), WAIT_FOREVER, WAIT_INTERRUPTIBLE) ? -ERESTARTSYS : 0;
}

static long get_settings(struct terminal *terminal, uint64_t argument, size_t size_bytes)
{
    spinlock_lock(&terminal->lock);
    struct terminal_settings settings = terminal->settings;
    spinlock_unlock(&terminal->lock);
    return user_copy_out(argument, &settings, size_bytes);
}

static long set_settings(struct terminal *terminal, uint64_t argument, size_t size_bytes, bool wait, bool flush)
{
    struct terminal_settings settings;

    spinlock_lock(&terminal->lock);
    settings = terminal->settings;
    spinlock_unlock(&terminal->lock);
    if (user_copy_in(&settings, argument, size_bytes))
        return -EFAULT;
    read_speeds(&settings);
    if (wait) {
        int error = drain(terminal);
        if (error)
            return error;
    }
    spinlock_lock(&terminal->lock);
    uint32_t old_local = terminal->settings.local;
    if (flush)
        terminal_input_flush(terminal);
    terminal->settings = settings;
    if (!(settings.input & INPUT_XON))
        terminal->stopped = false;
    terminal_settings_changed(terminal, old_local);
    terminal->start_output(terminal);
    spinlock_unlock(&terminal->lock);
    wait_queue_wake_all(&terminal->read_queue, 0);
    return 0;
}

static long set_window(struct terminal *terminal, uint64_t argument)
{
    struct terminal_window window;

    if (user_load(&window, argument))
        return -EFAULT;
    spinlock_lock(&terminal->lock);
    bool changed = memcmp(&terminal->window, &window, sizeof(window)) != 0;
    terminal->window = window;
    int group_id = terminal->group_id;
    spinlock_unlock(&terminal->lock);
    if (changed && group_id != 0)
        vfs_process->signal_group(group_id, SIGNAL_WINDOW);
    return 0;
}

/* TCFLSH: 0 input, 1 output, 2 both. */
static long flush(struct terminal *terminal, uint64_t which)
{
    if (which > 2)
        return -EINVAL;
    spinlock_lock(&terminal->lock);
    if (which != 1)
        terminal_input_flush(terminal);
    if (which != 0)
        terminal_output_flush(terminal);
    spinlock_unlock(&terminal->lock);
    wait_queue_wake_all(&terminal->write_queue, POLL_OUT | POLL_WRITE_NORMAL);
    if (terminal->input_room)
        terminal->input_room(terminal);
    return 0;
}

/* TCXONC: 0 stop output, 1 start it; 2 and 3 would send the characters to the other side. */
static long flow(struct terminal *terminal, uint64_t what)
{
    if (what > 3)
        return -EINVAL;
    spinlock_lock(&terminal->lock);
    if (what < 2)
        terminal->stopped = what == 0;
    else
        terminal_output_raw(terminal, terminal->settings.characters[what == 2 ? CHARACTER_STOP : CHARACTER_START]);
    terminal->start_output(terminal);
    spinlock_unlock(&terminal->lock);
    return 0;
}

static long push_byte(struct terminal *terminal, struct file *file, uint64_t argument)
{
    uint8_t byte;

    if (!credentials_capable(file->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    if (user_load(&byte, argument))
        return -EFAULT;
    terminal_input(terminal, &byte, 1);
    return 0;
}

static long tell_count(struct terminal *terminal, uint64_t argument, bool output)
{
    spinlock_lock(&terminal->lock);
    int32_t count = (int32_t)(output ? OUTPUT_BYTES - terminal_output_room(terminal) : terminal_input_count(terminal));
    spinlock_unlock(&terminal->lock);
    return user_store(argument, &count);
}

static long tell_int(uint64_t argument, int32_t value)
{
    return user_store(argument, &value);
}

/* Settings, in the three ways of setting and two layouts. */
static long settings_ioctl(struct terminal *terminal, unsigned int command, uint64_t argument)
{
    switch (command) {
    case TCGETS:
        return get_settings(terminal, argument, TERMIOS_BYTES);
    case TCGETS2:
        return get_settings(terminal, argument, sizeof(struct terminal_settings));
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_settings(terminal, argument, TERMIOS_BYTES, command != TCSETS, command == TCSETSF);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
        return set_settings(terminal, argument, sizeof(struct terminal_settings), command != TCSETS2, command == TCSETSF2);
    case TIOCGWINSZ: {
        spinlock_lock(&terminal->lock);
        struct terminal_window window = terminal->window;
        spinlock_unlock(&terminal->lock);
        return user_store(argument, &window);
    }
    case TIOCSWINSZ:
        return set_window(terminal, argument);
    default:
        return -ENOTTY;
    }
}

long terminal_ioctl(struct terminal *terminal, struct file *file, unsigned int command, uint64_t argument, bool master)
{
    if (read_once(terminal->hung_up) && !master)
        return -EIO;
    switch (command) {
    case TIOCSCTTY:
        return make_controlling(terminal, file, argument == 1);
    case TIOCNOTTY:
        return give_up(terminal);
    case TIOCGPGRP:
        return get_group(terminal, argument, false, master);
    case TIOCGSID:
        return get_group(terminal, argument, true, master);
    case TIOCSPGRP:
        return set_group(terminal, argument);
    case TCFLSH:
        return flush(terminal, argument);
    case TCXONC:
        return flow(terminal, argument);
    case TCSBRK:
    case TCSBRKP:
        return drain(terminal);
    case TIOCSTI:
        return push_byte(terminal, file, argument);
    case TIOCOUTQ:
    case TIOCINQ:
        return tell_count(terminal, argument, command == TIOCOUTQ);
    case TIOCEXCL:
    case TIOCNXCL:
        write_once(terminal->exclusive, command == TIOCEXCL);
        return 0;
    case TIOCGEXCL:
        return tell_int(argument, read_once(terminal->exclusive));
    case TIOCGETD:
        return tell_int(argument, 0);
    case TIOCSETD: {
        int32_t discipline;
        return user_load(&discipline, argument) ? -EFAULT : discipline == 0 ? 0 : -EINVAL;
    }
    case TIOCGDEV:
        return tell_int(argument, (int32_t)terminal->device);
    case TIOCVHANGUP:
        if (!credentials_capable(file->credentials, CAPABILITY_SYS_ADMIN))
            return -EPERM;
        terminal_hang_up(terminal);
        return 0;
    default:
        return settings_ioctl(terminal, command, argument);
    }
}
