/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame a handler finds on its stack, and the way back from it: Linux x86-64's struct rt_sigframe with ucontext and
 * siginfo, and the extended state above it in XSAVE format with the marks (fpx_sw_bytes) that libraries look for.
 *
 *   high   extended state, 64-byte aligned (at offset 464 its marks; behind it FP_XSTATE_MAGIC2)
 *          siginfo
 *          ucontext
 *   rsp -> return address: the restorer, which calls rt_sigreturn
 *
 * Everything in it is the program's to edit; what it may not set for itself is refused or masked on the way back.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"
#include "xen/x86/trap_frame.h"
#include "xen/x86/user_access.h"

#define ACTION_SIGNAL_INFORMATION 0x00000004u
#define ACTION_RESTORER 0x04000000u
#define ACTION_ON_STACK 0x08000000u

#define STACK_ON 1u
#define STACK_DISABLE 2u
#define STACK_AUTO_DISARM (1u << 31)

#define RED_ZONE_BYTES 128u
#define CONTEXT_FP_XSTATE 1u
#define CONTEXT_SEGMENT_SS 2u
#define CONTEXT_STRICT_SS 4u
#define FXSAVE_BYTES 512u
#define XSAVE_HEADER_BYTES 64u
#define XSTATE_MAGIC1 0x46505853u
#define XSTATE_MAGIC2 0x46505845u
#define XSTATE_MARKS_OFFSET 464u
#define MXCSR_OFFSET 24u
#define MXCSR_MASK_OFFSET 28u
#define MXCSR_MASK_DEFAULT 0x0000ffbfu
#define LINUX_USER_CS 0x33
#define LINUX_USER_DS 0x2b
#define RFLAGS_TRAP 0x100u
#define RFLAGS_DIRECTION 0x400u
#define RFLAGS_RESUME 0x10000u

struct user_stack {
    uint64_t address;
    uint32_t flags, padding;
    uint64_t length_bytes;
};

/* struct sigcontext. */
struct user_registers {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t extended_state;
    uint64_t reserved[8];
};
_Static_assert(sizeof(struct user_registers) == 256, "struct sigcontext");

struct user_context {
    uint64_t flags, link;
    struct user_stack stack;
    struct user_registers registers;
    uint64_t mask;
};
_Static_assert(sizeof(struct user_context) == 304, "struct ucontext");

struct user_frame {
    uint64_t return_address;
    struct user_context context;
    struct signal_information information;
};
_Static_assert(sizeof(struct user_frame) == 440, "struct rt_sigframe");

/* struct _fpx_sw_bytes. */
struct extended_marks {
    uint32_t magic1, extended_bytes;
    uint64_t features;
    uint32_t state_bytes;
    uint32_t padding[7];
};
_Static_assert(sizeof(struct extended_marks) == 48, "fpx_sw_bytes");

static bool on_alternate_stack(const struct task *task, uint64_t rsp)
{
    return task->alternate_stack_bytes != 0 && !(task->alternate_stack_flags & STACK_AUTO_DISARM) &&
           rsp > task->alternate_stack && rsp - task->alternate_stack <= task->alternate_stack_bytes;
}

static void registers_save(struct user_registers *to, const struct task *task, const struct trap_frame *frame, uint64_t mask)
{
    *to = (struct user_registers){
        .r8 = frame->r8, .r9 = frame->r9, .r10 = frame->r10, .r11 = frame->r11, .r12 = frame->r12, .r13 = frame->r13,
        .r14 = frame->r14, .r15 = frame->r15, .rdi = frame->rdi, .rsi = frame->rsi, .rbp = frame->rbp, .rbx = frame->rbx,
        .rdx = frame->rdx, .rax = frame->rax, .rcx = frame->rcx, .rsp = frame->rsp, .rip = frame->rip,
        .rflags = frame->rflags, .cs = LINUX_USER_CS, .ss = LINUX_USER_DS, .error = task->fault_error,
        .trap = task->fault_vector, .old_mask = mask, .cr2 = task->fault_address,
    };
}

