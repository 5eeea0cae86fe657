/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's console, as raw bytes.
 *
 * guest --> ring (shared page) --> xenconsoled --> pty --> console_take() --> stdout and the log file.
 * The pty is opened while the guest is still paused, so that nothing is lost. When the guest has ended, its ring tells whether
 * xenconsoled has taken everything; only then is a short silence of the pty believed. Carriage returns before line feeds,
 * which guests send for terminals, are dropped: the output is the program's.
 */
#include "tools/dom0-agent/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>
#include <xen/io/console.h>

#include "tools/base/report.h"
#include "tools/base/text.h"

#define TTY_WAIT_MS 10000
#define DRAIN_MS 3000
#define SILENCE_MS 60
#define LOG_BLOCK 32768

/* Opens the pty; xenconsoled names it in xenstore a little after the guest was made. */
static int tty_open(const struct domain *domain)
{
    for (int waited_ms = 0; waited_ms < TTY_WAIT_MS; waited_ms += 5) {
        char *path = domain_read(domain, "console/tty");
        if (path != NULL && path[0] == '/') {
            int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
            free(path);
            return fd < 0 ? -errno : fd;
        }
        free(path);
        usleep(5000);
    }
    return -ETIMEDOUT;
}

static void ring_map(struct console *console, const struct domain *domain)
{
    char *reference = domain_read(domain, "console/ring-ref");

    console->foreign_memory = xenforeignmemory_open(NULL, 0);
    if (reference != NULL && console->foreign_memory != NULL) {
        const xen_pfn_t frame = strtoul(reference, NULL, 10);
        console->ring = xenforeignmemory_map(console->foreign_memory, domain->id, PROT_READ, 1, &frame, NULL);
    }
    free(reference);
}

int console_open(struct console *console, const struct domain *domain, const char *log_path, bool echo)
{
    struct termios raw;

    *console = (struct console){.log_fd = -1, .echo = echo};
    console->tty_fd = tty_open(domain);
    if (console->tty_fd < 0)
        return report_error(console->tty_fd, "xenconsoled has no console for the guest %s", domain->name);
    if (tcgetattr(console->tty_fd, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(console->tty_fd, TCSANOW, &raw);
    }
    if (log_path != NULL) {
        console->log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (console->log_fd < 0)
            report_error(-errno, "cannot write the console's log %s", log_path);
    }
    ring_map(console, domain);
    return 0;
}

static void put_whole(int fd, const char *bytes, size_t length)
{
    while (fd >= 0 && length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return;
        bytes += put;
        length -= (size_t)put;
    }
}

/* The log is on 9p, where a small write costs as much as a large one: it is written in blocks, and when nothing else happens. */
void console_log_flush(struct console *console)
{
    if (console->log.length > 0)
        put_whole(console->log_fd, console->log.bytes, console->log.length);
    text_clear(&console->log);
}

/* Moves what the pty holds now. Returns the number of bytes, 0 when there are none, a negative errno when it is gone. */
int console_take(struct console *console)
{
    char raw[8192];
    char clean[sizeof(raw) + 1];
    size_t length = 0;

    ssize_t got = read(console->tty_fd, raw, sizeof(raw));
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (got == 0)
        return -EIO;
    for (ssize_t i = 0; i < got; i++) {
        if (console->held_cr && raw[i] != '\n')
            clean[length++] = '\r';
        console->held_cr = raw[i] == '\r';
        if (!console->held_cr)
            clean[length++] = raw[i];
    }
    text_add(&console->log, clean, length);
    if (console->log.length >= LOG_BLOCK)
        console_log_flush(console);
    if (console->echo)
        put_whole(STDOUT_FILENO, clean, length);
    return (int)got;
}

/* Input for the guest. What the pty does not take is lost, as typed characters are. */
void console_give(const struct console *console, const void *bytes, size_t length)
{
    ssize_t put = write(console->tty_fd, bytes, length);

    (void)put;
}

static bool ring_is_empty(const struct console *console)
{
    const volatile struct xencons_interface *ring = console->ring;

    return ring == NULL || ring->out_cons == ring->out_prod;
}

/* After the guest's end: takes what is still under way. */
void console_drain(struct console *console)
{
    double end = report_seconds_now() + DRAIN_MS / 1000.0;
    bool was_empty = false;

    while (report_seconds_now() < end) {
        struct pollfd wait = {.fd = console->tty_fd, .events = POLLIN};
        bool empty = ring_is_empty(console);
        poll(&wait, 1, SILENCE_MS);
        int taken = console_take(console);
        if (taken < 0 || (taken == 0 && empty && was_empty))
            break;
        was_empty = empty && taken == 0;
    }
    if (console->held_cr) {
        text_add(&console->log, "\r", 1);
        if (console->echo)
            put_whole(STDOUT_FILENO, "\r", 1);
        console->held_cr = false;
    }
    console_log_flush(console);
}

void console_close(struct console *console)
{
    if (console->ring != NULL)
        xenforeignmemory_unmap(console->foreign_memory, console->ring, 1);
    if (console->foreign_memory != NULL)
        xenforeignmemory_close(console->foreign_memory);
    if (console->tty_fd >= 0)
        close(console->tty_fd);
    console_log_flush(console);
    text_free(&console->log);
    if (console->log_fd >= 0)
        close(console->log_fd);
}
