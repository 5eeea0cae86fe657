/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls from code that a kernel might change under its program: every form of call site, jumps into it, code that is rewritten, unmapped,
 * mapped again, shared with a child, stepped through, called by many threads while signals come. What a call must keep (registers, flags of what
 * follows, the red zone) is looked at each time.
 *
 * doors [SECONDS THREADS SITES]: the last case but one runs that long (2), with so many threads (4), each with so many sites (64).
 */
#define _GNU_SOURCE /* REG_RIP */
#include <asm/prctl.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

#define PAGE 4096
#define ROOM 64 /* bytes for a site */
#define CALLS 16 /* at one site: more than a kernel may want to see before it changes the code */
#define CALLS_LEAST 1000

/*
 * Jumps to the site, which jumps back to *%rbx, with `number` in rax and `stack_word` at 8(%rsp). Answers rax; *damage counts registers and words of
 * the red zone that changed, and has the carry flag in bit 32.
 */
long site_call(const void *site, long number, unsigned long *damage, long stack_word);
__asm__(".text\n"
        ".globl site_call\n"
        "site_call:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "push %rdx\n"
        "push %rcx\n" /* the stack word */
        "sub $8, %rsp\n"
        "mov %rdi, %r11\n mov %rsi, %rax\n"
        "lea 1f(%rip), %rbx\n"
        "mov $0x1111, %r12d\n mov $0x2222, %r13d\n mov $0x3333, %r14d\n mov $0x4444, %r15d\n mov $0x5555, %ebp\n"
        "mov $-1, %rdi\n mov $0x7777, %esi\n mov $0x8888, %edx\n mov $0x9999, %r8d\n mov $0xaaaa, %r9d\n mov $0xbbbb, %r10d\n"
        ".set i, 8\n .rept 16\n movq $(0x5a0000 + i), -i(%rsp)\n .set i, i + 8\n .endr\n"
        "jmp *%r11\n"
        "1: setc %cl\n movzbl %cl, %ecx\n shl $32, %rcx\n"
        ".macro same reg, value\n cmp $\\value, \\reg\n je 2f\n inc %rcx\n 2:\n .endm\n"
        "same %r12, 0x1111\n same %r13, 0x2222\n same %r14, 0x3333\n same %r15, 0x4444\n same %rbp, 0x5555\n"
        "same %rdi, -1\n same %rsi, 0x7777\n same %rdx, 0x8888\n same %r8, 0x9999\n same %r9, 0xaaaa\n same %r10, 0xbbbb\n"
        ".set i, 8\n .rept 16\n cmpq $(0x5a0000 + i), -i(%rsp)\n je 3f\n inc %rcx\n 3:\n .set i, i + 8\n .endr\n"
        "add $16, %rsp\n pop %rdx\n mov %rcx, (%rdx)\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

#define DAMAGED(damage) ((damage) & 0xffffffff)
#define CARRY(damage) ((damage) >> 32)

static const uint8_t leave[] = { 0xff, 0xe3 }; /* jmp *%rbx */

/* One a line: what stands before the call, with the number behind a mov that loads it, and what behind it. */
enum form {
    MOV_EAX, MOV_RAX, MOV_STACK, MOV_R11, MOV_EAX_LEA, MOV_EAX_MORE, MOV_RAX_MOV, MOV_EDX, CMP_RAX, CMP_EAX, CMP_BYTE, TEST_RAX, MOV_TO_STACK, LEA_LONG, ALONE, FORMS
};

#define CODE(...) sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ }

static const struct {
    const char *name;
    unsigned char mov_bytes, mov[8];
    bool has_number;
    unsigned char between_bytes, between[12], behind_bytes, behind[8];
} form_table[FORMS] = {
    [MOV_EAX] = { "mov eax", CODE(0xb8), true, 0, { 0 }, 0, { 0 } },
    [MOV_RAX] = { "mov rax", CODE(0x48, 0xc7, 0xc0), true, 0, { 0 }, 0, { 0 } },
    [MOV_STACK] = { "mov 8(rsp)", CODE(0x48, 0x8b, 0x44, 0x24, 0x08), false, 0, { 0 }, 0, { 0 } },
    [MOV_R11] = { "mov r11, 8(rsp)", CODE(0x4c, 0x89, 0x5c, 0x24, 0x08), false, 0, { 0 }, 0, { 0 } },
    [MOV_EAX_LEA] = { "mov eax, lea", CODE(0xb8), true, CODE(0x48, 0x8d, 0x7f, 0x00), 0, { 0 } },
    [MOV_EAX_MORE] = { "mov eax, xor, mov fs:16", CODE(0xb8), true, CODE(0x31, 0xc9, 0x64, 0x48, 0x8b, 0x09), 0, { 0 } },
    [MOV_RAX_MOV] = { "mov rax, mov r12", CODE(0x48, 0xc7, 0xc0), true, CODE(0x4d, 0x89, 0xe4), 0, { 0 } },
    [MOV_EDX] = { "mov edx, nop, mov edx, eax", CODE(0xba), true, CODE(0x66, 0x90, 0x89, 0xd0, 0xba, 0x88, 0x88, 0, 0), 0, { 0 } },
    [CMP_RAX] = { "then cmp rax", 0, { 0 }, false, 0, { 0 }, CODE(0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff) },
    [CMP_EAX] = { "then cmp eax", 0, { 0 }, false, 0, { 0 }, CODE(0x3d, 0x00, 0xf0, 0xff, 0xff) },
    [CMP_BYTE] = { "then cmp eax, a byte", 0, { 0 }, false, 0, { 0 }, CODE(0x83, 0xf8, 0xfc) },
    [TEST_RAX] = { "then test rax", 0, { 0 }, false, 0, { 0 }, CODE(0x48, 0x85, 0xc0) },
    [MOV_TO_STACK] = { "then mov 8(rsp)", 0, { 0 }, false, 0, { 0 }, CODE(0x89, 0x44, 0x24, 0x08) },
    [LEA_LONG] = { "then lea", 0, { 0 }, false, 0, { 0 }, CODE(0x48, 0x8d, 0xbc, 0x27, 0, 0, 0, 0) },
    [ALONE] = { "alone", 0, { 0 }, false, 0, { 0 }, 0, { 0 } },
};

static size_t site_write(uint8_t *at, enum form form, uint32_t number)
{
    static const uint8_t call[] = { 0x0f, 0x05 };
    uint8_t *start = at;

#define PUT(bytes, count) (memcpy(at, (bytes), (count)), at += (count))
    PUT(form_table[form].mov, form_table[form].mov_bytes);
    if (form_table[form].has_number)
        PUT(&number, sizeof(number));
    PUT(form_table[form].between, form_table[form].between_bytes);
    PUT(call, sizeof(call));
    PUT(form_table[form].behind, form_table[form].behind_bytes);
    PUT(leave, sizeof(leave));
    return (size_t)(at - start);
}

/* Where in the site its call is. */
static size_t site_call_offset(enum form form)
{
    return form_table[form].mov_bytes + (form_table[form].has_number ? sizeof(uint32_t) : 0) + form_table[form].between_bytes;
}

/* What the carry flag is behind a site of that form, of which rax came. */
static bool carry_is_right(enum form form, long rax, bool carry)
{
    switch (form) {
    case CMP_RAX:
        return carry == ((unsigned long)rax < -4096ul);
    case CMP_EAX:
        return carry == ((uint32_t)rax < (uint32_t)-4096);
    case CMP_BYTE:
        return carry == ((uint32_t)rax < (uint32_t)-4);
    case TEST_RAX:
        return !carry;
    default:
        return true;
    }
}

static uint8_t *pages_map(void *where, size_t pages)
{
    uint8_t *area = mmap(where, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0), -1, 0);

    if (area == MAP_FAILED) {
        printf("Bail out! no memory\n");
        exit(99);
    }
    return area;
}