/* Extended state to the program's stack; its place moves *rsp down. 0 or -EFAULT. */
static int extended_push(struct task *task, uint64_t *rsp, uint64_t *place)
{
    struct context *context = &task->thread->context;
    size_t size_bytes = context_extended_bytes();
    uint64_t features = context_extended_mask();
    struct extended_marks marks = { 0 };
    uint32_t magic2 = XSTATE_MAGIC2;

    *rsp = (*rsp - size_bytes - sizeof(magic2)) & ~63ull;
    *place = *rsp;
    context_extended_save(context);
    if (user_copy_out(*place, context->extended_state, size_bytes) != 0)
        return -EFAULT;
    if (features != 0) {
        marks.magic1 = XSTATE_MAGIC1;
        marks.extended_bytes = (uint32_t)size_bytes + sizeof(magic2);
        marks.features = features;
        marks.state_bytes = (uint32_t)size_bytes;
    }
    if (user_store(*place + XSTATE_MARKS_OFFSET, &marks) != 0)
        return -EFAULT;
    if (features == 0)
        return 0;
    return user_store(*place + size_bytes, &magic2);
}

int signal_frame_push(struct trap_frame *frame, int number, const struct signal_information *information,
                      const struct signal_action *action, uint64_t mask)
{
    struct task *task = task_current();
    struct user_frame user = { .information = *information };
    bool was_on = on_alternate_stack(task, frame->rsp);
    uint64_t rsp = frame->rsp - RED_ZONE_BYTES;

    if (!(action->flags & ACTION_RESTORER))
        return -EFAULT;
    if ((action->flags & ACTION_ON_STACK) && task->alternate_stack_bytes != 0 && !was_on)
        rsp = task->alternate_stack + task->alternate_stack_bytes;
    /* An overrun of the alternate stack must not run into what lies below it. */
    bool on = was_on || (rsp == task->alternate_stack + task->alternate_stack_bytes && task->alternate_stack_bytes != 0);
    uint64_t lowest = on ? task->alternate_stack : 0;
    user.context.flags = (context_extended_mask() != 0 ? CONTEXT_FP_XSTATE : 0) | CONTEXT_SEGMENT_SS | CONTEXT_STRICT_SS;
    user.context.stack = (struct user_stack){ .address = task->alternate_stack, .length_bytes = task->alternate_stack_bytes };
    user.context.stack.flags = (task->alternate_stack_bytes == 0 ? STACK_DISABLE : was_on ? STACK_ON : 0) |
                               (task->alternate_stack_flags & STACK_AUTO_DISARM);
    user.context.mask = mask;
    user.return_address = action->restorer;
    registers_save(&user.context.registers, task, frame, mask);
    if (rsp < lowest + context_extended_bytes() + sizeof(user) + 64)
        return -EFAULT;
    if (extended_push(task, &rsp, &user.context.registers.extended_state) != 0)
        return -EFAULT;
    rsp = ((rsp - sizeof(user)) & ~15ull) - 8;
    if (user_store(rsp, &user) != 0)
        return -EFAULT;

    if (task->alternate_stack_flags & STACK_AUTO_DISARM) {
        task->alternate_stack = task->alternate_stack_bytes = 0;
        task->alternate_stack_flags = 0;
    }
    frame->rdi = (uint64_t)number;
    frame->rsi = rsp + offsetof(struct user_frame, information);
    frame->rdx = rsp + offsetof(struct user_frame, context);
    frame->rax = 0;
    frame->rip = action->handler;
    frame->rsp = rsp;
    frame->rflags &= ~(uint64_t)(RFLAGS_DIRECTION | RFLAGS_TRAP | RFLAGS_RESUME);
    return 0;
}

