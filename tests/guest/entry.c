/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User mode, without any room above: a few hand-made programs run on page tables of their own, and this file stands in for the
 * pager and the system calls. They check their registers, their red zone and their vector registers against what must hold
 * across system calls, faults, events and thread switches.
 *
 * The programs' calls: 1 answer rdi + 1; 2 a check failed, rdi says which; 3 the end; 4 yield; 5 return to a non-canonical
 * address; 6 the address of the next instruction goes where traps are to continue.
 */
#include "kernel/base/error.h"
#include "kernel/boot/first_program.h"
#include "kernel/boot/processors.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "tests/guest/tap.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/paging.h"
#include "xen/x86/trap.h"
#include "xen/x86/trap_frame.h"
#include "xen/x86/user_access.h"

#define CODE 0x400000ull
#define DATA 0x10000000ull
#define STACK_TOP 0x7fff00000000ull
#define PAGE_LIMIT 256

/* Locks: none: one CPU, and a program's thread is the only one to touch it while it runs. */
struct program {
    struct paging_root root;
    struct page *pages[PAGE_LIMIT];
    uint64_t addresses[PAGE_LIMIT];
    size_t page_count;
    uint64_t calls, faults, traps;
    unsigned int last_vector;
    uint64_t failed;        /* the check that failed, or 0 */
    uint64_t resume;        /* where traps continue */
    uint64_t seed;
    uint64_t cpus;          /* where it runs; 0: anywhere */
    volatile bool ended;
};

extern const char program_calls[], program_red_zone[], program_faults[], program_traps[], program_vectors[], programs_end[];

