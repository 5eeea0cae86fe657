/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith ps, logs, stop: the guests that are there, what they say, and their end.
 *
 * All is read from the guests' records and from xl. stop asks the guest to power off, and destroys it when it does not
 * within the time given; its watcher (xenolith-guest in dom0) then writes its result, and what was plugged and forwarded for it
 * is undone here.
 */
#include "tools/run/guest_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/guest/guest_host.h"

#define STOP_SECONDS 10
#define DESTROY_SECONDS 60

static const char ps_usage[] = "usage: xenolith ps [--all] [--host lab|local]\n\n"
                               "Lists the guests that run; --all: also those that have ended, with their exit status.\n";
static const char logs_usage[] = "usage: xenolith logs [--follow] [--host lab|local] NAME\n\n"
                                 "Prints a guest's console; --follow: goes on until the guest ends.\n";
static const char stop_usage[] = "usage: xenolith stop [--time SECONDS] [--host lab|local] NAME...\n\n"
                                 "Asks guests to power off, and destroys those that have not after SECONDS (10).\n";

struct list_options {
    const char *host;
    bool all;
    bool follow;
    long seconds;
    int status; /* -1: go on */
};

static struct list_options options_parse(int count, char **arguments, const char *usage)
{
    static const struct option long_options[] = {{"all", no_argument, NULL, 'a'}, {"follow", no_argument, NULL, 'f'},
        {"time", required_argument, NULL, 't'}, {"host", required_argument, NULL, 'H'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct list_options options = {.seconds = STOP_SECONDS, .status = -1};
    int option;

    while ((option = getopt_long(count, arguments, "aft:h", long_options, NULL)) != -1) {
        if (option == 'a')
            options.all = true;
        else if (option == 'f')
            options.follow = true;
        else if (option == 'H')
            options.host = optarg;
        else if (option != 't' || text_number(optarg, 0, 1000000, &options.seconds) < 0) {
            fputs(usage, option == 'h' ? stdout : stderr);
            options.status = option == 'h' ? 0 : EXIT_TOOL;
            break;
        }
    }
    return options;
}

static bool record_ended(const struct guest_record *record)
{
    char *result = guest_record_path(record, "result");
    bool ended = guest_record_released(record) || file_exists(result);

    free(result);
    return ended;
}

static void guest_print(const struct guest_host *host, const char *name, bool all)
{
    struct guest_record record = {.directory = text_join("%s/%s", host->guests, name), .owner_fd = -1};
    struct guest_facts facts;
    struct guest_facts result;
    struct text ports = {0};

    bool ended = record_ended(&record);
    if (ended && !all) {
        guest_record_close(&record);
        return;
    }
    guest_record_facts(&record, "record", &facts);
    guest_record_facts(&record, "result", &result);
    for (size_t i = 0; i < facts.keys.count; i++)
        if (strcmp(facts.keys.items[i], "publish") == 0)
            text_format(&ports, "%s%s", ports.length > 0 ? "," : "", facts.values.items[i]);
    const char *status = guest_fact(&result, "exit-status");
    const char *end = guest_fact(&result, "end");
    const char *address = guest_fact(&facts, "address");
    char *state = ended ? text_join("%s%s%s", end != NULL ? end : "gone", status != NULL ? " " : "", status != NULL ? status : "")
                        : text_copy(guest_fact(&facts, "detached") != NULL ? "runs, detached" : "runs");
    printf("%-32s %-18s %-15s %s\n", name, state, address != NULL ? address : "-", text_string(&ports));
    free(state);
    text_free(&ports);
    guest_facts_free(&facts);
    guest_facts_free(&result);
    guest_record_close(&record);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int ps_command(int count, char **arguments)
{
    struct list_options options = options_parse(count, arguments, ps_usage);
    struct dirent **entries = NULL;
    struct guest_host host;

    if (options.status >= 0)
        return options.status;
    if (guest_host_open(&host, options.host) < 0)
        return EXIT_TOOL;
    guest_host_sweep(&host);
    printf("%-32s %-18s %-15s %s\n", "NAME", "STATE", "ADDRESS", "PUBLISHED");
    int found = scandir(host.guests, &entries, visible, alphasort);
    for (int i = 0; i < found; i++) {
        guest_print(&host, entries[i]->d_name, options.all);
        free(entries[i]);
    }
    free(entries);
    guest_host_close(&host);
    return 0;
}

static int console_print(const struct guest_record *record, bool follow)
{
    char *path = guest_record_path(record, "console.log");
    char block[8192];

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int error = report_error(-errno, "%s", path);
        free(path);
        return error;
    }
    for (;;) {
        bool ended = record_ended(record);
        ssize_t got;
        while ((got = read(fd, block, sizeof(block))) > 0)
            fwrite(block, 1, (size_t)got, stdout);
        fflush(stdout);
        if (!follow || ended)
            break;
        usleep(100 * 1000);
    }
    close(fd);
    free(path);
    return 0;
}

int logs_command(int count, char **arguments)
{
    struct list_options options = options_parse(count, arguments, logs_usage);
    struct guest_host host;

    if (options.status >= 0)
        return options.status;
    if (count - optind != 1) {
        fputs(logs_usage, stderr);
        return EXIT_TOOL;
    }
    if (guest_host_open(&host, options.host) < 0)
        return EXIT_TOOL;
    struct guest_record record = {.directory = text_join("%s/%s", host.guests, arguments[optind]), .owner_fd = -1};
    int error = file_exists(record.directory)
        ? console_print(&record, options.follow)
        : report_error(0, "there is no guest named %s; xenolith ps --all lists them", arguments[optind]);
    guest_record_close(&record);
    guest_host_close(&host);
    return error < 0 ? EXIT_TOOL : 0;
}

static bool end_await(const struct guest_record *record, long seconds)
{
    double end = report_seconds_now() + (double)seconds;

    while (!record_ended(record)) {
        if (report_seconds_now() >= end)
            return false;
        usleep(50 * 1000);
    }
    return true;
}

static int xl_do(struct guest_host *host, const char *what, const char *name)
{
    const char *arguments[] = {"xl", what, name, NULL};
    struct text output = {0};

    int status = host->operations->execute(host, arguments, false, &output);
    text_free(&output);
    return status;
}

static int guest_stop(struct guest_host *host, const char *name, long seconds)
{
    struct guest_record record = {.directory = text_join("%s/%s", host->guests, name), .owner_fd = -1};
    int error = 0;

    if (!file_exists(record.directory))
        error = report_error(0, "there is no guest named %s; xenolith ps lists them", name);
    else if (!record_ended(&record)) {
        if (seconds > 0 && xl_do(host, "shutdown", name) == 0)
            end_await(&record, seconds);
        if (!record_ended(&record)) {
            int status = xl_do(host, "destroy", name);
            /* Without a guest there is no watcher that would write a result. */
            if (status == 0 && !end_await(&record, DESTROY_SECONDS))
                report_line("%s: destroyed; its watcher in dom0 did not write a result", name);
        }
    }
    guest_record_close(&record);
    /* A tool in the foreground releases its guest itself. */
    if (error == 0 && guest_record_open(&record, host->guests, name) == 0)
        error = guest_release(host, &record, false);
    guest_record_close(&record);
    return error;
}

int stop_command(int count, char **arguments)
{
    struct list_options options = options_parse(count, arguments, stop_usage);
    struct guest_host host;
    int status = 0;

    if (options.status >= 0)
        return options.status;
    if (optind >= count) {
        fputs(stop_usage, stderr);
        return EXIT_TOOL;
    }
    if (guest_host_open(&host, options.host) < 0)
        return EXIT_TOOL;
    for (int i = optind; i < count; i++)
        if (guest_stop(&host, arguments[i], options.seconds) < 0)
            status = EXIT_TOOL;
    guest_host_close(&host);
    return status;
}
