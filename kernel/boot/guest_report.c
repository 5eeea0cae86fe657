/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing the report. A host without xenstore, or one that does not let us write, gets none: that is no error of the guest's.
 */
#include "kernel/boot/guest_report.h"

#include <stdarg.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "xen/bus/xenstore.h"
#include "xen/machine/clock.h"

#define STEP_LIMIT 16
#define REPORT_DIRECTORY "data/xenolith"
#define MEMORY_TEXT_BYTES 1800 /* Xen's toolstack lets a guest's node have 2048 */

static struct {
    const char *name;
    uint64_t at; /* nanoseconds, or a stamp while there is no clock */
} steps[STEP_LIMIT];
static size_t step_count;
static bool have_clock;

void guest_report_step(const char *name)
{
    if (step_count < STEP_LIMIT) {
        steps[step_count].name = name;
        steps[step_count++].at = have_clock ? clock_monotonic_ns() : clock_stamp();
    }
}

void guest_report_clock(void)
{
    have_clock = true;
    for (size_t i = 0; i < step_count; i++)
        steps[i].at = clock_stamp_ns(steps[i].at);
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
    char text[400];
    int used = 0;

    for (size_t i = 0; i < step_count && used < (int)sizeof(text); i++)
        used += format_string(text + used, sizeof(text) - (size_t)used, "%s%s=%llu", i ? " " : "", steps[i].name,
                              (unsigned long long)steps[i].at);
    if (since_unpause_ns != 0 && used < (int)sizeof(text))
        used += format_string(text + used, sizeof(text) - (size_t)used, " unpause_to_program=%llu", (unsigned long long)since_unpause_ns);
    log_debug("boot, in ns: %s", text);
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

struct memory_text {
    char bytes[MEMORY_TEXT_BYTES];
    int used;
};

static void attribute_printf(2, 3) memory_add(struct memory_text *text, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    text->used += format_string_list(text->bytes + text->used, sizeof(text->bytes) - (size_t)text->used, format, list);
    va_end(list);
    text->used = minimum(text->used, (int)sizeof(text->bytes) - 1);
}

static attribute_cold void memory_add_cache(const char *name, uint32_t pages, void *data)
{
    if (pages != 0)
        memory_add(data, " kernel:%s=%llu", name, (unsigned long long)pages << PAGE_SHIFT);
}

/* "total=BYTES free=BYTES KIND=BYTES ...", then for the caches of the kernel's objects "kernel:CACHE=BYTES". NULL: out of memory. */
static attribute_cold struct memory_text *memory_text_create(void)
{
    static const char *const kinds[] = {"free", "kernel", "tables", "stacks", "anonymous", "cache", "devices", "start"};
    struct memory_text *text = memory_allocate(sizeof(*text));
    struct page_statistics statistics;

    _Static_assert(array_count(kinds) == PAGE_KIND_COUNT, "a name for each kind");
    if (!text)
        return NULL;
    page_statistics_get(&statistics);
    text->used = 0;
    memory_add(text, "total=%llu", (unsigned long long)statistics.total_pages << PAGE_SHIFT);
    for (unsigned int i = 0; i < PAGE_KIND_COUNT; i++)
        memory_add(text, " %s=%llu", kinds[i], (unsigned long long)statistics.kind_pages[i] << PAGE_SHIFT);
    object_cache_visit(memory_add_cache, text);
    return text;
}

static void report_memory_use(void)
{
    struct memory_text *text = memory_text_create();

    if (text)
        report_write("memory-use", text->bytes, text->used);
    memory_free(text);
}

/* The host asks by making the node, and knows that it is answered when the node is gone. */
static attribute_cold void asked(struct xenstore_watch *watch, const char *changed_path)
{
    char word[16];

    (void)changed_path;
    if (xenstore_read_string(XENSTORE_NO_TRANSACTION, watch->path, NULL, word, sizeof(word)) != 0)
        return;
    report_memory_use();
    int error = xenstore_remove(XENSTORE_NO_TRANSACTION, watch->path, NULL);
    if (error != 0)
        log_warning("xenstore: %s cannot be removed: error %d", watch->path, error);
}

void guest_report_listen(void)
{
    static struct xenstore_watch watch;

    watch.changed = asked;
    format_string(watch.path, sizeof(watch.path), "%s/ask", REPORT_DIRECTORY);
    int error = xenstore_watch_add(&watch);

    if (error != 0 && error != -ENODEV)
        log_debug("xenstore: %s cannot be watched: error %d", watch.path, error);
}

void guest_report_end(int status)
{
    struct page_statistics statistics;
    char text[24];

    page_statistics_get(&statistics);
    uint64_t used = (statistics.total_pages - statistics.free_pages) << PAGE_SHIFT;
    report_memory_use();
    report_write("memory", text, format_string(text, sizeof(text), "%llu", (unsigned long long)used));
    report_write("exit-status", text, format_string(text, sizeof(text), "%d", status));
}