static void code_close(uint8_t *area, size_t pages)
{
    mprotect(area, pages * PAGE, PROT_READ | PROT_EXEC);
}

/* Calls that site so many times; how many went wrong. */
static long site_try(const uint8_t *site, enum form form, uint32_t number, long wanted, int times)
{
    unsigned long damage;
    long wrong = 0;

    for (int i = 0; i < times; i++) {
        long got = site_call(site, number, &damage, number);
        wrong += got != wanted || DAMAGED(damage) != 0 || !carry_is_right(form, got, CARRY(damage));
    }
    return wrong;
}

/* Every form, at every place of an aligned word, of calls that work and fail. */
static void forms(void)
{
    for (enum form form = 0; form < FORMS; form++) {
        uint8_t *area = pages_map(NULL, 1);
        long wrong = 0;
        for (int i = 0; i < 16; i++)
            site_write(area + 128 * i + i, form, i % 2 ? SYS_close : SYS_getppid);
        code_close(area, 1);
        for (int i = 0; i < 16; i++)
            wrong += site_try(area + 128 * i + i, form, i % 2 ? SYS_close : SYS_getppid, i % 2 ? -EBADF : getppid(), 2 * CALLS);
        is(wrong, 0, form_table[form].name);
        munmap(area, PAGE);
    }
}