__asm__(".pushsection .rodata\n"
        ".macro check_register name, value\n"
        "    cmp $\\value, %\\name\n"
        "    je 99f\n"
        "    mov $2, %eax\n    mov $\\value, %edi\n    syscall\n"
        "99:\n"
        ".endm\n"
        /* Registers across 2000 calls. */
        "program_calls:\n"
        "    mov $2000, %r15d\n"
        "1:  mov $0x101, %rbx\n mov $0x102, %rbp\n mov $0x103, %rdx\n mov $0x104, %rsi\n mov $0x105, %rdi\n"
        "    mov $0x106, %r8\n mov $0x107, %r9\n mov $0x108, %r10\n mov $0x10c, %r12\n mov $0x10d, %r13\n mov $0x10e, %r14\n"
        "    mov $1, %eax\n"
        "    std\n"
        "    syscall\n"
        "2:  pushf\n"
        "    cld\n"
        "    testl $0x400, (%rsp)\n"
        "    jnz 3f\n"
        "    mov $2, %eax\n    mov $0xdf, %edi\n    syscall\n"
        "3:  lea 8(%rsp), %rsp\n"
        "    check_register rax, 0x106\n check_register rbx, 0x101\n check_register rbp, 0x102\n check_register rdx, 0x103\n"
        "    check_register rsi, 0x104\n check_register rdi, 0x105\n check_register r8, 0x106\n check_register r9, 0x107\n"
        "    check_register r10, 0x108\n check_register r12, 0x10c\n check_register r13, 0x10d\n check_register r14, 0x10e\n"
        "    dec %r15\n"
        "    jnz 1b\n"
        "    mov $3, %eax\n    syscall\n"
        /* The red zone, and registers that a system call may change, across events. */
        "program_red_zone:\n"
        "    mov $0x1234567, %rax\n mov $0x2345678, %rcx\n mov $0x3456789, %r11\n"
        "    mov $16, %edx\n"
        "1:  mov %rdx, %rbx\n neg %rbx\n mov %rdx, (%rsp, %rbx, 8)\n dec %edx\n jnz 1b\n"
        "2:  mov $16, %edx\n"
        "3:  mov %rdx, %rbx\n neg %rbx\n cmp %rdx, (%rsp, %rbx, 8)\n jne 4f\n dec %edx\n jnz 3b\n"
        "    cmp $0x1234567, %rax\n jne 4f\n cmp $0x2345678, %rcx\n jne 4f\n cmp $0x3456789, %r11\n jne 4f\n"
        "    mov $0x10000000, %rbp\n    cmpq $0, (%rbp)\n    je 2b\n"
        "    mov $3, %eax\n    syscall\n"
        "4:  mov $2, %eax\n    mov $0x7ed, %edi\n    syscall\n"
        /* First touches of 64 pages. */
        "program_faults:\n"
        "    mov $0x10001000, %rdi\n    mov $64, %ecx\n"
        "1:  mov %rdi, (%rdi)\n    add $4096, %rdi\n    dec %ecx\n    jnz 1b\n"
        "    mov $0x10001000, %rdi\n    mov $64, %ecx\n"
        "2:  cmp %rdi, (%rdi)\n    je 3f\n    mov $2, %eax\n    mov $0xf0, %edi\n    syscall\n"
        "3:  add $4096, %rdi\n    dec %ecx\n    jnz 2b\n"
        "    mov $3, %eax\n    syscall\n"
        /* Traps: undefined instruction, Xen's memory, a non-canonical address, divide, breakpoint, a return that Xen refuses,
         * and, by an instruction, the vector that events have under PVH. */
        "program_traps:\n"
        "    mov $6, %eax\n    lea 1f(%rip), %rdi\n    syscall\n    ud2\n"
        "1:  mov $6, %eax\n    lea 2f(%rip), %rdi\n    syscall\n    mov $0xffff820000000000, %rbx\n    mov (%rbx), %rbx\n"
        "2:  mov $6, %eax\n    lea 3f(%rip), %rdi\n    syscall\n    mov $0x8000000000001000, %rbx\n    mov (%rbx), %rbx\n"
        "3:  mov $6, %eax\n    lea 4f(%rip), %rdi\n    syscall\n    xor %ecx, %ecx\n    div %ecx\n"
        "4:  mov $6, %eax\n    lea 5f(%rip), %rdi\n    syscall\n    int3\n    nop\n"
        "5:  mov $6, %eax\n    lea 6f(%rip), %rdi\n    syscall\n    mov $5, %eax\n    syscall\n"
        "6:  mov $6, %eax\n    lea 7f(%rip), %rdi\n    syscall\n    xor %esp, %esp\n    push %rax\n"
        "7:  mov $6, %eax\n    lea 8f(%rip), %rdi\n    syscall\n    int $0x20\n"
        "8:  mov $3, %eax\n    syscall\n"
        /* Vector registers across yields and events; rdi is the pattern. */
        "program_vectors:\n"
        "    mov %rdi, %r14\n"
        "    movq %r14, %xmm0\n    lea 1(%r14), %rax\n    movq %rax, %xmm7\n    lea 2(%r14), %rax\n    movq %rax, %xmm15\n"
        "    mov $3000, %r15d\n"
        "1:  test $7, %r15d\n    jnz 2f\n    mov $4, %eax\n    syscall\n"
        "2:  mov $200, %ecx\n"
        "3:  dec %ecx\n    jnz 3b\n"
        "    movq %xmm0, %rax\n    cmp %r14, %rax\n    jne 4f\n"
        "    movq %xmm7, %rax\n    lea -1(%rax), %rax\n    cmp %r14, %rax\n    jne 4f\n"
        "    movq %xmm15, %rax\n    lea -2(%rax), %rax\n    cmp %r14, %rax\n    jne 4f\n"
        "    dec %r15\n    jnz 1b\n"
        "    mov $3, %eax\n    syscall\n"
        "4:  mov $2, %eax\n    mov $0xec, %edi\n    syscall\n"
        "programs_end:\n"
        ".popsection\n");

static struct program *program_current(void)
{
    return thread_current()->owner;
}

static void program_map(struct program *program, uint64_t address, uint32_t protection)
{
    struct page *page = page_allocate(0, PAGE_ANONYMOUS, PAGE_ALLOCATE_ZERO);
    struct paging_entry entry = { .pfn = page_pfn(page), .flags = protection };

    program->pages[program->page_count] = page;
    program->addresses[program->page_count++] = address;
    if (paging_map(&program->root, address, &entry, 1) != 0)
        program->failed = ~0ull;
}

