/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is said when a signal ends a program: who, which signal, where (file and offset), at what address, and the
 * registers. One message a line, to the log.
 */
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/process/process_internal.h"
#include "xen/x86/trap_frame.h"

static const char *const signal_names[] = {
    [SIGNAL_HUP] = "SIGHUP", [SIGNAL_INT] = "SIGINT", [SIGNAL_QUIT] = "SIGQUIT", [SIGNAL_ILL] = "SIGILL",
    [SIGNAL_TRAP] = "SIGTRAP", [SIGNAL_ABRT] = "SIGABRT", [SIGNAL_BUS] = "SIGBUS", [SIGNAL_FPE] = "SIGFPE",
    [SIGNAL_KILL] = "SIGKILL", [SIGNAL_SEGV] = "SIGSEGV", [SIGNAL_XCPU] = "SIGXCPU", [SIGNAL_XFSZ] = "SIGXFSZ",
    [SIGNAL_SYS] = "SIGSYS",
};

/* "libc.so.6+0x1234", with the offset in the file; "[stack]+..."; or only the address. */
static void describe_place(struct address_space *space, uint64_t address, char *text, size_t size_bytes)
{
    char name[96];
    uint64_t device, inode;

    rw_lock_read(&space->lock);
    struct area *area = address_space_find(space, address);
    if (!area || area->start > address) {
        format_string(text, size_bytes, "nowhere");
    } else if (area->backing && area->backing->operations->describe) {
        size_t length = area->backing->operations->describe(area->backing, name, sizeof(name), &device, &inode);
        uint64_t offset = (area->backing_index << PAGE_SHIFT) + (address - area->start);
        name[minimum(length, sizeof(name) - 1)] = '\0';
        format_string(text, size_bytes, "%s+0x%llx", name, (unsigned long long)offset);
    } else {
        format_string(text, size_bytes, "%s+0x%llx", area->name ? area->name : "anonymous memory",
                      (unsigned long long)(address - area->start));
    }
    rw_unlock_read(&space->lock);
}

void crash_report(struct task *task, int number, const struct signal_information *information, const struct trap_frame *frame)
{
    struct process *process = task->process;
    char place[160], cause[64] = "";
    const char *name = (size_t)number < array_count(signal_names) && signal_names[number] ? signal_names[number] : "signal";

    /* Whoever kills a program knows it; a trap or an abort of its own is news. */
    if (information->code <= 0 && number != SIGNAL_ABRT)
        return;
    describe_place(process->space, frame->rip, place, sizeof(place));
    if ((number == SIGNAL_SEGV || number == SIGNAL_BUS) && information->code > 0 && information->code != SIGNAL_CODE_KERNEL)
        format_string(cause, sizeof(cause), " at address 0x%llx (%s)", (unsigned long long)information->fault.address,
                      number == SIGNAL_BUS ? "behind the end of a file, or not readable"
                      : information->code == 1 ? "not mapped" : "not permitted");
    log_error("%s[%d] tid %d is ended by %s (%d)%s in %s", task->command, process->pid, task->tid, name, number, cause, place);
    if (number == SIGNAL_ABRT && information->code <= 0) /* its own decision: it said why itself */
        return;
    log_error("  rip %016llx rsp %016llx rflags %08llx trap %u error %llx", (unsigned long long)frame->rip,
              (unsigned long long)frame->rsp, (unsigned long long)frame->rflags, task->fault_vector,
              (unsigned long long)task->fault_error);
    log_error("  rax %016llx rbx %016llx rcx %016llx rdx %016llx", (unsigned long long)frame->rax,
              (unsigned long long)frame->rbx, (unsigned long long)frame->rcx, (unsigned long long)frame->rdx);
    log_error("  rsi %016llx rdi %016llx rbp %016llx r8  %016llx", (unsigned long long)frame->rsi,
              (unsigned long long)frame->rdi, (unsigned long long)frame->rbp, (unsigned long long)frame->r8);
    log_error("  r9  %016llx r10 %016llx r11 %016llx r12 %016llx", (unsigned long long)frame->r9,
              (unsigned long long)frame->r10, (unsigned long long)frame->r11, (unsigned long long)frame->r12);
    log_error("  r13 %016llx r14 %016llx r15 %016llx fs  %016llx", (unsigned long long)frame->r13,
              (unsigned long long)frame->r14, (unsigned long long)frame->r15,
              (unsigned long long)context_get_fs_base(&task->thread->context));
}