/* The ends of a page, and across two. */
static void page_ends(void)
{
    long wrong = 0;

    for (enum form form = 0; form < FORMS; form++) {
        uint8_t *area = pages_map(NULL, 3), bytes[ROOM];
        size_t length = site_write(bytes, form, SYS_getppid) - sizeof(leave);
        site_write(area + PAGE - length, form, SYS_getppid);
        site_write(area + 2 * PAGE, form, SYS_getppid);
        code_close(area, 3);
        wrong += site_try(area + PAGE - length, form, SYS_getppid, getppid(), 2 * CALLS) + site_try(area + 2 * PAGE, form, SYS_getppid, getppid(), 2 * CALLS);
        for (size_t before = 1; before < length; before++) {
            mprotect(area, 3 * PAGE, PROT_READ | PROT_WRITE);
            site_write(area + 2 * PAGE - before, form, SYS_getppid);
            code_close(area, 3);
            wrong += site_try(area + 2 * PAGE - before, form, SYS_getppid, getppid(), 2 * CALLS);
        }
        munmap(area, 3 * PAGE);
    }
    is(wrong, 0, "at a page's ends, and across");
}

static void jumps_inside(void)
{
    uint8_t *area = pages_map(NULL, 1);
    unsigned long damage;
    long wrong = 0;

    for (enum form form = 0; form < FORMS; form++)
        site_write(area + ROOM * form, form, SYS_getppid);
    code_close(area, 1);
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(area + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    for (int i = 0; i < 20; i++) {
        for (enum form form = 0; form < FORMS; form++) {
            const uint8_t *site = area + ROOM * form, *call = site + site_call_offset(form);
            wrong += site_call(call, SYS_close, &damage, 0) != -EBADF || DAMAGED(damage) != 0;
            if (form != MOV_EDX) /* it needs edx */
                wrong += site_call(call - form_table[form].between_bytes, SYS_close, &damage, 0) != -EBADF || DAMAGED(damage) != 0;
            for (long rax = -5; rax <= 5; rax += 10)
                wrong += site_call(call + 2, rax, &damage, 0) != rax || DAMAGED(damage) != 0 || !carry_is_right(form, rax, CARRY(damage));
        }
    }
    is(wrong, 0, "jumps to the instruction, and behind it");
    munmap(area, PAGE);
}

static void calls_write(uint8_t *area, uint32_t number)
{
    for (enum form form = 0; form < FORMS; form++)
        site_write(area + ROOM * form, form, number);
    code_close(area, 1);
}

static long calls_wrong(uint8_t *area, uint32_t number)
{
    long wrong = 0;

    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(area + ROOM * form, form, number, number == SYS_close ? -EBADF : getppid(), CALLS);
    return wrong;
}

static void rewriting(void)
{
    uint8_t *area = pages_map(NULL, 1), bytes[ROOM];
    long wrong = 0;

    for (int turn = 0; turn < 5; turn++) {
        uint32_t number = turn % 2 ? SYS_close : SYS_getppid;
        calls_write(area, number);
        wrong += calls_wrong(area, number);
        mprotect(area, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
        for (enum form form = 0; form < FORMS; form++)
            wrong += memcmp(area + ROOM * form, bytes, site_write(bytes, form, number)) != 0;
        wrong += calls_wrong(area, number);
        mprotect(area, PAGE, PROT_READ | PROT_WRITE);
    }
    is(wrong, 0, "code that is made writable is what was written, and can be another");
    munmap(area, PAGE);

    area = pages_map(NULL, 1);
    for (int turn = 0; turn < 5; turn++) {
        uint32_t number = turn % 2 ? SYS_close : SYS_getppid;
        calls_write(area, number);
        wrong += calls_wrong(area, number);
        munmap(area, PAGE);
        pages_map(area, 1);
    }
    is(wrong, 0, "code that is unmapped, and other code at its place");
    munmap(area, PAGE);
}

static void files_code(void)
{
    char name[64];
    uint8_t bytes[PAGE] = { 0 }, again[PAGE];
    long wrong = 0;

    work_in_fresh_directory(name, sizeof(name));
    for (enum form form = 0; form < FORMS; form++)
        site_write(bytes + ROOM * form, form, SYS_getppid);
    int file = open("code", O_RDWR | O_CREAT, 0700);
    wrong += write(file, bytes, PAGE) != PAGE;
    uint8_t *one = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    uint8_t *other = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(one + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    wrong += pread(file, again, PAGE, 0) != PAGE || memcmp(bytes, again, PAGE) != 0 || memcmp(bytes, other, PAGE) != 0;
    madvise(one, PAGE, MADV_DONTNEED);
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(one + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    is(wrong, 0, "a file's code: the file is as it was");
    munmap(one, PAGE);
    munmap(other, PAGE);
    close(file);
    unlink("code");
}

/* Maps the file as a dynamic linker does a library, its second page as code, and calls. How much went wrong. */
static long library_wrong(int file, const uint8_t *bytes, int times)
{
    uint8_t again[PAGE], *whole = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    uint8_t *code = mmap(whole + PAGE, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, PAGE);
    long wrong = whole == MAP_FAILED || code != whole + PAGE;

    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(code + ROOM * form, form, SYS_getppid, getppid(), times);
    wrong += pread(file, again, PAGE, PAGE) != PAGE || memcmp(again, bytes, PAGE) != 0;
    mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    wrong += memcmp(code, bytes, PAGE) != 0;
    wrong += calls_wrong(code, SYS_getppid);
    mprotect(code, PAGE, PROT_READ | PROT_EXEC);
    wrong += calls_wrong(code, SYS_getppid);
    munmap(whole, 4 * PAGE);
    return wrong;
}

/* A library that is mapped again and again, by this program and by its children; then another one under the same name. */
static void libraries(void)
{
    uint8_t bytes[3 * PAGE] = { 0 };
    char name[64];
    long wrong = 0;
    int status;

    work_in_fresh_directory(name, sizeof(name));
    for (enum form form = 0; form < FORMS; form++)
        site_write(bytes + PAGE + ROOM * form, form, SYS_getppid);
    int file = open("library", O_RDWR | O_CREAT, 0700);
    wrong += write(file, bytes, sizeof(bytes)) != sizeof(bytes);
    fsync(file);
    for (int turn = 0; turn < 12; turn++) {
        pid_t child = fork();
        if (child == 0)
            _exit(library_wrong(file, bytes + PAGE, 1 + turn % 3) + library_wrong(file, bytes + PAGE, CALLS) != 0);
        wrong += waitpid(child, &status, 0) != child || status != 0;
        wrong += library_wrong(file, bytes + PAGE, 1 + turn % 3);
    }
    is(wrong, 0, "a file's code in many programs");

    uint8_t *before = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    mmap(before + PAGE, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, PAGE);
    wrong += site_try(before + PAGE, MOV_EAX, SYS_getppid, getppid(), 1);
    bytes[PAGE + ROOM * FORMS] = 0x55;
    wrong += pwrite(file, bytes + PAGE + ROOM * FORMS, 1, PAGE + ROOM * FORMS) != 1;
    for (int turn = 0; turn < 12; turn++) {
        pid_t child = fork();
        if (child == 0)
            _exit(library_wrong(file, bytes + PAGE, 1) + (calls_wrong(before + PAGE, SYS_getppid) != 0) != 0);
        wrong += waitpid(child, &status, 0) != child || status != 0;
    }
    wrong += calls_wrong(before + PAGE, SYS_getppid);
    is(wrong, 0, "... and after it was written to");
    munmap(before, 3 * PAGE);
    close(file);
    unlink("library");
}

static void children(void)
{
    uint8_t *area = pages_map(NULL, 1);
    int status = -1;

    for (enum form form = 0; form < FORMS; form++)
        site_write(area + ROOM * form, form, SYS_getppid);
    code_close(area, 1);
    long wrong = site_try(area, MOV_EAX, SYS_getppid, getppid(), CALLS) + site_try(area + ROOM * CMP_RAX, CMP_RAX, SYS_getppid, getppid(), CALLS);
    pid_t child = fork();
    if (child == 0) {
        for (enum form form = 0; form < FORMS; form++)
            wrong += site_try(area + ROOM * form, form, SYS_getppid, getppid(), CALLS);
        munmap(area, PAGE);
        _exit(wrong != 0);
    }
    waitpid(child, &status, 0);
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(area + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    is(wrong + status, 0, "a child's calls, and its parent's after it");
    munmap(area, PAGE);
}

/* Flags that a kernel does not want to run with, and an empty GS, are the program's business. */
static void flags_and_selectors(void)
{
    static const unsigned long flags[] = { 0x400, 0x40000, 0x4000 }; /* the last one, nested task, need not stay */
    uint8_t *area = pages_map(NULL, 1);
    long wrong = 0;

    for (enum form form = 0; form < FORMS; form++)
        site_write(area + ROOM * form, form, SYS_getppid);
    code_close(area, 1);
    long parent = getppid();
    for (int turn = 0; turn < 10; turn++) {
        for (enum form form = 0; form < FORMS; form++) {
            for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
                unsigned long damage = 0, after;
                __asm__ volatile("lea -256(%%rsp), %%rsp\n pushf\n or %0, (%%rsp)\n popf\n lea 256(%%rsp), %%rsp" : : "r"(flags[i]) : "memory", "cc");
                long got = site_call(area + ROOM * form, SYS_getppid, &damage, SYS_getppid);
                __asm__ volatile("lea -256(%%rsp), %%rsp\n pushf\n mov (%%rsp), %0\n andl $~0x44400, (%%rsp)\n popf\n lea 256(%%rsp), %%rsp" : "=&r"(after) : : "memory", "cc");
                wrong += got != parent || DAMAGED(damage) != 0 || (i < 2 && !(after & flags[i]));
            }
            __asm__ volatile("mov %0, %%gs" : : "r"(0));
            wrong += site_try(area + ROOM * form, form, SYS_getppid, parent, 1);
        }
    }
    is(wrong, 0, "flags that are not for C, an empty GS");
    munmap(area, PAGE);
}

static volatile long steps;

static void stepped(int number)
{
    (void)number;
    steps++;
}

static void stepping(void)
{
    struct sigaction action = { .sa_handler = stepped };
    uint8_t *area = pages_map(NULL, 1);
    long wrong = 0;

    for (enum form form = 0; form < FORMS; form++)
        site_write(area + ROOM * form, form, SYS_getppid);
    code_close(area, 1);
    sigaction(SIGTRAP, &action, NULL);
    for (int turn = 0; turn < 2; turn++) {
        for (enum form form = 0; form < FORMS; form++) {
            long parent = getppid(), before = steps;
            unsigned long damage = 0;
            __asm__ volatile("lea -256(%%rsp), %%rsp\n pushf\n orl $0x100, (%%rsp)\n popf\n lea 256(%%rsp), %%rsp" : : : "memory", "cc");
            long got = site_call(area + ROOM * form, SYS_getppid, &damage, SYS_getppid);
            __asm__ volatile("lea -256(%%rsp), %%rsp\n pushf\n andl $~0x100, (%%rsp)\n popf\n lea 256(%%rsp), %%rsp" : : : "memory", "cc");
            wrong += got != parent || (DAMAGED(damage) & ~0u) != 0 || steps - before < 60;
        }
        for (enum form form = 0; form < FORMS; form++)
            wrong += site_try(area + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    }
    is(wrong, 0, "single steps");
    signal(SIGTRAP, SIG_DFL);
    munmap(area, PAGE);
}

/* ---- What a handler is told ------------------------------------------------------------------------------------------- */

#define PLACES 4096
static uintptr_t places[PLACES];
static volatile unsigned int place_count;

static void place_take(int number, siginfo_t *information, void *context)
{
    unsigned int at = place_count;

    (void)number;
    (void)information;
    if (at < PLACES) {
        places[at] = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
        place_count = at + 1;
    }
}

/* Whether /proc/self/maps has that address in an area of trampolines. */
static bool place_is_hidden(uintptr_t place)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[256];
    bool hidden = false;

    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 && place >= start && place < end && strstr(line, "[doors]"))
            hidden = true;
    }
    if (maps)
        fclose(maps);
    return hidden;
}

/* A call that a signal ends: its handler finds it in the program's code, behind the call or at it. */
static void handlers_places(void)
{
    struct sigaction action = { .sa_sigaction = place_take, .sa_flags = SA_SIGINFO };
    struct itimerval each = { .it_interval.tv_usec = 2000, .it_value.tv_usec = 2000 };
    uint8_t *area = pages_map(NULL, 1);
    long wrong = 0, behind = 0, hidden = 0;

    for (enum form form = 0; form < FORMS; form++)
        site_write(area + ROOM * form, form, SYS_pause);
    code_close(area, 1);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &each, NULL);
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(area + ROOM * form, form, SYS_pause, -EINTR, 2 * CALLS);
    memset(&each, 0, sizeof(each));
    setitimer(ITIMER_REAL, &each, NULL);
    for (unsigned int i = 0; i < place_count; i++) {
        size_t offset = places[i] - (uintptr_t)area, form = offset / ROOM;
        if (form < FORMS)
            behind += offset % ROOM == site_call_offset((enum form)form) + 2;
        else
            hidden += place_is_hidden(places[i]);
    }
    is(wrong + hidden, 0, "a handler finds its call in the program's code");
    ok(behind >= FORMS * CALLS || place_count == PLACES, "... behind the call");
    munmap(area, PAGE);
}

static uintptr_t fault_place;

static void fault_skip(int number, siginfo_t *information, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)number;
    (void)information;
    fault_place = (uintptr_t)registers[REG_RIP];
    registers[REG_RIP] += 4;
}

