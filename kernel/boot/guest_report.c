/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing the report. A host without xenstore, or one that does not let us write, gets none: that is no error of the guest's.
 */
#include "kernel/boot/guest_report.h"

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/page.h"
#include "xen/bus/xenstore.h"
#include "xen/machine/clock.h"

#define STEP_LIMIT 16
#define REPORT_DIRECTORY "data/xenolith"

static struct {
    const char *name;
    uint64_t stamp;
} steps[STEP_LIMIT];
static size_t step_count;

void guest_report_step(const char *name)
{
    if (step_count < STEP_LIMIT) {
        steps[step_count].name = name;
        steps[step_count++].stamp = clock_stamp();
    }
}

static void report_write(const char *name, const char *text, int length)
{
    int error = xenstore_write(XENSTORE_NO_TRANSACTION, REPORT_DIRECTORY, name, text, (size_t)length);

    if (error != 0 && error != -ENODEV)
        log_debug("xenstore: %s/%s cannot be written: error %d", REPORT_DIRECTORY, name, error);
}

void guest_report_boot(void)
{
    uint64_t since_unpause_ns = clock_since_unpause_ns();
    char text[400], line[300];
    int used = 0, shown = 0;

    for (size_t i = 0; i < step_count && used < (int)sizeof(text) && shown < (int)sizeof(line); i++) {
        uint64_t at_ns = clock_stamp_ns(steps[i].stamp);
        used += format_string(text + used, sizeof(text) - (size_t)used, "%s%s=%llu", i ? " " : "", steps[i].name, (unsigned long long)at_ns);
        shown += format_string(line + shown, sizeof(line) - (size_t)shown, "%s%s %llu.%02llu", i ? ", " : "", steps[i].name,
                               (unsigned long long)(at_ns / 1000000), (unsigned long long)(at_ns / 10000 % 100));
    }
    log_debug("boot, in ms: %s", line);
    if (since_unpause_ns != 0 && used < (int)sizeof(text))
        used += format_string(text + used, sizeof(text) - (size_t)used, " unpause_to_program=%llu", (unsigned long long)since_unpause_ns);
    report_write("boot", text, minimum(used, (int)sizeof(text) - 1));
}

void guest_report_batch(unsigned int number, int status, uint64_t duration_ns)
{
    char name[24], text[48];

    format_string(name, sizeof(name), "batch/%u", number);
    report_write(name, text, format_string(text, sizeof(text), "%d %llu", status, (unsigned long long)duration_ns));
}

void guest_report_address(const char *address)
{
    report_write("address", address, (int)__builtin_strlen(address));
}

void guest_report_end(int status)
{
    struct page_statistics statistics;
    char text[24];

    page_statistics_get(&statistics);
    uint64_t used = (statistics.total_pages - statistics.free_pages) << PAGE_SHIFT;
    report_write("memory", text, format_string(text, sizeof(text), "%llu", (unsigned long long)used));
    report_write("exit-status", text, format_string(text, sizeof(text), "%d", status));
}
