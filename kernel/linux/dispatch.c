/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door of system calls: from a number in rax to sys_NAME and back, through one table made of syscalls.def.
 *
 * The common path is short and takes no lock: two bounds, a per-CPU counter, one indirect call. Handlers have the
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

typedef long (*handler_t)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
typedef void (*any_function_t)(void);

struct system_call {
    const char *name;
    const char *kinds;
    int refused_error; /* 0: there is a handler */
};

#define CALL(number, name, status, prototype, kinds, missing) [number] = (any_function_t)sys_##name,
#define REFUSED(number, name, error, kinds, reason)
#define UNUSED(first, last)
static const any_function_t handlers[SYSTEM_CALL_LIMIT] = {
#include "kernel/linux/syscalls.def"
};
#undef CALL
#undef REFUSED

#define CALL(number, name, status, prototype, kinds, missing) [number] = { #name, kinds, 0 },
#define REFUSED(number, name, error, kinds, reason) [number] = { #name, kinds, error },
static const struct system_call calls[SYSTEM_CALL_LIMIT] = {
#include "kernel/linux/syscalls.def"
};
#undef CALL
#undef REFUSED
#undef UNUSED

/* CPU 0's, and those of others from their first call on (where memory is out, that is not counted). */
static uint32_t first_counters[SYSTEM_CALL_LIMIT];
static uint32_t *counters[CPU_LIMIT] = { first_counters };

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

/* The CPU's first call, or one that has no handler. */
static long attribute_noinline call_run_slowly(const struct trap_frame *frame, uint32_t number)
{
    uint32_t **place = &counters[cpu_current()->number];

    if (number >= SYSTEM_CALL_LIMIT || !handlers[number])
        return call_refuse(number);
    if (!*place) {
        cpu_events_mask();
        write_once(*place, memory_allocate_zeroed(sizeof(first_counters)));
        cpu_events_unmask();
    }
    if (*place)
        (*place)[number]++;
    return ((handler_t)handlers[number])(frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9);
}

static inline long call_run(const struct trap_frame *frame, uint32_t number)
{
    uint32_t *own = counters[cpu_current()->number]; /* nobody else writes it: nothing here sleeps */

    if (unlikely(number >= SYSTEM_CALL_LIMIT || !handlers[number] || !own))
        return call_run_slowly(frame, number);
    own[number]++;
    return ((handler_t)handlers[number])(frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9);
}

static void attribute_noinline call_run_traced(struct trap_frame *frame, uint32_t number)
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

/* A call by a door that is accounted for, or traced, or has no handler. */
static void attribute_noinline door_run_slowly(struct task *task, struct trap_frame *frame, uint32_t number)
{
    bool sampled = task_door_is_sampled(task);

    if (sampled)
        task_enter_kernel(task);
    call_run_for(frame, number);
    if (sampled)
        task_leave_sampled(task);
}

/* upcall_system_call(), call_run() and upcall_return_to_user() in one, for the shortest way: `make bench BENCH=instructions` counts it. */
bool upcall_door(struct trap_frame *frame)
{
    uint32_t number = (uint32_t)frame->rax;
    struct task *task = task_current();
    uint32_t *own = counters[cpu_current()->number];

    frame->original_rax = number;
    task->door_calls++;
    if (unlikely(task_door_is_sampled(task) || strace_enabled || number >= SYSTEM_CALL_LIMIT || !own || !handlers[number])) {
        door_run_slowly(task, frame, number);
    } else {
        own[number]++;
        frame->rax = (uint64_t)((handler_t)handlers[number])(frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9);
    }
    return frame->original_rax == number && !frame_wants_restart(frame) && !task->restore_signal_mask;
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