/* An instruction at a call's side that faults, does so where it is. */
static void faults(void)
{
    static const uint8_t behind[] = { 0x0f, 0x05, 0x48, 0x8b, 0x45, 0x00, 0xff, 0xe3 }; /* syscall; mov (%rbp), %rax; jmp *%rbx */
    static const uint8_t before[] = { 0xb8, 0, 0, 0, 0, 0x48, 0x8b, 0x5d, 0x00, 0x0f, 0x05, 0xff, 0xe3 }; /* mov $0, %eax; mov (%rbp), %rbx; ... */
    struct sigaction action = { .sa_sigaction = fault_skip, .sa_flags = SA_SIGINFO };
    uint32_t number = SYS_getppid;
    uint8_t *area = pages_map(NULL, 1);
    unsigned long damage;
    long wrong = 0, parent = getppid();

    memcpy(area, behind, sizeof(behind));
    memcpy(area + ROOM, before, sizeof(before));
    memcpy(area + ROOM + 1, &number, sizeof(number));
    code_close(area, 1);
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 2 * CALLS; i++) {
        wrong += site_call(area, SYS_getppid, &damage, 0) != parent || DAMAGED(damage) != 0 || fault_place != (uintptr_t)area + 2;
        wrong += site_call(area + ROOM, 0, &damage, 0) != parent || DAMAGED(damage) != 0 || fault_place != (uintptr_t)area + ROOM + 5;
    }
    is(wrong, 0, "an instruction beside a call that faults");
    signal(SIGSEGV, SIG_DFL);
    munmap(area, PAGE);
}

