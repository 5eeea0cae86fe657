/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith inspect NAME: the stages of a guest's start with their times, and where its memory is.
 *
 * Both are the guest's own words, left in its part of xenstore (docs/guest-contract.md): for a guest that runs they are asked for by a node
 * that the guest takes away when it has answered; for one that has ended they are in its result.
 */
#include "tools/run/inspect.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/guest/guest_host.h"

static const char usage[] = "usage: xenolith inspect [--host lab|local] NAME\n"
                            "       xenolith inspect --kernel FILE\n\n"
                            "Shows how long each stage of a guest's start took, and where its memory is: of a guest that runs, or has ended.\n"
                            "--kernel: what a kernel file is made of.\n";

/* In dom0: asks, waits up to five seconds, and prints "boot=..." and "memory-use=...". */
static const char ask[] = "id=$(xl domid \"$1\") && place=/local/domain/$id/data/xenolith && xenstore-write $place/ask memory && tries=0 &&\n"
                          "while xenstore-exists $place/ask; do\n"
                          "    tries=$((tries + 1)) && [ $tries -lt 50 ] && sleep 0.1 || { xenstore-rm $place/ask; exit 1; }\n"
                          "done && for key in boot memory-use; do echo \"$key=$(xenstore-read $place/$key)\" || exit; done";

static int guest_ask(struct guest_host *host, const char *name, struct guest_facts *facts)
{
    const char *arguments[] = {"sh", "-c", ask, "sh", name, NULL};
    struct text output = {0};

    int status = host->operations->execute(host, arguments, false, &output);
    if (status != 0) {
        text_free(&output);
        return report_error(0, "%s does not answer; does its program run yet, and in a kernel of ours?", name);
    }
    guest_facts_parse(facts, &output);
    text_free(&output);
    return 0;
}

/* The next "NAME=NUMBER" of a row of them, which is changed. False: no more. */
static bool row_next(char **rest, const char **name, uint64_t *number)
{
    char *word = strtok_r(NULL, " ", rest);
    char *equals = word != NULL ? strchr(word, '=') : NULL;

    if (equals == NULL)
        return false;
    *equals = '\0';
    *name = word;
    *number = strtoull(equals + 1, NULL, 10);
    return true;
}

static void boot_print(const char *value)
{
    char *row = text_copy(value), *rest = row;
    const char *name;
    uint64_t number, before = 0;

    printf("%-20s %10s %10s\n", "START, ms", "took", "at");
    while (row_next(&rest, &name, &number)) {
        if (strcmp(name, "unpause_to_program") == 0) {
            printf("%-20s %10s %10.2f\n", "since unpause", "", (double)number / 1e6);
            continue;
        }
        printf("%-20s %10.2f %10.2f\n", name, (double)(number - before) / 1e6, (double)number / 1e6);
        before = number;
    }
    free(row);
}

static void memory_print(const char *value)
{
    char *row = text_copy(value), *rest = row;
    const char *name;
    uint64_t number, total = 0;

    printf("%-20s %10s %10s\n", "MEMORY, KiB", "", "%");
    while (row_next(&rest, &name, &number)) {
        if (total == 0)
            total = number;
        printf("%-20s %10" PRIu64 " %10.1f\n", name, number / 1024, total > 0 ? 100.0 * (double)number / (double)total : 0.0);
    }
    free(row);
}

static int guest_inspect(struct guest_host *host, const char *name)
{
    struct guest_record record = {.directory = text_join("%s/%s", host->guests, name), .owner_fd = -1};
    struct guest_facts facts = {0};
    int error = 0;

    if (!file_exists(record.directory))
        error = report_error(0, "there is no guest named %s; xenolith ps --all lists them", name);
    if (error == 0)
        error = guest_record_facts(&record, "result", &facts);
    if (error == 0 && facts.keys.count == 0)
        error = guest_ask(host, name, &facts);
    if (error == 0) {
        const char *boot = guest_fact(&facts, "boot"), *memory = guest_fact(&facts, "memory-use");
        if (boot == NULL && memory == NULL)
            error = report_error(0, "%s has left nothing to show", name);
        if (boot != NULL)
            boot_print(boot);
        if (memory != NULL)
            memory_print(memory);
    }
    guest_facts_free(&facts);
    guest_record_close(&record);
    return error;
}

int inspect_command(int count, char **arguments)
{
    static const struct option options[] = {
        {"host", required_argument, NULL, 'H'}, {"kernel", required_argument, NULL, 'k'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *host_name = NULL, *kernel = NULL;
    struct guest_host host;
    int option;

    while ((option = getopt_long(count, arguments, "h", options, NULL)) != -1) {
        if (option == 'H')
            host_name = optarg;
        else if (option == 'k')
            kernel = optarg;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_TOOL;
        }
    }
    if (count - optind != (kernel == NULL ? 1 : 0)) {
        fputs(usage, stderr);
        return EXIT_TOOL;
    }
    if (kernel != NULL)
        return inspect_kernel(kernel) < 0 ? EXIT_TOOL : 0;
    if (guest_host_open(&host, host_name) < 0)
        return EXIT_TOOL;
    int error = guest_inspect(&host, arguments[optind]);
    guest_host_close(&host);
    return error < 0 ? EXIT_TOOL : 0;
}
