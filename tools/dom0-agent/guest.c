/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith-guest: runs one guest in dom0, from creation to what it left behind.
 *
 *   usage: xenolith-guest NAME DIRECTORY [OPTION]...        DIRECTORY holds guest.cfg, gets console.log and result
 *     --disk SERIAL     wait for this disk (plugged into the lab's QEMU) and name it /dev/xenolith/SERIAL
 *     --stage FILE      copy DIRECTORY/FILE to /run/xenolith/guests/NAME/FILE first, where the configuration expects it: xl reads
 *                       files in small blocks, each of which costs milliseconds over 9p
 *     --publish H:G     serve 127.0.0.1:H of this machine from the guest's port G (a Xen host; in the lab QEMU does it)
 *     --timeout SECONDS end the guest after this time        --input   standard input goes to the guest's console
 *     --detach          return once the guest runs, and watch it in the background
 *     --symbols FILE    System.map of the guest's kernel, for the registers shown when it crashes
 *
 * The tool outside starts it through the lab's control channel, or directly on a Xen host. One poll loop follows the console,
 * xenstore's news of ended domains, the time-out and signals. Whatever ends the loop, the guest is destroyed and its result
 * written. Exit status 0 when the guest ran and ended by itself or by a signal or the time-out; 125 when it could not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/base/text.h"
#include "tools/dom0-agent/console.h"
#include "tools/dom0-agent/disk.h"
#include "tools/dom0-agent/domain.h"
#include "tools/dom0-agent/forward.h"
#include "tools/dom0-agent/result.h"

#define LOG_IDLE_MS 200
/* After the guest has said that its program starts; Linux's console misses what comes in that very moment. */
#define INPUT_AFTER_SECONDS 0.5
#define INPUT_CHECK_MS 50
#define STAGE "/run/xenolith/guests"

struct guest {
    const char *directory;
    const char *symbols;
    struct text_list disks;
    struct text_list staged;
    struct text_list publish;
    char *address_path; /* where the forwarders find the guest's address */
    bool address_known;
    long timeout_seconds;
    bool detach;
    bool input;
    bool input_open; /* the guest has shown life: Linux hangs when input waits for it while it starts */
    double input_seconds; /* when input_open becomes true; 0: not known yet */
    int detach_fd;
    struct domain domain;
    struct console console;
    struct result_times times;
    struct domain_usage usage;
};

static int options_parse(struct guest *guest, int count, char **arguments, const char **name)
{
    static const struct option options[] = {
        {"disk", required_argument, NULL, 'd'}, {"stage", required_argument, NULL, 'g'}, {"publish", required_argument, NULL, 'p'}, {"timeout", required_argument, NULL, 't'},
        {"symbols", required_argument, NULL, 's'}, {"detach", no_argument, NULL, 'b'},
        {"input", no_argument, NULL, 'i'}, {0}};
    int option;

    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'd')
            text_list_add(&guest->disks, optarg);
        else if (option == 'g')
            text_list_add(&guest->staged, optarg);
        else if (option == 'p')
            text_list_add(&guest->publish, optarg);
        else if (option == 's')
            guest->symbols = optarg;
        else if (option == 'b')
            guest->detach = true;
        else if (option == 'i')
            guest->input = true;
        else if (option != 't' || text_number(optarg, 0, 1000000000, &guest->timeout_seconds) < 0)
            return report_error(0, "usage: xenolith-guest NAME DIRECTORY [--disk SERIAL]... [--timeout SECONDS] [--input] "
                                   "[--detach] [--symbols FILE]");
    }
    if (count - optind != 2)
        return report_error(0, "a name and a directory are wanted");
    *name = arguments[optind];
    guest->directory = arguments[optind + 1];
    return 0;
}

