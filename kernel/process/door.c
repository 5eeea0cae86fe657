/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of a program's `syscall` instructions become doors (xen/x86/door.h, kernel/vm/code_patch.h), and who is sent on from inside one.
 */
#include "kernel/process/process_internal.h"
#include "kernel/vm/code_patch.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/door.h"
#include "xen/x86/trap_frame.h"
#include "xen/x86/user_access.h"

void upcall_call_site(struct trap_frame *frame)
{
    struct address_space *space = task_current()->process->space;

    if (likely(code_patch_enabled && space))
        code_patch_seen(space, frame->rip - SYSCALL_BYTES, (uint32_t)frame->rax);
}

bool door_repair(struct task *task, struct trap_frame *frame, bool breakpoint)
{
    struct address_space *space = task->process->space;
    uint64_t start = frame->rip - (breakpoint ? 1 : 0), go_on;
    uint8_t code[DOOR_MOVED_BYTES];
    size_t bytes = minimum(sizeof(code), PAGE_SIZE - (start & PAGE_MASK));

    if (!space || !space->patches)
        return false;
    go_on = code_patch_repair(space, frame->rip);
    if (go_on != 0) {
        frame->rip = go_on;
        return true;
    }
    /* A door that was unmade between the trap and here: the instruction is there again. */
    if (user_copy_in(code, start, bytes) != 0 || !door_site_is_whole(code, bytes, !breakpoint))
        return false;
    frame->rip = start;
    return true;
}

int door_stop(struct address_space *space)
{
    int error = code_patch_stop(space);

    return error != 0 ? error : vdso_close_door(space);
}
