/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door of system calls: from a number in rax to sys_NAME and back, through one table made of syscalls.def.
 *
 * The common path is short and takes no lock: a bound, a per-CPU counter, one indirect call. For calls by doors it is the entry code's
 * (serve_call in entry_frame.h), with the same table and counters. Handlers have the
 * prototypes of syscalls.def; the six argument registers are handed to all of them, and a handler that takes fewer or
 * narrower ones ignores the rest, as the machine's calling convention has it (so an `int fd` is the register's low half).
 * Numbers without a handler answer as syscalls.def says, are counted, and are said once in the log.
 *
 * Locks: none. Counters belong to their CPU (kernel code is not preempted); `refused_counts` is atomic.
 */
#include "kernel/linux/dispatch.h"

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/linux/strace.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/machine/cpu.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/trap_frame.h"

struct system_call {
    const char *name;
    const char *kinds;
    int refused_error; /* 0: there is a handler */
};

_Static_assert(UPCALL_HANDLERS == SYSTEM_CALL_LIMIT, "the entry code's table is this one");

#define CALL(number, name, status, prototype, kinds, missing) [number] = { #name, kinds, 0 },
#define REFUSED(number, name, error, kinds, reason) [number] = { #name, kinds, error },
#define UNUSED(first, last)
static const struct system_call calls[SYSTEM_CALL_LIMIT] = {
#include "kernel/linux/syscalls.def"
};
#undef CALL
#undef REFUSED
#undef UNUSED

/* From each CPU's first call on; where memory is out, it does not count. */
static uint32_t *counters[CPU_LIMIT];

/* By number; the last one for all numbers past the table. */
static _Atomic uint32_t refused_counts[SYSTEM_CALL_LIMIT + 1];

struct trap_frame *system_call_frame(void)
{
    return context_user_frame(&thread_current()->context);
}

static long call_refuse(uint32_t number)
{
    uint32_t slot = minimum(number, (uint32_t)SYSTEM_CALL_LIMIT);
    int error = number < SYSTEM_CALL_LIMIT && calls[number].refused_error ? calls[number].refused_error : ENOSYS;
    if (atomic_fetch_add_explicit(&refused_counts[slot], 1, memory_order_relaxed) == 0) {
        const char *name = system_call_name(number);
        if (name)
            log_debug("system call %u (%s) of %s is refused, error %d", number, name, task_current()->command, error);
        else
            log_notice("system call %u of %s is unknown, error %d", number, task_current()->command, error);
    }
    return -error;
}

static long call_refused(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    return call_refuse((uint32_t)system_call_frame()->original_rax);
}

#define CALL(number, name, status, prototype, kinds, missing) + 1
#define REFUSED(number, name, error, kinds, reason) + 1
#define UNUSED(first, last) + (last) - (first) + 1
_Static_assert(0
#include "kernel/linux/syscalls.def"
    == UPCALL_HANDLERS, "no number without an entry");
#undef CALL
#undef REFUSED
#undef UNUSED

/* A handler takes fewer arguments, or narrower ones, as the head of this file says. */
#define CALL(number, name, status, prototype, kinds, missing) [number] = (upcall_handler_t *)(void (*)(void))sys_##name,
#define REFUSED(number, name, error, kinds, reason) [number] = call_refused,
#define UNUSED(first, last) [first ... last] = call_refused,
upcall_handler_t *const upcall_handlers[UPCALL_HANDLERS] = {
#include "kernel/linux/syscalls.def"
};
#undef CALL
#undef REFUSED
#undef UNUSED

/* The current CPU's first call: nothing in it sleeps. */
static uint32_t *counters_create(unsigned int cpu)
{
    cpu_events_mask();
    uint32_t *own = memory_allocate_zeroed(SYSTEM_CALL_LIMIT * sizeof(*own));
    write_once(counters[cpu], own);
    cpu_events_unmask();
    return own;
}

