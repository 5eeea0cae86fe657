/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys. A sleeping thread's stack begins where context_switch_stack() left it: six registers, of which the first pushed is the
 * frame pointer, then the return address; from there the chain of frame pointers is followed inside the stack.
 */
#include "kernel/boot/sysrq.h"

#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/symbols.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "xen/bus/grant_table.h"
#include "xen/machine/shutdown.h"

#define SAVED_REGISTERS 6u
#define SAVED_FRAME_POINTER 5u
#define FRAMES_SHOWN 9u

static const char *const state_names[] = {"created", "runnable", "running", "sleeping", "dead"};

static bool stack_holds(const struct thread *thread, uintptr_t address, size_t bytes)
{
    uintptr_t base = (uintptr_t)thread->stack;
    return address % 8 == 0 && address >= base && address + bytes <= base + THREAD_STACK_BYTES;
}

/* "inner < caller < ..." of a thread that does not run. */
static void sysrq_frames(const struct thread *thread, char *text, size_t size_bytes)
{
    uintptr_t place = (uintptr_t)thread->context.stack_pointer;
    size_t used = 0;

    text[0] = 0;
    if (!thread->stack || !stack_holds(thread, place, (SAVED_REGISTERS + 1) * 8))
        return;
    uintptr_t frame = ((const uintptr_t *)place)[SAVED_FRAME_POINTER];
    uintptr_t address = ((const uintptr_t *)place)[SAVED_REGISTERS];
    for (unsigned int i = 0; i < FRAMES_SHOWN; i++) {
        uintptr_t distance;
        char name[SYMBOL_NAME_BYTES];
        if (!symbol_find(address, name, &distance) || used >= size_bytes)
            return;
        used += (size_t)format_string(text + used, size_bytes - used, "%s%s", i > 0 ? " < " : "", name);
        if (!stack_holds(thread, frame, 16))
            return;
        address = ((const uintptr_t *)frame)[1];
        frame = ((const uintptr_t *)frame)[0];
    }
}

static void sysrq_thread(struct thread *thread, void *data)
{
    int state = thread->state;
    char frames[300];

    sysrq_frames(thread, frames, sizeof(frames));
    log_answer("%-15s %-8s %6llu ms %s", thread->name, state_names[state],
               (unsigned long long)(read_once(thread->run_time_ns) / 1000000), state == THREAD_RUNNING ? "" : frames);
}

static void sysrq_memory(void)
{
    static const char *const kinds[] = {"free", "kernel", "table", "stack", "anonymous", "cache", "device", "reserved"};
    struct page_statistics pages;
    struct grant_table_statistics grants;

    _Static_assert(array_count(kinds) == PAGE_KIND_COUNT, "a name for each kind");
    page_statistics_get(&pages);
    grant_table_statistics(&grants);
    log_answer("memory: %llu pages, %llu free", (unsigned long long)pages.total_pages, (unsigned long long)pages.free_pages);
    for (unsigned int i = 1; i < PAGE_KIND_COUNT; i++)
        log_answer("  %-9s %llu", kinds[i], (unsigned long long)pages.kind_pages[i]);
    log_answer("grants: %u, %u free, %u waiting for a backend", grants.total, grants.free, grants.ending);
}

void sysrq_key(char key)
{
    uint64_t load[3];
    unsigned int runnable, total;

    switch (key) {
    case 't':
        scheduler_load(load, &runnable, &total);
        log_answer("%u threads, %u runnable", total, runnable);
        thread_for_each(sysrq_thread, NULL);
        break;
    case 'm':
        sysrq_memory();
        break;
    case 'o':
        shutdown(SHUTDOWN_REASON_POWEROFF);
    case 'b':
        shutdown(SHUTDOWN_REASON_REBOOT);
    case 'c':
        panic("asked for by sysrq");
    default:
        log_answer("sysrq: t threads, m memory, o power off, b reboot, c crash");
    }
}