/* ---- Many threads, signals, timers -------------------------------------------------------------------------------- */

static volatile bool stop;
static long site_count = 64;
static long parent_pid;
static _Atomic long storm_calls, storm_wrong;

static void note(int number)
{
    int error = errno;

    (void)number;
    syscall(SYS_getppid);
    errno = error;
}

/* Maps fresh code, calls it, rewrites it, unmaps it, and maps again where it was. */
static void *storm(void *argument)
{
    unsigned int seed = (unsigned int)(uintptr_t)argument;
    long pages = (site_count * ROOM + PAGE - 1) / PAGE;
    uint8_t *area = NULL;

    while (!stop) {
        uint8_t *fresh = pages_map(seed % 2 ? area : NULL, (size_t)pages);
        if (area && fresh != area)
            munmap(area, (size_t)pages * PAGE);
        area = fresh;
        for (long i = 0; i < site_count; i++)
            site_write(area + i * ROOM + i % 8, (enum form)((i + seed) % FORMS), (i ^ seed) & 8 ? SYS_close : SYS_getppid);
        code_close(area, (size_t)pages);
        for (int turn = 0; turn < 2 && !stop; turn++) {
            for (long i = 0; i < site_count && !stop; i++) {
                bool fails = (i ^ seed) & 8;
                storm_wrong += site_try(area + i * ROOM + i % 8, (enum form)((i + seed) % FORMS), fails ? SYS_close : SYS_getppid,
                                        fails ? -EBADF : parent_pid, CALLS);
                storm_calls += CALLS;
            }
        }
        seed = seed * 1103515245 + 12345;
    }
    return NULL;
}