void upcall_system_call(struct trap_frame *frame)
{
    struct program *program = program_current();

    program->calls++;
    switch (frame->original_rax) {
    case 1:
        frame->rax = frame->rdi + 1;
        return;
    case 2:
        program->failed = frame->rdi;
        __attribute__((fallthrough));
    case 3:
        program->ended = true;
        thread_exit();
    case 4:
        thread_yield();
        return;
    case 5:
        frame->rip = 0x8000000000001000ull;
        return;
    case 6:
        program->resume = frame->rdi;
        return;
    }
}

/* Doors have their own test, in programs (tests/linux/abi/doors.c). */
void upcall_call_site(struct trap_frame *frame)
{
    (void)frame;
}

upcall_handler_t *const upcall_handlers[UPCALL_HANDLERS];

void upcall_door(struct trap_frame *frame)
{
    upcall_system_call(frame);
}

bool upcall_page_fault(struct trap_frame *frame, uint64_t address, uint64_t error)
{
    struct program *program = program_current();

    if (program && address >= DATA && address < DATA + 0x100000 && program->page_count < PAGE_LIMIT) {
        program->faults++;
        program_map(program, address & ~PAGE_MASK, PAGING_READ | PAGING_WRITE);
        return true;
    }
    if (!trap_frame_is_user(frame))
        return false;
    upcall_user_trap(frame, TRAP_PAGE_FAULT, error);
    return true;
}

void upcall_user_trap(struct trap_frame *frame, unsigned int vector, uint64_t error)
{
    struct program *program = program_current();

    (void)error;
    program->traps++;
    program->last_vector = program->last_vector * 100 + vector;
    frame->rip = program->resume;
    frame->rsp = STACK_TOP - 512;
    if (program->resume == 0) {
        program->failed = 1000 + vector;
        program->ended = true;
        thread_exit();
    }
}

void upcall_return_to_user(struct trap_frame *frame)
{
    (void)frame;
    while (thread_reschedule_due()) {
        cpu_events_unmask();
        thread_yield_if_due();
        cpu_events_mask();
    }
}

static const char *program_entry;

static void program_thread(void *argument)
{
    struct program *program = argument;
    struct context *context = &thread_current()->context;
    uint64_t rip = CODE + (uint64_t)(program_entry - program_calls);

    if (program->cpus)
        thread_set_cpu_mask(thread_current(), program->cpus);
    trap_frame_init_user(context_user_frame(context), rip, STACK_TOP - 512);
    context_user_frame(context)->rdi = program->seed;
    context_enter_user(context);
}

static void program_prepare(struct program *program)
{
    *program = (struct program){ .page_count = 0 };
    if (paging_root_create(&program->root) != 0) {
        program->failed = ~0ull;
        return;
    }
    program_map(program, CODE, PAGING_READ | PAGING_EXECUTE);
    __builtin_memcpy(page_address(program->pages[0]), program_calls, (size_t)(programs_end - program_calls));
    program_map(program, STACK_TOP - PAGE_SIZE, PAGING_READ | PAGING_WRITE);
    program_map(program, DATA, PAGING_READ | PAGING_WRITE);
}

static void program_start(struct program *program, const char *entry)
{
    struct thread *thread;

    program_entry = entry;
    if (program->failed || thread_create(&thread, "program", program_thread, program) != 0 ||
        thread_make_user(thread, &program->root, false) != 0) {
        program->failed = ~0ull;
        program->ended = true;
        return;
    }
    thread->owner = program;
    thread_start(thread);
    thread_release(thread);
    thread_yield();
}

static bool program_wait(struct program *program)
{
    for (unsigned int i = 0; i < 2000 && !program->ended; i++)
        thread_pause(5000000);
    thread_pause(5000000);
    return program->ended;
}

static void program_destroy(struct program *program)
{
    for (size_t i = 0; i < program->page_count; i++) {
        struct paging_entry old;
        paging_unmap(&program->root, program->addresses[i], &old, 1);
        if (old.pfn.number != page_pfn(program->pages[i]).number)
            program->failed = 0xdead;
        page_release(program->pages[i]);
    }
    paging_root_destroy(&program->root);
}

