/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Panic reports: the message, the registers and code bytes of a trap, and the stack by frame pointers with the names of
 * the functions; then the domain ends with reason crash. One CPU reports; a panic during the report ends it at once.
 *
 * Memory is read by report_read(), which survives a fault: registers of a broken kernel point anywhere.
 */
#include "xen/x86/trap_report.h"

#include <stdatomic.h>

#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/symbols.h"
#include "xen/machine/console_ring.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/shutdown.h"
#include "xen/x86/exception_table.h"
#include "xen/x86/frames.h"
#include "xen/x86/trap.h"

#define REPORT_DEPTH_LIMIT 32
#define REPORT_CODE_BEFORE 16
#define REPORT_CODE_BYTES 32

static atomic_uint report_stage; /* panics so far */
static const struct trap_frame *report_frame;

/* One word from anywhere in the kernel's half; false where nothing is mapped. */
static bool report_read(uint64_t address, uint64_t *word)
{
    bool read = false;

    if (address < DIRECT_MAP_BASE)
        return false;
    __asm__ volatile("1: mov (%2), %0\n mov $1, %b1\n2:\n" EXCEPTION_ENTRY("1b", "2b")
                     : "=&r"(*word), "+q"(read)
                     : "r"(address)
                     : "memory");
    return read;
}

static void report_place(const char *prefix, uint64_t address)
{
    uintptr_t distance = 0;
    char name[SYMBOL_NAME_BYTES];
    bool found = symbol_find(address, name, &distance);

    log_error("%s%016llx %s+0x%llx", prefix, (unsigned long long)address, found ? name : "?",
              (unsigned long long)distance);
}

static void report_code(uint64_t rip)
{
    char text[REPORT_CODE_BYTES * 3 + 3];
    size_t length = 0;

    for (uint64_t address = rip - REPORT_CODE_BEFORE; address < rip - REPORT_CODE_BEFORE + REPORT_CODE_BYTES; address++) {
        static const char digits[] = "0123456789abcdef";
        uint64_t word;
        if (!report_read(address, &word))
            break;
        text[length++] = address == rip ? '<' : ' ';
        text[length++] = digits[(word >> 4) & 15];
        text[length++] = digits[word & 15];
    }
    text[length] = '\0';
    if (length != 0)
        log_error("code (at <):%s", text);
}

static void report_stack(uint64_t rbp)
{
    log_error("stack:");
    for (unsigned int depth = 0; depth < REPORT_DEPTH_LIMIT; depth++) {
        uint64_t next, address;
        if (!report_read(rbp, &next) || !report_read(rbp + 8, &address) || address == 0)
            return;
        report_place("  ", address);
        if (next <= rbp)
            return;
        rbp = next;
    }
}

#define WORD(value) ((unsigned long long)(value))

void trap_report_registers(const struct trap_frame *frame)
{
    log_error("rip %016llx cs %04llx rflags %llx rsp %016llx", WORD(frame->rip), WORD(frame->cs & 0xffff),
              WORD(frame->rflags), WORD(frame->rsp));
    log_error("rax %016llx rbx %016llx rcx %016llx rdx %016llx", WORD(frame->rax), WORD(frame->rbx), WORD(frame->rcx),
              WORD(frame->rdx));
    log_error("rsi %016llx rdi %016llx rbp %016llx r8  %016llx", WORD(frame->rsi), WORD(frame->rdi), WORD(frame->rbp),
              WORD(frame->r8));
    log_error("r9  %016llx r10 %016llx r11 %016llx r12 %016llx", WORD(frame->r9), WORD(frame->r10), WORD(frame->r11),
              WORD(frame->r12));
    log_error("r13 %016llx r14 %016llx r15 %016llx", WORD(frame->r13), WORD(frame->r14), WORD(frame->r15));
}

static void report_and_end(const char *message)
{
    cpu_events_mask();
    console_break_lock();
    switch (atomic_fetch_add(&report_stage, 1)) {
    case 0:
        break;
    case 1:
        log_error("panic while reporting: %s", message);
        shutdown(SHUTDOWN_REASON_CRASH);
    default:
        shutdown(SHUTDOWN_REASON_CRASH);
    }
    log_error("panic: %s (CPU %u)", message, cpu_current()->number);
    if (report_frame) {
        trap_report_registers(report_frame);
        report_place("at ", report_frame->rip);
        report_code(report_frame->rip);
        report_stack(report_frame->rbp);
    } else {
        report_stack((uint64_t)__builtin_frame_address(0));
    }
    shutdown(SHUTDOWN_REASON_CRASH);
}

void trap_report_and_panic(struct trap_frame *frame, uint64_t address)
{
    if (atomic_load(&report_stage) == 0)
        report_frame = frame;
    if (FRAME_VECTOR(frame) == TRAP_PAGE_FAULT)
        panic("page fault in the kernel at address 0x%llx, error 0x%llx", WORD(address), WORD(FRAME_ERROR(frame)));
    if (FRAME_VECTOR(frame) == TRAP_DOUBLE_FAULT)
        panic("double fault: the kernel's stack has overflowed, or is no stack");
    panic("trap %u in the kernel, error 0x%llx", FRAME_VECTOR(frame), WORD(FRAME_ERROR(frame)));
}

void trap_report_start(void)
{
    panic_set_handler(report_and_end);
}