static void storms(long seconds, long threads)
{
    struct sigaction action = { .sa_handler = note, .sa_flags = SA_RESTART };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
    struct itimerval each = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
    struct itimerspec tick = { .it_interval.tv_nsec = 3000000, .it_value.tv_nsec = 3000000 };
    pthread_t ids[64];
    timer_t timer;

    parent_pid = getppid();
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGRTMIN, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    setitimer(ITIMER_REAL, &each, NULL);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &tick, NULL);
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, storm, (void *)(uintptr_t)(i * 7919 + 1));
    struct timespec end, now;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    do {
        struct timespec pause = { .tv_nsec = 2000000 };
        for (long i = 0; i < threads; i++)
            pthread_kill(ids[i], SIGUSR1);
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec) || storm_calls < CALLS_LEAST);
    stop = true;
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    memset(&each, 0, sizeof(each));
    setitimer(ITIMER_REAL, &each, NULL);
    timer_delete(timer);
    fprintf(stderr, "# %ld calls\n", (long)storm_calls);
    is(storm_wrong, 0, "threads, signals, timers, code that comes and goes");
}

/* Calls that the vDSO makes for its program: clocks that it does not know. */
static long vdso_wrong(void)
{
    struct timespec before = { 0 }, now;
    long wrong = 0;

    for (int i = 0; i < 2 * CALLS; i++) {
        wrong += clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0 || now.tv_sec < before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec < before.tv_nsec);
        before = now;
        wrong += clock_gettime(99, &now) != -1 || errno != EINVAL;
        wrong += clock_gettime(CLOCK_MONOTONIC, &now) != 0 || now.tv_nsec < 0 || now.tv_nsec >= 1000000000;
    }
    return wrong;
}