static void calls_test(void)
{
    static struct program program;

    program_prepare(&program);
    program_start(&program, program_calls);
    bool ended = program_wait(&program);
    program_destroy(&program);
    tap_case(ended && program.failed == 0 && program.calls == 2001, "2000 system calls keep all registers (%llu, check %llx)",
             (unsigned long long)program.calls, (unsigned long long)program.failed);
}

#define TICK_NS 1000000u

static uint64_t ticks;
static uint64_t tick_ns = TICK_NS;
static void tick(struct timer *timer)
{
    ticks++;
    timer_start(timer, clock_monotonic_ns() + tick_ns);
}

#define STORM_ROUNDS 20u
#define STORM_TICK_NS 50000u

static struct program storm_program;
static volatile bool storm_over;

/* Interrupts CPU 0, from CPU 1, until the program's end. */
static void kick_thread(void *argument)
{
    (void)argument;
    thread_set_cpu_mask(thread_current(), 2);
    while (!storm_program.ended) {
        cpu_kick(0);
        thread_yield_if_due();
    }
    storm_over = true;
}

/* Interrupted at any instruction of the ways in and out: by another CPU's kicks, on one CPU by a timer. */
static bool storm_round(struct timer *timer, bool alone)
{
    struct thread *thread = NULL;

    program_prepare(&storm_program);
    storm_program.cpus = 1;
    storm_over = alone;
    if (alone) {
        timer_start(timer, clock_monotonic_ns());
    } else if (thread_create(&thread, "kicks", kick_thread, NULL) == 0) {
        thread_start(thread);
        thread_release(thread);
    }
    program_start(&storm_program, program_calls);
    bool ended = program_wait(&storm_program);
    timer_cancel(timer);
    while (thread && ended && !storm_over)
        thread_pause(1000000);
    program_destroy(&storm_program);
    return ended && storm_program.failed == 0;
}

static void storm_test(void)
{
    bool alone = cpu_online_count() == 1;
    unsigned int round = 0;
    struct timer timer;

    timer_init(&timer, tick);
    tick_ns = STORM_TICK_NS;
    while (round < STORM_ROUNDS && storm_round(&timer, alone))
        round++;
    tick_ns = TICK_NS;
    tap_case(round == STORM_ROUNDS, "system calls outlive %s at any instruction (%u rounds, check %llx)",
             alone ? "timer events" : "another CPU's kicks", round, (unsigned long long)storm_program.failed);
}

static void red_zone_test(void)
{
    static struct program program;
    struct timer timer;

    program_prepare(&program);
    timer_init(&timer, tick);
    ticks = 0;
    timer_start(&timer, clock_monotonic_ns());
    program_start(&program, program_red_zone);
    for (unsigned int i = 0; i < 20000 && ticks < 300; i++) /* patience, for a busy host */
        thread_pause(1000000);
    *(volatile uint64_t *)page_address(program.pages[2]) = 1; /* its word at DATA */
    bool ended = program_wait(&program);
    timer_cancel(&timer);
    program_destroy(&program);
    tap_case(ended && program.failed == 0 && ticks >= 300, "the red zone and all registers outlive %llu timer events (check %llx)",
             (unsigned long long)ticks, (unsigned long long)program.failed);
}

static void faults_test(void)
{
    static struct program program;

    program_prepare(&program);
    program_start(&program, program_faults);
    bool ended = program_wait(&program);
    program_destroy(&program);
    tap_case(ended && program.failed == 0 && program.faults == 64, "64 pages on first touch (%llu faults, check %llx)",
             (unsigned long long)program.faults, (unsigned long long)program.failed);
}

static void traps_test(void)
{
    static struct program program;

    program_prepare(&program);
    program_start(&program, program_traps);
    bool ended = program_wait(&program);
    program_destroy(&program);
    /* Vectors as decimal pairs: 6 invalid opcode, 14, 13, 0, 3, 13 from the refused return, 14 with rsp 0, 13. */
    tap_case(ended && program.failed == 0 && program.traps == 8, "%llu traps come back to the program (check %llx)",
             (unsigned long long)program.traps, (unsigned long long)program.failed);
    tap_case(program.last_vector == (unsigned int)614130003131413ull, "and each as the trap it was (%u)", program.last_vector);
}

