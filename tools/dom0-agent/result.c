/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of a guest when it has ended, written as "key=value" lines for the tool outside:
 *
 *   end=poweroff|reboot|suspend|crash|watchdog|destroyed|timeout|signal
 *   exit-status, boot, memory, memory-use, address   what the guest left under data/xenolith (docs/guest-contract.md)
 *   batch N=STATUS NANOSECONDS               one for each command line of a batch
 *   create_ns, run_ns, cpu_ns, memory_kib    as Xen and dom0 saw it
 *   output_ns                                from its start to the first byte on its console
 *   unpaused_ns                              when that start was, on dom0's CLOCK_MONOTONIC
 *
 * A guest's words are printable ASCII or replaced: they end up on terminals and in reports.
 */
#include "tools/dom0-agent/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/base/file.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/base/text.h"

#define DMESG_LINES 15

uint64_t result_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void guest_value_add(struct text *out, const char *key, char *value)
{
    if (value == NULL)
        return;
    for (char *c = value; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    text_format(out, "%s=%s\n", key, value);
    free(value);
}

static void batch_add(struct text *out, const struct domain *domain)
{
    unsigned count = 0;

    char *path = text_join("/local/domain/%u/data/xenolith/batch", domain->id);
    char **numbers = xs_directory(domain->store, XBT_NULL, path, &count);
    for (unsigned i = 0; numbers != NULL && i < count; i++) {
        char *below = text_join("data/xenolith/batch/%s", numbers[i]);
        char *key = text_join("batch %s", numbers[i]);
        guest_value_add(out, key, domain_read(domain, below));
        free(key);
        free(below);
    }
    free(numbers);
    free(path);
}

int result_write(const char *path, const struct domain *domain, const char *end, const struct domain_usage *usage,
    const struct result_times *times)
{
    struct text out = {0};

    text_format(&out, "end=%s\n", end);
    guest_value_add(&out, "exit-status", domain_read(domain, "data/xenolith/exit-status"));
    guest_value_add(&out, "boot", domain_read(domain, "data/xenolith/boot"));
    guest_value_add(&out, "memory", domain_read(domain, "data/xenolith/memory"));
    guest_value_add(&out, "memory-use", domain_read(domain, "data/xenolith/memory-use"));
    guest_value_add(&out, "address", domain_read(domain, "data/xenolith/address"));
    batch_add(&out, domain);
    text_format(&out, "create_ns=%llu\n", (unsigned long long)(times->unpause_ns - times->create_ns));
    text_format(&out, "run_ns=%llu\n", (unsigned long long)(times->end_ns - times->unpause_ns));
    text_format(&out, "unpaused_ns=%llu\n", (unsigned long long)times->unpause_ns);
    if (times->output_ns != 0)
        text_format(&out, "output_ns=%llu\n", (unsigned long long)(times->output_ns - times->unpause_ns));
    text_format(&out, "cpu_ns=%llu\nmemory_kib=%llu\n", (unsigned long long)usage->cpu_ns,
        (unsigned long long)usage->pages * 4);
    int error = file_write(path, out.bytes, out.length);
    text_free(&out);
    return error < 0 ? report_error(error, "cannot write %s", path) : 0;
}

static void tail_print(const char *text, int lines)
{
    const char *from = text + strlen(text);

    while (from > text && lines >= 0)
        if (*--from == '\n')
            lines--;
    fputs(from, stderr);
}

/* Prints Xen's last words and the guest's registers, for a guest that crashed or hangs. It must still exist. */
void result_explain_crash(const struct domain *domain, const char *symbols)
{
    char id[16];
    const char *dmesg[] = {"xl", "dmesg", NULL};
    const char *context[] = {"xenctx", "-C", id, NULL, NULL, NULL};
    struct process_request request = {.arguments = dmesg, .stdin_fd = -1};
    struct text text = {0};

    snprintf(id, sizeof(id), "%u", domain->id);
    if (process_capture(&request, &text) == 0) {
        fprintf(stderr, "---- xl dmesg, last lines\n");
        tail_print(text_string(&text), DMESG_LINES);
    }
    text_free(&text);
    if (symbols != NULL && file_exists(symbols)) {
        context[2] = "-s";
        context[3] = symbols;
        context[4] = id;
    }
    fprintf(stderr, "---- registers of the guest (xenctx)\n");
    request = (struct process_request){.arguments = context, .stdin_fd = -1, .stdout_fd = 2};
    process_run(&request);
}
