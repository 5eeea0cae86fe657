/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults and traps of programs: page faults to kernel/vm, what it refuses and everything else to signals.
 *
 * A fault inside user_copy is served the same way; refused, it answers false and the copy ends with -EFAULT. Out of memory
 * ends the program that asked, with a line that says who held what.
 */
#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/process/process_internal.h"
#include "kernel/vm/code_patch.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/trap_frame.h"

/* Error code of page faults. */
#define FAULT_PRESENT 1u
#define FAULT_WRITE 2u
#define FAULT_FETCH 16u

/* si_code. */
enum { SEGV_MAP_ERROR = 1, SEGV_ACCESS_ERROR = 2, BUS_ADDRESS_ALIGNMENT = 1, BUS_ADDRESS_ERROR = 2, ILLEGAL_OPERAND = 2,
       FPE_INTEGER_DIVIDE = 1, FPE_INTEGER_OVERFLOW = 2, FPE_DIVIDE = 3, FPE_OVERFLOW = 4, FPE_UNDERFLOW = 5, FPE_RESULT = 6,
       FPE_INVALID = 7, TRAP_BREAKPOINT = 1, TRAP_TRACE = 2 };

enum { VECTOR_DIVIDE = 0, VECTOR_DEBUG = 1, VECTOR_BREAKPOINT = 3, VECTOR_OVERFLOW = 4, VECTOR_BOUND = 5, VECTOR_OPCODE = 6,
       VECTOR_DEVICE = 7, VECTOR_STACK = 12, VECTOR_PROTECTION = 13, VECTOR_PAGE_FAULT = 14, VECTOR_X87 = 16,
       VECTOR_ALIGNMENT = 17, VECTOR_SIMD = 19, VECTOR_CONTROL = 21 };

static void trap_signal(int number, int code, uint64_t address, unsigned int vector, uint64_t error)
{
    struct task *task = task_current();
    struct signal_information information = { .number = number, .code = code };

    information.fault.address = address;
    task->fault_vector = vector;
    task->fault_error = error;
    if (vector == VECTOR_PAGE_FAULT)
        task->fault_address = address;
    signal_force(number, &information);
}

struct memory_walk {
    unsigned int lines;
};

static void memory_tell(struct process *process, void *context)
{
    struct memory_walk *walk = context;

    spinlock_lock(&process->lock);
    uint64_t pages = process->space && !process->zombie ? atomic_load(&process->space->resident_pages) : 0;
    spinlock_unlock(&process->lock);
    if (pages > 0 && walk->lines-- > 0)
        log_error("  %s[%d] holds %llu KiB", process->command, process->pid, (unsigned long long)pages * 4);
}

static void out_of_memory(struct process *process)
{
    struct page_statistics statistics;
    struct memory_walk walk = { .lines = 8 };
    struct signal_information information = { .number = SIGNAL_KILL, .code = SIGNAL_CODE_KERNEL };

    page_statistics_get(&statistics);
    log_error("out of memory: %s[%d] is killed; of %llu KiB, %llu are free, programs hold %llu, file pages %llu, kernel %llu",
              process->command, process->pid, (unsigned long long)statistics.total_pages * 4,
              (unsigned long long)statistics.free_pages * 4, (unsigned long long)statistics.kind_pages[PAGE_ANONYMOUS] * 4,
              (unsigned long long)statistics.kind_pages[PAGE_CACHE] * 4,
              (unsigned long long)(statistics.kind_pages[PAGE_KERNEL] + statistics.kind_pages[PAGE_TABLE] +
                                   statistics.kind_pages[PAGE_STACK] + statistics.kind_pages[PAGE_DEVICE]) * 4);
    process_for_each(memory_tell, &walk);
    signal_send_process(process, SIGNAL_KILL, &information);
}