static void vectors_test(void)
{
    static struct program programs[4];
    struct timer timer;
    uint64_t failed = 0;

    timer_init(&timer, tick);
    timer_start(&timer, clock_monotonic_ns());
    for (size_t i = 0; i < array_count(programs); i++) {
        program_prepare(&programs[i]);
        programs[i].seed = 0x1111111111111111ull * (i + 1);
        program_start(&programs[i], program_vectors);
    }
    for (size_t i = 0; i < array_count(programs); i++) {
        failed |= program_wait(&programs[i]) ? programs[i].failed : 1;
        program_destroy(&programs[i]);
    }
    timer_cancel(&timer);
    tap_case(failed == 0, "vector registers of 4 programs outlive their switches (state %zu bytes, mask 0x%llx, check %llx)",
             context_extended_bytes(), (unsigned long long)context_extended_mask(), (unsigned long long)failed);
}

static struct program access_program;
static volatile bool access_done;

static void access_thread(void *argument)
{
    char text[64] = "kernel bytes";
    uint32_t seen = 0;

    (void)argument;
    cpu_events_mask();
    paging_root_activate(&access_program.root);
    cpu_events_unmask();
    tap_case(user_copy_out(DATA + 8, text, 13) == 0 && user_copy_string(text + 32, DATA + 8, 32) == 12 &&
                 __builtin_strcmp(text, text + 32) == 0, "bytes go out to user space and come back as a string");
    tap_case(user_copy_in(text, 0x20000000, 8) == -EFAULT, "unmapped memory is EFAULT");
    tap_case(user_copy_in(text, 0xffff880000000000ull, 8) == -EFAULT, "the kernel's half is EFAULT");
    tap_case(user_copy_in(text, 0x7ffffffff000ull - 4, 8) == -EFAULT, "a range over the end is EFAULT");
    tap_case(user_copy_out(CODE, text, 8) == -EFAULT, "a read-only page is EFAULT for writing");
    tap_case(user_copy_out_partial(STACK_TOP - 20, text, 64) == 20, "a copy stops at the end of what is mapped");
    tap_case(user_zero(STACK_TOP - 100, 100) == 0 && user_zero(STACK_TOP - 100, 101) == -EFAULT, "clearing, too");
    tap_case(user_copy_string(text, STACK_TOP - 4, 64) == 0, "a string in the last bytes of a page does not look past it");
    tap_case(user_copy_out(STACK_TOP - 4, "abcd", 4) == 0 && user_copy_string(text, STACK_TOP - 4, 64) == -EFAULT, "an unterminated one is EFAULT");
    tap_case(user_copy_string(text, STACK_TOP - 4, 3) == -ENAMETOOLONG, "one too long is ENAMETOOLONG");
    tap_case(user_compare_exchange_u32(DATA, 0, 7, &seen) == 0 && seen == 0 &&
                 user_compare_exchange_u32(DATA, 0, 8, &seen) == 0 && seen == 7 &&
                 user_compare_exchange_u32(0x20000000, 0, 8, &seen) == -EFAULT, "compare and exchange in user space");
    access_done = true;
}

static void access_test(void)
{
    struct thread *thread;

    program_prepare(&access_program);
    thread_create(&thread, "access", access_thread, NULL);
    thread->owner = &access_program;
    thread_start(thread);
    thread_release(thread);
    while (!access_done)
        thread_pause(1000000);
    program_destroy(&access_program);
}

static void entries_check(struct program *program, struct paging_entry *entries, size_t count, uint32_t flags, const char *what)
{
    static struct paging_entry found[600];
    bool good = true;

    paging_query(&program->root, DATA + 0x1ff000, found, count);
    for (size_t i = 0; i < count; i++)
        good &= found[i].pfn.number == entries[i].pfn.number &&
                (found[i].flags & ~(PAGING_ACCESSED | PAGING_DIRTY | PAGING_MAPPED)) == flags;
    tap_case(good, "%s (first entry: flags 0x%x)", what, found[0].flags);
}

