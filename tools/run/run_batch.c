/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith run --batch: many programs, one after another in one guest, each in a fresh process; results as TAP.
 *
 * The guest marks its console: a line "##xenolith batch N start##" before a program's output and "##xenolith batch N end
 * STATUS##" after it, N counted from 1. A child process runs the guest with its console in a pipe; the parent turns
 * that into TAP as it comes: the output as comments, then "ok N - command" or "not ok N - command # status S".
 * A program that takes the guest down, or outlasts --timeout, fails (its status is 125 or 124) and a new guest goes on with
 * the next one.
 */
#include "tools/run/run_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/run/run_command.h"

/* A guest's own start and end count as nobody's time. */
#define BOOT_SECONDS 120

struct batch_run {
    struct guest_host *host;
    struct run_options *options;
    size_t from; /* index of this guest's first command */
    size_t done; /* commands whose end was seen, of all */
    bool in_command; /* between its start and its end */
    double since; /* when the last mark was seen */
    struct text line;
    size_t failed;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    interrupted = number;
}

static void result_print(struct batch_run *run, size_t index, long status, const char *why)
{
    const char *command = run->options->batch.lines.items[index];

    if (status == 0)
        printf("ok %zu - %s\n", index + 1, command);
    else
        printf("not ok %zu - %s # status %ld%s%s\n", index + 1, command, status, why[0] != '\0' ? ", " : "", why);
    run->failed += status != 0;
    run->done = index + 1;
    run->in_command = false;
    fflush(stdout);
}

/* One line of the console, without its line end. */
static void line_take(struct batch_run *run, const char *line)
{
    size_t number;
    long status;
    char end[4];

    if (sscanf(line, "##xenolith batch %zu start##", &number) == 1 && strstr(line, "start##") != NULL) {
        run->in_command = true;
        run->since = report_seconds_now();
    } else if (sscanf(line, "##xenolith batch %zu end %ld%3[#]", &number, &status, end) == 3 && number >= 1 &&
        run->from + number - 1 == run->done && run->done < run->options->batch.lines.count) {
        result_print(run, run->done, status, "");
        run->since = report_seconds_now();
    } else if (line[0] != '\0')
        printf("# %s\n", line);
}

static void output_take(struct batch_run *run, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\n') {
            text_add(&run->line, &bytes[i], 1);
            continue;
        }
        line_take(run, text_string(&run->line));
        text_clear(&run->line);
    }
}

/* The child: the guest, with its console on stdout. */
static void guest_child(struct batch_run *run, int output_fd)
{
    struct guest_outcome outcome = {0};

    report_after_fork();
    dup2(output_fd, STDOUT_FILENO);
    close(output_fd);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    int error = run_guest(run->host, run->options, &outcome);
    const char *end = guest_fact(&outcome.facts, "end");
    fflush(NULL);
    _exit(error < 0 ? EXIT_TOOL : end != NULL && strcmp(end, "poweroff") == 0 ? 0
                                                                              : 1);
}

/* Follows one guest's console to its end. Returns whether the current command outlasted its time. */
static bool console_follow(struct batch_run *run, int fd, pid_t pid)
{
    double limit = (double)run->options->batch_timeout_seconds;
    bool timed_out = false;
    char block[8192];

    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        poll(&wait, 1, 500);
        if (interrupted) {
            kill(pid, SIGTERM);
            interrupted = 0;
            run->options->batch_stopped = true;
        }
        double allowed = run->in_command ? limit : limit + BOOT_SECONDS;
        if (limit > 0 && !timed_out && report_seconds_now() - run->since > allowed) {
            timed_out = true;
            kill(pid, SIGTERM);
        }
        if (wait.revents == 0)
            continue;
        ssize_t got = read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return timed_out;
        output_take(run, block, (size_t)got);
    }
}

/* Runs one guest from command run->from on. Returns its child's status, or a negative errno. */
static int guest_once(struct batch_run *run)
{
    int pipe_fds[2];

    run->options->image.batch_from = run->from;
    run->since = report_seconds_now();
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return report_error(-errno, "cannot make a pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return report_error(-errno, "cannot start a process");
    if (pid == 0)
        guest_child(run, pipe_fds[1]);
    close(pipe_fds[1]);
    bool timed_out = console_follow(run, pipe_fds[0], pid);
    close(pipe_fds[0]);
    int status = process_wait(pid);
    if (run->line.length > 0)
        line_take(run, text_string(&run->line));
    text_clear(&run->line);
    if (run->in_command && run->done < run->options->batch.lines.count)
        result_print(run, run->done, timed_out ? EXIT_TIMED_OUT : EXIT_TOOL, timed_out ? "timed out" : "the guest ended");
    return status;
}

/* Runs the whole batch. Returns 0 when every program ended with 0, else 1; 125 when no guest could run. */
int run_batch(struct guest_host *host, struct run_options *options)
{
    struct batch_run run = {.host = host, .options = options};
    struct sigaction action = {.sa_handler = interrupt};
    size_t total = options->batch.lines.count;
    int status = 0;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    options->batch_timeout_seconds = options->guest.timeout_seconds;
    options->guest.timeout_seconds = 0;
    printf("TAP version 13\n1..%zu\n", total);
    while (run.done < total && !options->batch_stopped) {
        run.from = run.done;
        status = guest_once(&run);
        if (run.done == run.from)
            break;
    }
    for (size_t i = run.done; i < total; i++)
        result_print(&run, i, EXIT_TOOL, "not run");
    printf("# %zu of %zu passed\n", total - run.failed, total);
    text_free(&run.line);
    return run.failed == 0 ? 0 : status == EXIT_TOOL && run.from == 0 && run.failed == total ? EXIT_TOOL
                                                                                             : 1;
}