static void own_base(void)
{
    static unsigned long block[2] = { 0x1234567890, 0 };
    uint8_t *area = pages_map(NULL, 1);
    unsigned long seen = 0, base = 1;
    long wrong = 0;

    for (enum form form = 0; form < FORMS; form++)
        site_write(area + ROOM * form, form, SYS_getppid);
    code_close(area, 1);
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(area + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    wrong += vdso_wrong();
    wrong += syscall(SYS_arch_prctl, ARCH_GET_GS, &base) != 0 || base != 0;
    wrong += syscall(SYS_arch_prctl, ARCH_SET_GS, block) != 0;
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(area + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    wrong += vdso_wrong();
    __asm__ volatile("mov %%gs:0, %0" : "=r"(seen));
    wrong += seen != block[0];
    wrong += syscall(SYS_arch_prctl, ARCH_SET_GS, 0) != 0;
    for (enum form form = 0; form < FORMS; form++)
        wrong += site_try(area + ROOM * form, form, SYS_getppid, getppid(), CALLS);
    wrong += vdso_wrong();
    is(wrong, 0, "a GS base of the program's own");
    munmap(area, PAGE);
}

int main(int count, char **arguments)
{
    long seconds = count > 1 ? atol(arguments[1]) : 2, threads = count > 2 ? atol(arguments[2]) : 4;

    if (count > 3)
        site_count = atol(arguments[3]);
    forms();
    page_ends();
    jumps_inside();
    rewriting();
    files_code();
    libraries();
    children();
    flags_and_selectors();
    stepping();
    handlers_places();
    faults();
    storms(seconds, threads < 64 ? threads : 64);
    own_base();
    return done();
}