static int signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int guest_stage(const struct guest *guest)
{
    char *directory = text_join(STAGE "/%s", guest->domain.name);
    int error = guest->staged.count > 0 ? directory_make(directory) : 0;

    for (size_t i = 0; error == 0 && i < guest->staged.count; i++) {
        char *from = text_join("%s/%s", guest->directory, guest->staged.items[i]);
        char *to = text_join("%s/%s", directory, guest->staged.items[i]);
        error = file_copy(from, to);
        free(to);
        free(from);
    }
    if (error < 0)
        report_error(error, "cannot copy the guest's files to %s", directory);
    free(directory);
    return error;
}

static void guest_unstage(const struct guest *guest)
{
    char *directory = text_join(STAGE "/%s", guest->domain.name);

    if (guest->staged.count > 0)
        tree_remove(directory);
    free(directory);
}

static int watches_set(struct guest *guest)
{
    char *path = text_join("/local/domain/%u/data/xenolith", guest->domain.id);
    bool set = xs_watch(guest->domain.store, "@releaseDomain", "release") && xs_watch(guest->domain.store, path, "data");

    free(path);
    return set ? 0 : report_error(-errno, "cannot watch xenstore");
}

static int guest_create(struct guest *guest)
{
    char *config = text_join("%s/guest.cfg", guest->directory);
    char *log = text_join("%s/console.log", guest->directory);
    int error = guest_stage(guest);

    for (size_t i = 0; error == 0 && i < guest->disks.count; i++)
        error = disk_await(guest->disks.items[i]);
    guest->times.create_ns = result_now_ns();
    if (error == 0)
        error = domain_create_paused(&guest->domain, config);
    if (error == 0)
        error = console_open(&guest->console, &guest->domain, log, !guest->detach);
    if (error == 0)
        error = watches_set(guest);
    if (error == 0) {
        guest->times.unpause_ns = result_now_ns();
        error = domain_unpause(&guest->domain);
    }
    free(log);
    free(config);
    return error;
}

/*
 * Goes to the background before anything is opened (libxenstore's watch thread does not survive a fork). The parent waits for
 * the child's word that the guest runs, or for its end without it. Returns the descriptor for guest_detached() in the child.
 */
static int guest_detach(void)
{
    int pipe_fds[2];
    char word;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return report_error(-errno, "cannot go to the background");
    pid_t pid = fork();
    if (pid < 0)
        return report_error(-errno, "cannot go to the background");
    if (pid > 0) {
        close(pipe_fds[1]);
        _exit(read(pipe_fds[0], &word, 1) == 1 ? 0 : EXIT_TOOL);
    }
    setsid();
    close(pipe_fds[0]);
    return pipe_fds[1];
}