/* Makes a state from the program loadable: no reserved bit may be set, or the processor refuses it. */
static void extended_sanitise(uint8_t *state, uint64_t features)
{
    uint32_t mxcsr, mxcsr_mask;

    memcpy(&mxcsr, state + MXCSR_OFFSET, sizeof(mxcsr));
    memcpy(&mxcsr_mask, (uint8_t *)task_current()->thread->context.extended_state + MXCSR_MASK_OFFSET, sizeof(mxcsr_mask));
    mxcsr &= mxcsr_mask != 0 ? mxcsr_mask : MXCSR_MASK_DEFAULT;
    memcpy(state + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    if (context_extended_mask() == 0)
        return;
    memset(state + FXSAVE_BYTES, 0, XSAVE_HEADER_BYTES);
    memcpy(state + FXSAVE_BYTES, &features, sizeof(features));
}

static int extended_pop(struct task *task, uint64_t place)
{
    struct context *context = &task->thread->context;
    size_t size_bytes = context_extended_bytes();
    uint64_t mask = context_extended_mask(), features = mask & 3;
    struct extended_marks marks;
    uint32_t magic2 = 0;
    int error = 0;

    if (place == 0) { /* the handler left none: a fresh state */
        context_extended_init(context->extended_state);
        context_extended_load(context);
        return 0;
    }
    uint8_t *state = memory_allocate_zeroed(size_bytes);
    if (!state)
        return -ENOMEM;
    if (user_copy_in(state, place, FXSAVE_BYTES) != 0)
        error = -EFAULT;
    memcpy(&marks, state + XSTATE_MARKS_OFFSET, sizeof(marks));
    bool extended = error == 0 && mask != 0 && marks.magic1 == XSTATE_MAGIC1 && marks.state_bytes >= FXSAVE_BYTES + XSAVE_HEADER_BYTES &&
                    marks.state_bytes <= size_bytes && marks.extended_bytes >= marks.state_bytes &&
                    user_load(&magic2, place + marks.state_bytes) == 0 && magic2 == XSTATE_MAGIC2;
    if (extended) {
        if (user_copy_in(state, place, marks.state_bytes) != 0)
            error = -EFAULT;
        memcpy(&features, state + FXSAVE_BYTES, sizeof(features));
        features &= mask & marks.features;
    }
    if (error == 0) {
        context_extended_save(context); /* for mxcsr_mask, and so that components that are not restored keep their place */
        extended_sanitise(state, features);
        memcpy(context->extended_state, state, size_bytes);
        context_extended_load(context);
    }
    memory_free(state);
    return error;
}

static void registers_restore(struct trap_frame *frame, const struct user_registers *from)
{
    frame->r8 = from->r8;
    frame->r9 = from->r9;
    frame->r10 = from->r10;
    frame->r11 = from->r11;
    frame->r12 = from->r12;
    frame->r13 = from->r13;
    frame->r14 = from->r14;
    frame->r15 = from->r15;
    frame->rdi = from->rdi;
    frame->rsi = from->rsi;
    frame->rbp = from->rbp;
    frame->rbx = from->rbx;
    frame->rdx = from->rdx;
    frame->rax = from->rax;
    frame->rcx = from->rcx;
    frame->rsp = from->rsp;
    frame->rip = from->rip;
    /* The segments stay what they are: there is only one kind of user code here. */
    frame->rflags = (frame->rflags & ~TRAP_FRAME_USER_RFLAGS) | (from->rflags & TRAP_FRAME_USER_RFLAGS);
    frame->original_rax = NOT_IN_SYSTEM_CALL;
}

long signal_return(struct trap_frame *frame)
{
    struct task *task = task_current();
    struct signal_information fault = { .number = SIGNAL_SEGV, .code = SIGNAL_CODE_KERNEL };
    struct user_context context;
    /* The restorer was entered by the handler's return: the frame's first word is popped. */
    uint64_t user = frame->rsp - sizeof(uint64_t);

    if (user_copy_in(&context, user + offsetof(struct user_frame, context), sizeof(context)) != 0 ||
        context.registers.rip >= USER_ADDRESS_HIGH || extended_pop(task, context.registers.extended_state) != 0) {
        signal_force(SIGNAL_SEGV, &fault);
        return (long)frame->rax;
    }
    signal_mask_set(context.mask);
    registers_restore(frame, &context.registers);
    task->thread->context.unfinished = true;
    if (!on_alternate_stack(task, frame->rsp) && !(context.stack.flags & ~(STACK_ON | STACK_DISABLE | STACK_AUTO_DISARM))) {
        bool off = context.stack.flags & STACK_DISABLE;
        if (off || context.stack.length_bytes >= SIGNAL_STACK_MINIMUM) {
            task->alternate_stack = off ? 0 : context.stack.address;
            task->alternate_stack_bytes = off ? 0 : context.stack.length_bytes;
            task->alternate_stack_flags = context.stack.flags & STACK_AUTO_DISARM;
        }
    }
    return (long)frame->rax;
}
