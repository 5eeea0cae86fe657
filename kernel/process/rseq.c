/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restartable sequences: a task's program registers an area (Linux's struct rseq) in which the kernel keeps the number of the CPU it
 * runs on, and in which the program says what it is in the middle of (struct rseq_cs). When the task comes back to user mode after
 * another ran on its CPU, after it moved, before a signal's handler and after another task's barrier, a changed number is
 * written, and a program that is inside its sequence goes on at the sequence's abort address. What the program says wrong ends
 * it with SIGSEGV. Source: Linux, include/uapi/linux/rseq.h, and rseq(2).
 *
 * That a task was away, or is asked by a barrier, is its thread's flag `switched`; all else is the task's own.
 */
#include "kernel/base/error.h"
#include "kernel/process/process_internal.h"
#include "xen/machine/cpu.h"
#include "xen/x86/trap_frame.h"
#include "xen/x86/user_access.h"

#define CPU_UNINITIALIZED (~0u)

struct rseq_area {
    uint32_t cpu_start, cpu;
    uint64_t sequence;
    uint32_t flags, node, concurrency;
};

struct rseq_sequence {
    uint32_t version, flags;
    uint64_t start, length, abort;
};

_Static_assert(offsetof(struct rseq_area, sequence) == 8 && offsetof(struct rseq_area, node) == 20, "Linux's struct rseq");
_Static_assert(sizeof(struct rseq_sequence) == 32, "Linux's struct rseq_cs");

#define AREA_FIELD(task, field) ((task)->rseq_area + offsetof(struct rseq_area, field))

/* cpu_start, cpu; node and the number below the count of CPUs that no other task of the process has now: the CPU's does. */
static int numbers_write(const struct task *task, uint32_t cpu_start, uint32_t cpu)
{
    const uint32_t first[2] = { cpu_start, cpu }, second[2] = { 0, cpu_start };

    return user_copy_out(AREA_FIELD(task, cpu_start), first, sizeof(first)) ||
                   user_copy_out(AREA_FIELD(task, node), second, sizeof(second))
               ? -EFAULT
               : 0;
}

static bool sequence_valid(const struct task *task, const struct rseq_sequence *sequence)
{
    uint32_t signature;

    return sequence->version == 0 && sequence->flags == 0 && user_range_valid(sequence->start, sequence->length) &&
           user_range_valid(sequence->abort, 0) && sequence->abort >= sizeof(signature) &&
           sequence->abort - sequence->start >= sequence->length &&
           user_load(&signature, sequence->abort - sizeof(signature)) == 0 && signature == task->rseq_signature;
}

/* A program inside the sequence that lies at `place` goes to the abort address. 0 or -EFAULT, -EINVAL. */
static int sequence_abort(const struct task *task, struct trap_frame *frame, uint64_t place)
{
    struct rseq_sequence sequence;
    uint64_t none = 0;

    if (user_load(&sequence, place) != 0)
        return -EFAULT;
    if (!sequence_valid(task, &sequence))
        return -EINVAL;
    if (user_store(AREA_FIELD(task, sequence), &none) != 0)
        return -EFAULT;
    if (frame->rip - sequence.start < sequence.length)
        frame->rip = sequence.abort;
    return 0;
}

/* The area is to be changed, or cannot be read. */
static attribute_noinline void area_change(struct task *task, struct trap_frame *frame, uint32_t cpu)
{
    struct signal_information fault = { .number = SIGNAL_SEGV, .code = SIGNAL_CODE_KERNEL };
    uint64_t place;
    int error = user_load_u64(AREA_FIELD(task, sequence), &place);

    if (error == 0 && place != 0)
        error = sequence_abort(task, frame, place);
    if (error == 0)
        error = numbers_write(task, cpu, cpu);
    task->rseq_cpu = cpu;
    if (error == 0)
        return;
    task->rseq_area = 0;
    signal_force(SIGNAL_SEGV, &fault);
}

void rseq_resume(struct task *task, struct trap_frame *frame)
{
    uint64_t place;

    /* What is read and written may be paged in, which switches: the caller looks again. */
    write_once(task->thread->context.switched, false);
    if (task->rseq_area == 0)
        return;
    uint32_t cpu = cpu_current()->number;
    if (task->rseq_cpu != cpu || user_load_u64(AREA_FIELD(task, sequence), &place) != 0 || place != 0)
        area_change(task, frame, cpu);
}

static void barrier_visit(struct task *task, void *context)
{
    (void)context;
    write_once(task->thread->context.switched, true);
}

void rseq_barrier(struct process *process)
{
    task_for_each(process, barrier_visit, NULL);
}

int rseq_register(uint64_t area, uint32_t size_bytes, uint32_t signature)
{
    struct task *task = task_current();

    if (task->rseq_area != 0) {
        if (task->rseq_area != area || task->rseq_bytes != size_bytes)
            return -EINVAL;
        return task->rseq_signature == signature ? -EBUSY : -EPERM;
    }
    if (size_bytes < RSEQ_AREA_BYTES || area % RSEQ_AREA_BYTES != 0)
        return -EINVAL;
    if (area == 0 || !user_range_valid(area, size_bytes))
        return -EFAULT;
    task->rseq_area = area;
    task->rseq_bytes = size_bytes;
    task->rseq_signature = signature;
    task->rseq_cpu = CPU_UNINITIALIZED;
    write_once(task->thread->context.switched, true);
    return 0;
}

int rseq_unregister(uint64_t area, uint32_t size_bytes, uint32_t signature)
{
    struct task *task = task_current();

    if (task->rseq_area == 0 || task->rseq_area != area || task->rseq_bytes != size_bytes)
        return -EINVAL;
    if (task->rseq_signature != signature)
        return -EPERM;
    if (numbers_write(task, 0, CPU_UNINITIALIZED) != 0)
        return -EFAULT;
    task->rseq_area = 0;
    return 0;
}