/* The guest runs: lets the caller go. */
static void guest_detached(const struct guest *guest)
{
    char *log = text_join("%s/watcher.log", guest->directory);
    int fd = open(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(null_fd, 0);
    dup2(fd >= 0 ? fd : null_fd, 1);
    dup2(fd >= 0 ? fd : null_fd, 2);
    free(log);
    if (write(guest->detach_fd, "", 1) != 1)
        report_error(-errno, "nobody waits for the guest");
    close(guest->detach_fd);
}

/* One process a port. They end with this one. */
static int forwards_start(struct guest *guest)
{
    int error = 0;
    pid_t pid;

    guest->address_path = text_join("%s/address", guest->directory);
    for (size_t i = 0; error == 0 && i < guest->publish.count; i++)
        error = forward_start(guest->publish.items[i], guest->address_path, &pid);
    return error;
}

/* Hands the guest's address to the forwarders, once it has told it. */
static void address_pass(struct guest *guest)
{
    char *address = guest->publish.count > 0 && !guest->address_known ? domain_read(&guest->domain, "data/xenolith/address") : NULL;

    if (address != NULL && file_write_string(guest->address_path, address) == 0)
        guest->address_known = true;
    free(address);
}

static void news_take(struct guest *guest)
{
    char **news;

    while ((news = xs_check_watch(guest->domain.store)) != NULL)
        free(news);
    address_pass(guest);
    if (!guest->input_open) {
        char *boot = domain_read(&guest->domain, "data/xenolith/boot");
        if (boot != NULL && guest->input_seconds == 0)
            guest->input_seconds = report_seconds_now() + INPUT_AFTER_SECONDS;
        free(boot);
    }
}

static void input_take(struct guest *guest)
{
    char block[512];

    ssize_t got = read(STDIN_FILENO, block, sizeof(block));
    if (got <= 0)
        guest->input = false;
    else
        console_give(&guest->console, block, (size_t)got);
}

/* Until the guest has ended, or must end. Returns how, in a word. */
static const char *guest_follow(struct guest *guest, int signal_fd)
{
    double end = report_seconds_now() + (double)guest->timeout_seconds;
    bool console_gone = false;

    for (;;) {
        enum domain_state state = domain_state(&guest->domain, &guest->usage);
        if (state != DOMAIN_RUNS)
            return domain_state_name(state);
        double left = end - report_seconds_now();
        if (guest->timeout_seconds > 0 && left <= 0)
            return "timeout";
        struct pollfd polls[4] = {
            {.fd = signal_fd, .events = POLLIN},
            {.fd = console_gone ? -1 : guest->console.tty_fd, .events = POLLIN},
            {.fd = xs_fileno(guest->domain.store), .events = POLLIN},
            {.fd = guest->input && guest->input_open ? STDIN_FILENO : -1, .events = POLLIN},
        };
        int wait_ms = guest->timeout_seconds > 0 && left < 5 ? (int)(left * 1000) + 1 : 5000;
        if (guest->console.log.length > 0 && wait_ms > LOG_IDLE_MS)
            wait_ms = LOG_IDLE_MS;
        if (!guest->input_open && guest->input_seconds > 0) {
            guest->input_open = report_seconds_now() >= guest->input_seconds;
            wait_ms = wait_ms > INPUT_CHECK_MS ? INPUT_CHECK_MS : wait_ms;
        }
        if (poll(polls, 4, wait_ms) == 0)
            console_log_flush(&guest->console);
        if (polls[0].revents != 0)
            return "signal";
        if (polls[1].revents != 0) {
            int taken = console_take(&guest->console);
            console_gone = taken < 0;
            if (taken > 0 && guest->times.output_ns == 0)
                guest->times.output_ns = result_now_ns();
            guest->input_open |= taken > 0;
        }
        if (polls[2].revents != 0) {
            news_take(guest);
        }
        if (polls[3].revents != 0)
            input_take(guest);
    }
}

static bool end_is_bad(const char *end)
{
    return strcmp(end, "crash") == 0 || strcmp(end, "watchdog") == 0 || strcmp(end, "timeout") == 0;
}

static int guest_run(struct guest *guest)
{
    int signal_fd = signals_open();

    int error = guest_create(guest);
    if (error < 0)
        return error;
    if (guest->detach)
        guest_detached(guest);
    const char *end = guest_follow(guest, signal_fd);
    guest->times.end_ns = result_now_ns();
    console_drain(&guest->console);
    fflush(stdout);
    if (end_is_bad(end))
        result_explain_crash(&guest->domain, guest->symbols);
    char *path = text_join("%s/result", guest->directory);
    error = result_write(path, &guest->domain, end, &guest->usage, &guest->times);
    free(path);
    return error;
}

int main(int count, char **arguments)
{
    struct guest guest = {.console = {.tty_fd = -1, .log_fd = -1}};
    const char *name = NULL;

    report_name_set("xenolith-guest");
    if (options_parse(&guest, count, arguments, &name) < 0)
        return EXIT_TOOL;
    if (guest.detach && (guest.detach_fd = guest_detach()) < 0)
        return EXIT_TOOL;
    /* Before libxenstore's threads: the forwarders are forked. */
    if (forwards_start(&guest) < 0 || domain_connect(&guest.domain, name) < 0)
        return EXIT_TOOL;
    int error = guest_run(&guest);
    console_close(&guest.console);
    domain_destroy(&guest.domain);
    guest_unstage(&guest);
    for (size_t i = 0; i < guest.disks.count; i++)
        disk_forget(guest.disks.items[i]);
    domain_disconnect(&guest.domain);
    return error < 0 ? EXIT_TOOL : 0;
}