/* A root that no CPU has had may have tables of another kind until it is sealed. */
static void paging_test(bool sealed)
{
    static struct paging_entry entries[600], old[1300];
    static struct program program;
    struct page *page = page_allocate(0, PAGE_ANONYMOUS, PAGE_ALLOCATE_ZERO);
    uint64_t base = DATA + 0x1ff000; /* the last page of one table, then a whole one, then some of a third */

    program_prepare(&program);
    tap_case(!sealed || paging_root_seal(&program.root) == 0, "a %s root", sealed ? "sealed" : "fresh");
    for (size_t i = 0; i < array_count(entries); i++)
        entries[i] = (struct paging_entry){ .pfn = page_pfn(page), .flags = PAGING_READ | PAGING_WRITE };
    tap_case(paging_map(&program.root, base, entries, array_count(entries)) == 0, "600 pages are mapped");
    entries_check(&program, entries, array_count(entries), PAGING_READ | PAGING_WRITE | PAGING_PRESENT, "they read back");
    paging_protect(&program.root, base, array_count(entries), PAGING_READ);
    entries_check(&program, entries, array_count(entries), PAGING_READ | PAGING_PRESENT, "they are made read-only");
    paging_protect(&program.root, base, array_count(entries), 0);
    entries_check(&program, entries, array_count(entries), 0, "PROT_NONE keeps the pages");
    paging_protect(&program.root, base, array_count(entries), PAGING_READ | PAGING_EXECUTE);
    entries_check(&program, entries, array_count(entries), PAGING_READ | PAGING_EXECUTE | PAGING_PRESENT, "and gives them back");
    for (size_t i = 0; i < array_count(entries); i++)
        entries[i].flags = PAGING_READ | PAGING_WRITE | PAGING_COPY_ON_WRITE;
    tap_case(paging_map(&program.root, base, entries, array_count(entries)) == 0, "they are mapped anew, copy on write");
    paging_protect(&program.root, base, array_count(entries), PAGING_READ | PAGING_WRITE);
    entries_check(&program, entries, array_count(entries), PAGING_READ | PAGING_PRESENT | PAGING_COPY_ON_WRITE,
                  "copy on write stays, and stays read-only");
    tap_case(paging_test_accessed(&program.root, base) && !paging_test_accessed(&program.root, base),
             "the accessed bit is read and cleared");
    uint64_t tables = program.root.table_pages;
    paging_unmap(&program.root, base - 100 * PAGE_SIZE, old, array_count(old));
    bool good = true;
    for (size_t i = 0; i < array_count(old); i++)
        good &= i >= 100 && i < 700 ? old[i].pfn.number == page_pfn(page).number && old[i].flags != 0 : old[i].flags == 0;
    tap_case(good, "unmapping tells what was there");
    tap_case(program.root.table_pages < tables, "and frees whole tables: %llu, then %llu", (unsigned long long)tables,
             (unsigned long long)program.root.table_pages);
    page_release(page);
    program_destroy(&program);
}

static void time_test(void)
{
    bool good = true;
    uint64_t before_ns = clock_monotonic_ns();

    for (unsigned int i = 0; i < 100000; i++) {
        uint64_t now_ns = clock_monotonic_ns();
        good &= now_ns >= before_ns;
        before_ns = now_ns;
    }
    tap_case(good, "time does not go back");
    before_ns = clock_monotonic_ns();
    thread_pause(30000000);
    uint64_t slept_ns = clock_monotonic_ns() - before_ns;
    tap_case(slept_ns >= 30000000 && slept_ns < 300000000, "a sleep of 30 ms takes that (%llu us)",
             (unsigned long long)slept_ns / 1000);
    tap_case(clock_real_ns() > 1600000000000000000ull, "the wall clock is of this century: %llu s",
             (unsigned long long)(clock_real_ns() / 1000000000));
}

void first_program_run(void)
{
    processors_wait();
    time_test();
    calls_test();
    tap_count_resources();
    calls_test();
    storm_test();
    red_zone_test();
    faults_test();
    traps_test();
    vectors_test();
    access_test();
    paging_test(false);
    paging_test(true);
    tap_check_leaks();
    tap_done();
}