bool upcall_page_fault(struct trap_frame *frame, uint64_t address, uint64_t error)
{
    struct task *task = task_current();
    bool from_user = trap_frame_is_user(frame);
    uint32_t access = error & FAULT_WRITE ? PAGING_WRITE : error & FAULT_FETCH ? PAGING_EXECUTE : PAGING_READ;

    if (!task)
        return false; /* a kernel thread has no program's memory */
    if (from_user)
        task_enter_kernel(task);
    struct address_space *space = task->process->space;
    int result = space ? address_space_fault(space, address, access) : -EFAULT;
    if (likely(result == 0))
        return true;
    if (result == -ENOMEM)
        out_of_memory(task->process);
    if (!from_user)
        return false;
    if (result == -ENXIO || result == -EIO)
        trap_signal(SIGNAL_BUS, BUS_ADDRESS_ERROR, address, VECTOR_PAGE_FAULT, error);
    else if (result == -EACCES)
        trap_signal(SIGNAL_SEGV, SEGV_ACCESS_ERROR, address, VECTOR_PAGE_FAULT, error);
    else if (result != -ENOMEM)
        trap_signal(SIGNAL_SEGV, SEGV_MAP_ERROR, address, VECTOR_PAGE_FAULT, error);
    return true;
}

/* Which of the x87 or SSE exceptions that are not masked it was. */
static int float_code(const struct task *task, unsigned int vector)
{
    const uint8_t *state = task->thread->context.extended_state;
    unsigned int flags;

    context_extended_save(&task_current()->thread->context);
    if (vector == VECTOR_X87) {
        unsigned int control = state[0] | (unsigned int)state[1] << 8, status = state[2] | (unsigned int)state[3] << 8;
        flags = status & ~control & 0x3f;
    } else {
        unsigned int mxcsr = state[24] | (unsigned int)state[25] << 8;
        flags = mxcsr & ~(mxcsr >> 7) & 0x3f;
    }
    if (flags & 1)
        return FPE_INVALID;
    if (flags & 4)
        return FPE_DIVIDE;
    if (flags & 8)
        return FPE_OVERFLOW;
    if (flags & (2 | 16))
        return FPE_UNDERFLOW;
    return flags & 32 ? FPE_RESULT : 0;
}

void upcall_user_trap(struct trap_frame *frame, unsigned int vector, uint64_t error)
{
    struct task *task = task_current();

    task_enter_kernel(task);
    switch (vector) {
    case VECTOR_DIVIDE:
        trap_signal(SIGNAL_FPE, FPE_INTEGER_DIVIDE, frame->rip, vector, error);
        break;
    case VECTOR_DEBUG:
        /* A step inside a door's trampoline is none of the program's: the next one counts. */
        if (task->process->space && code_patch_place(task->process->space, frame->rip) != frame->rip)
            return;
        trap_signal(SIGNAL_TRAP, TRAP_TRACE, frame->rip, vector, error);
        break;
    case VECTOR_BREAKPOINT:
        if (door_repair(task, frame, true))
            return;
        trap_signal(SIGNAL_TRAP, SIGNAL_CODE_KERNEL, 0, vector, error);
        break;
    case VECTOR_OPCODE:
        if (door_repair(task, frame, false))
            return;
        trap_signal(SIGNAL_ILL, ILLEGAL_OPERAND, frame->rip, vector, error);
        break;
    case VECTOR_X87:
    case VECTOR_SIMD:
        trap_signal(SIGNAL_FPE, float_code(task, vector), frame->rip, vector, error);
        break;
    case VECTOR_ALIGNMENT:
        trap_signal(SIGNAL_BUS, BUS_ADDRESS_ALIGNMENT, 0, vector, error);
        break;
    case VECTOR_STACK:
        trap_signal(SIGNAL_BUS, SIGNAL_CODE_KERNEL, 0, vector, error);
        break;
    default: /* #GP, #OF, #BR, #NP, #CP and whatever else comes */
        trap_signal(SIGNAL_SEGV, SIGNAL_CODE_KERNEL, 0, vector, error);
        break;
    }
}