static inline long call_run(const struct trap_frame *frame, uint32_t number)
{
    struct cpu *cpu = cpu_current();
    uint32_t *own = counters[cpu->number]; /* nobody else writes it */

    if (unlikely(number >= SYSTEM_CALL_LIMIT))
        return call_refuse(number);
    if (unlikely(!own))
        own = counters_create(cpu->number);
    if (likely(own))
        own[number]++;
    if (!strace_enabled)
        cpu->call_counts = own;
    return upcall_handlers[number](frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9);
}

static attribute_noinline void call_run_traced(struct trap_frame *frame, uint32_t number)
{
    const uint64_t arguments[6] = { frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9 };
    struct strace_line *line = strace_begin(system_call_name(number), number, system_call_kinds(number), arguments);
    long result = call_run(frame, number);
    strace_end(line, arguments, result);
    frame->rax = (uint64_t)result;
}

static inline void call_run_for(struct trap_frame *frame, uint32_t number)
{
    if (unlikely(strace_enabled))
        call_run_traced(frame, number);
    else
        frame->rax = (uint64_t)call_run(frame, number);
}

/* As Linux does, the number is the low half of rax. original_rax tells signal delivery which call to run again. */
void upcall_system_call(struct trap_frame *frame)
{
    uint32_t number = (uint32_t)frame->rax;
    frame->original_rax = number;
    task_enter_kernel(task_current());
    call_run_for(frame, number);
}

void upcall_door(struct trap_frame *frame)
{
    struct task *task = task_current();
    bool sampled = task_door_is_sampled(task);

    if (sampled)
        task_enter_kernel(task);
    call_run_for(frame, (uint32_t)frame->original_rax);
    if (sampled)
        task_leave_sampled(task);
}

/* An interrupted sleep goes on with what it left in the task; set by the call that answered -ERESTART_RESTARTBLOCK. */
long sys_restart_syscall(void)
{
    struct task *task = task_current();
    long (*restart)(struct task *) = task->restart;
    task->restart = NULL;
    return restart ? restart(task) : -EINTR;
}

const char *system_call_name(uint32_t number)
{
    return number < SYSTEM_CALL_LIMIT ? calls[number].name : NULL;
}

const char *system_call_kinds(uint32_t number)
{
    return number < SYSTEM_CALL_LIMIT && calls[number].kinds ? calls[number].kinds : "";
}

uint64_t system_call_count(uint32_t number)
{
    if (number >= SYSTEM_CALL_LIMIT)
        return 0;
    uint64_t count = 0;
    for (unsigned int cpu = 0; cpu < CPU_LIMIT; cpu++) {
        const uint32_t *own = read_once(counters[cpu]);
        count += own ? read_once(own[number]) : 0;
    }
    return count;
}

size_t system_calls_text(char *buffer, size_t size_bytes)
{
    size_t length = 0;
    for (uint32_t number = 0; number < SYSTEM_CALL_LIMIT; number++) {
        uint64_t count = system_call_count(number);
        if (count == 0)
            continue;
        size_t room = length < size_bytes ? size_bytes - length : 0;
        length += (size_t)format_string(buffer + (room ? length : 0), room, "%u %s %llu\n", number, calls[number].name, (unsigned long long)count);
    }
    return length;
}

size_t system_calls_unknown_text(char *buffer, size_t size_bytes)
{
    size_t length = 0;
    for (uint32_t number = 0; number <= SYSTEM_CALL_LIMIT; number++) {
        uint32_t count = atomic_load_explicit(&refused_counts[number], memory_order_relaxed);
        if (count == 0)
            continue;
        const char *name = system_call_name(number);
        int error = number < SYSTEM_CALL_LIMIT && calls[number].refused_error ? calls[number].refused_error : ENOSYS;
        size_t room = length < size_bytes ? size_bytes - length : 0;
        length += (size_t)format_string(buffer + (room ? length : 0), room, "%u%s %s %u %d\n", number,
                                        number == SYSTEM_CALL_LIMIT ? "+" : "", name ? name : "?", count, error);
    }
    return length;
}
