/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP by the console, without the time stamps of log lines.
 */
#include "tests/guest/tap.h"

#include <stdarg.h>

#include "kernel/base/format.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "xen/machine/clock.h"
#include "xen/machine/console.h"
#include "xen/machine/event_deliver.h"
#include "xen/x86/paging.h"

#define SPARE_PAGES 64u /* of stacks that are kept, at most */

static unsigned int case_count, failure_count;
static struct page_statistics pages_before;
static unsigned int ports_before;

static void line(const char *format, ...) attribute_printf(1, 2);
static void line(const char *format, ...)
{
    char text[256];
    va_list list;

    va_start(list, format);
    int length = format_string_list(text, sizeof(text), format, list);
    va_end(list);
    console_write_all(text, minimum((size_t)length, sizeof(text) - 1));
}

void tap_case(bool passed, const char *format, ...)
{
    char what[200];
    va_list list;

    va_start(list, format);
    format_string_list(what, sizeof(what), format, list);
    va_end(list);
    line("%s %u - %s\n", passed ? "ok" : "not ok", ++case_count, what);
    failure_count += !passed;
}

void tap_count_resources(void)
{
    page_statistics_get(&pages_before);
    ports_before = event_channel_count();
}

void tap_check_leaks(void)
{
    static const char *const kinds[] = { "free", "kernel", "table", "stack", "anonymous", "cache", "device", "reserved" };
    struct page_statistics pages;

    _Static_assert(array_count(kinds) == PAGE_KIND_COUNT, "a name for each kind");
    /* Dead threads' stacks go by deferred work. */
    uint64_t deadline_ns = clock_monotonic_ns() + 100000000;
    thread_sleep_prepare();
    thread_sleep(deadline_ns, false);
    paging_give_back();
    page_statistics_get(&pages);
    /* Object caches keep a few pages for the next time, and kernel/sched/stack.c the stacks of as many threads as have died at once,
     * which hangs on how the CPUs met. */
    uint64_t more_stacks = pages.kind_pages[PAGE_STACK] - minimum(pages.kind_pages[PAGE_STACK], pages_before.kind_pages[PAGE_STACK]);
    tap_case(pages.free_pages + 16 + minimum(more_stacks, (uint64_t)SPARE_PAGES) >= pages_before.free_pages, "no page was lost: %llu free before, %llu after",
             (unsigned long long)pages_before.free_pages, (unsigned long long)pages.free_pages);
    for (size_t i = 1; i < PAGE_KIND_COUNT; i++)
        if (pages.kind_pages[i] > pages_before.kind_pages[i])
            line("# %s: %llu before, %llu after\n", kinds[i], (unsigned long long)pages_before.kind_pages[i],
                 (unsigned long long)pages.kind_pages[i]);
    tap_case(event_channel_count() == ports_before, "no event port was lost: %u before, %u after", ports_before,
             event_channel_count());
}

void tap_done(void)
{
    line("1..%u\n", case_count);
    line("# %u passed, %u failed\n", case_count - failure_count, failure_count);
}
