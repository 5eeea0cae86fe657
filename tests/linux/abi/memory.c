/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: mmap in its kinds, mprotect, mremap, madvise, mincore, brk, memfd and its seals, and the faults.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

#define PAGE 4096ul

static sigjmp_buf trapped;
static volatile int trap_signal, trap_code;

static void on_trap(int number, siginfo_t *information, void *context)
{
    (void)context;
    trap_signal = number;
    trap_code = information->si_code;
    siglongjmp(trapped, 1);
}

/* The signal and code that touching the byte brings; 0: none. */
static int touch(volatile char *byte, bool write)
{
    trap_signal = trap_code = 0;
    if (sigsetjmp(trapped, 1) == 0) {
        if (write)
            *byte = 1;
        else
            (void)*byte;
    }
    return trap_signal * 1000 + trap_code;
}

static void *map(size_t pages, int protection, int flags)
{
    return mmap(NULL, pages * PAGE, protection, flags | MAP_ANONYMOUS, -1, 0);
}

static void anonymous(void)
{
    char *area = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    ok(area != MAP_FAILED && ((uintptr_t)area & (PAGE - 1)) == 0, "mmap");
    is(area[0] + area[4 * PAGE - 1], 0, "it is zero");
    area[PAGE] = 7;
    is(mprotect(area + PAGE, PAGE, PROT_READ), 0, "mprotect");
    is(touch(area + PAGE, true), SIGSEGV * 1000 + SEGV_ACCERR, "write to a read-only page");
    is(area[PAGE], 7, "which reads as before");
    is(mprotect(area + PAGE, PAGE, PROT_NONE), 0, "mprotect to nothing");
    is(touch(area + PAGE, false), SIGSEGV * 1000 + SEGV_ACCERR, "read of a page without rights");
    is(munmap(area + 2 * PAGE, PAGE), 0, "munmap of a page in the middle");
    is(touch(area + 2 * PAGE, false), SIGSEGV * 1000 + SEGV_MAPERR, "read of the hole");
    is(touch(area + 3 * PAGE, true), 0, "write behind the hole");
    fails(mprotect(area, 4 * PAGE, PROT_READ), ENOMEM, "mprotect over the hole");
    is(munmap(area, 4 * PAGE), 0, "munmap over the hole");
    is(munmap(area, 4 * PAGE), 0, "munmap of nothing");
    fails(munmap(area + 1, PAGE), EINVAL, "munmap of an odd address");
    fails(munmap(area, 0), EINVAL, "munmap of no length");
    is(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0, EINVAL, "mmap of no length");
    is(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0, EINVAL, "mmap neither shared nor private");
    is(mmap(NULL, (size_t)-1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0, ENOMEM, "mmap of everything");
    is(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED ? errno : 0, EBADF, "mmap of no file");
    is(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1) == MAP_FAILED ? errno : 0, EINVAL, "mmap at an odd offset");
    is(touch(NULL, false), SIGSEGV * 1000 + SEGV_MAPERR, "read of the null page");
}

static void fixed(void)
{
    char *area = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(area, 1, 4 * PAGE);
    is(mmap(area + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area + PAGE, 1, "MAP_FIXED");
    is(area[0] + area[PAGE] + area[2 * PAGE], 2, "only its page is fresh");
    is(mmap(area, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ? errno : 0, EEXIST, "MAP_FIXED_NOREPLACE on it");
    is(mmap(area + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? errno : 0, EINVAL, "MAP_FIXED at an odd address");
    munmap(area + PAGE, PAGE);
    is(mmap(area + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == area + PAGE, 1, "a hint that is free is taken");
    char *low = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    ok(low != MAP_FAILED && (uintptr_t)low < 1ul << 31, "MAP_32BIT");
    munmap(low, PAGE);
    munmap(area, 4 * PAGE);
}

static void moved(void)
{
    char *area = map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE), *wall = map(8, PROT_NONE, MAP_PRIVATE), *other;
    area[0] = 5;
    area[PAGE] = 6;
    other = mremap(area, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    ok(other != MAP_FAILED && other[0] == 5 && other[PAGE] == 6 && other[7 * PAGE] == 0, "mremap grows");
    area = other;
    is(mremap(area, 8 * PAGE, 2 * PAGE, 0) == area, 1, "mremap shrinks in place");
    is(touch(area + 2 * PAGE, false), SIGSEGV * 1000 + SEGV_MAPERR, "behind it is nothing");
    is(mremap(area, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, wall) == wall, 1, "mremap to a place");
    is(wall[0], 5, "the bytes came along");
    is(touch(area, false), SIGSEGV * 1000 + SEGV_MAPERR, "the old place is empty");
    is(mremap(wall, 2 * PAGE, 0, 0) == MAP_FAILED ? errno : 0, EINVAL, "mremap to no length");
    is(mremap(wall, 2 * PAGE, 2 * PAGE, 64) == MAP_FAILED ? errno : 0, EINVAL, "mremap with an unknown flag");
    is(mremap(area, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? errno : 0, EFAULT, "mremap of nothing");
    munmap(wall, 8 * PAGE);
}

static void files(void)
{
    char name[] = "/tmp/abi-map-XXXXXX", byte;
    int fd = mkstemp(name);
    unlink(name);
    ftruncate(fd, 2 * PAGE);
    pwrite(fd, "file", 4, 0);
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ok(memcmp(shared, "file", 4) == 0 && memcmp(private, "file", 4) == 0, "maps show the file");
    shared[0] = 'F';
    pread(fd, &byte, 1, 0);
    is(byte, 'F', "read sees what was written to the shared map");
    is(private[0], 'F', "a private map sees it too, until it is written");
    private[1] = 'X';
    pread(fd, &byte, 1, 1);
    is(byte, 'i', "what is written to a private map stays there");
    pwrite(fd, "ABC", 3, PAGE);
    is(shared[PAGE + 1], 'B', "the shared map sees what is written to the file");
    is(touch(shared + 2 * PAGE, false), SIGBUS * 1000 + BUS_ADRERR, "read behind the end of the file");
    is(msync(shared, PAGE, MS_SYNC), 0, "msync");
    fails(msync(shared, PAGE, MS_SYNC | MS_ASYNC), EINVAL, "msync both ways");
    fails(msync(shared + 1, PAGE, MS_SYNC), EINVAL, "msync of an odd address");
    ftruncate(fd, PAGE);
    is(touch(shared + PAGE, false), SIGBUS * 1000 + BUS_ADRERR, "read of a page that was cut off");
    ftruncate(fd, 2 * PAGE);
    is(shared[PAGE + 1], 0, "which is zero when it comes back");
    int only = open("/proc/self/exe", O_RDONLY);
    is(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, only, 0) == MAP_FAILED ? errno : 0, EACCES, "a shared writable map of a read-only file");
    char *copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, only, 0);
    ok(copy != MAP_FAILED && memcmp(copy, "\177ELF", 4) == 0, "a private writable map of it");
    int ends[2];
    pipe(ends);
    is(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0) == MAP_FAILED ? errno : 0, ENODEV, "a map of a pipe");
    munmap(shared, 4 * PAGE);
    munmap(private, 2 * PAGE);
    close(fd);
    close(only);
}

/* A file as a whole, to the byte, again and again; /dev/zero, in both kinds. */
static void whole_files(void)
{
    char name[64], bytes[PAGE + 100];
    long wrong = 0;

    work_in_fresh_directory(name, sizeof(name));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    int file = open("whole", O_RDWR | O_CREAT, 0600);
    wrong += write(file, bytes, sizeof(bytes)) != sizeof(bytes);
    for (int turn = 0; turn < 6; turn++) {
        char *area = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        wrong += area == MAP_FAILED || memcmp(area, bytes, sizeof(bytes)) != 0 || area[2 * PAGE - 1] != 0;
        area[turn] = 1; /* its own copy */
        munmap(area, sizeof(bytes));
    }
    close(file);
    unlink("whole");
    is(wrong, 0, "a file mapped as a whole");
    file = open("/dev/zero", O_RDWR);
    for (int shared = 0; shared < 2; shared++) {
        char *area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, file, 0);
        ok(area != MAP_FAILED && area[0] == 0 && area[2 * PAGE - 1] == 0, shared ? "/dev/zero, shared" : "/dev/zero, private");
        area[PAGE] = 1;
        munmap(area, 2 * PAGE);
    }
    close(file);
}

static void advice(void)
{
    unsigned char seen[4];
    char *area = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(area, 3, 2 * PAGE);
    is(mincore(area, 4 * PAGE, seen), 0, "mincore");
    is((seen[0] & 1) + (seen[1] & 1) * 2, 3, "touched pages are there");
    fails(mincore(area + 1, PAGE, seen), EINVAL, "mincore of an odd address");
    is(madvise(area, PAGE, MADV_DONTNEED), 0, "MADV_DONTNEED");
    is(area[0] + area[PAGE], 3, "its page is zero again");
    fails(madvise(area, PAGE, 9999), EINVAL, "unknown advice");
    fails(madvise(area + 1, PAGE, MADV_NORMAL), EINVAL, "advice on an odd address");
    is(madvise(area, 0, MADV_NORMAL), 0, "advice on nothing");
    munmap(area + PAGE, PAGE);
    fails(madvise(area, 4 * PAGE, MADV_DONTNEED), ENOMEM, "advice over a hole");
    fails(mincore(area, 4 * PAGE, seen), ENOMEM, "mincore over a hole");
    is(mlock(area, PAGE), 0, "mlock");
    is(munlock(area, PAGE), 0, "munlock");
    fails(mlock(area, 4 * PAGE), ENOMEM, "mlock over a hole");
    munmap(area, 4 * PAGE);
}

/* How many kB of the area that holds the byte are what smaps' line says. */
static long smaps(char *byte, const char *name)
{
    unsigned long start, end, size = 0;
    char line[400];
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = (uintptr_t)byte >= start && (uintptr_t)byte < end;
        else if (inside && strncmp(line, name, strlen(name)) == 0)
            sscanf(line + strlen(name), ": %lu", &size);
    }
    fclose(file);
    return (long)size;
}

static unsigned long wrong_numbers(const volatile unsigned long *area, size_t first, size_t count)
{
    unsigned long wrong = 0;
    for (size_t i = first; i < first + count; i++)
        wrong += area[i * (PAGE / sizeof(long))] != i + 1;
    return wrong;
}

static void *watch(void *area)
{
    unsigned long wrong = 0;
    while (!__atomic_load_n(&trap_code, __ATOMIC_RELAXED))
        wrong += wrong_numbers(area, 512, 1024);
    return (void *)wrong;
}

/* 16 MiB that may be mapped by large entries: parts change while another thread reads what does not. */
static void large(void)
{
    enum { PAGES = 4096, LONGS = PAGE / sizeof(long) };
    pthread_t thread;
    void *wrong;
    unsigned long *area = map(PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    is(madvise(area, PAGES * PAGE, MADV_HUGEPAGE), 0, "MADV_HUGEPAGE");
    for (size_t i = 0; i < PAGES; i++)
        area[i * LONGS] = i + 1;
    is(wrong_numbers(area, 0, PAGES), 0, "16 MiB hold what was written");
    is(smaps((char *)area, "Rss"), PAGES * 4, "all of it is there");
    printf("# large: %ld kB\n", smaps((char *)area, "AnonHugePages"));
    trap_code = 0;
    pthread_create(&thread, NULL, watch, area);
    unsigned long others = 0;
    for (size_t i = 1536; i < PAGES; i++) {
        unsigned long *page = area + i * LONGS;
        if (i % 7 == 0) {
            madvise(page, PAGE, MADV_DONTNEED);
            others += page[0] != 0;
        } else if (i % 7 == 1) {
            mprotect(page, PAGE, PROT_READ);
            others += touch((char *)page, true) != SIGSEGV * 1000 + SEGV_ACCERR || page[0] != i + 1;
            trap_code = 0;
        } else if (i % 7 == 2) {
            munmap(page, PAGE);
            others += touch((char *)page, false) != SIGSEGV * 1000 + SEGV_MAPERR;
            trap_code = 0;
        } else if (page[0] != i + 1) {
            others++;
        }
    }
    __atomic_store_n(&trap_code, 1, __ATOMIC_RELAXED);
    pthread_join(thread, &wrong);
    is(others, 0, "parts of it are forgotten, write-protected and unmapped");
    is((long)wrong, 0, "another thread sees the rest as it was");
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 512; i < 1024; i++)
            area[i * LONGS + 1] = 1;
        _exit(wrong_numbers(area, 0, 1536) != 0);
    }
    for (size_t i = 1024; i < 1100; i++)
        area[i * LONGS + 1] = 2;
    int status;
    waitpid(child, &status, 0);
    is(status, 0, "a child has it all");
    unsigned long mixed = area[600 * LONGS + 1] + wrong_numbers(area, 0, 1536);
    is(mixed, 0, "and its own copy of what it writes");
    unsigned long *moved = mremap(area, 1100 * PAGE, 1300 * PAGE, MREMAP_MAYMOVE);
    ok(moved != MAP_FAILED && moved[1099 * LONGS] == 1100 && moved[1299 * LONGS] == 0 && moved[700 * LONGS] == 701, "a part moves and grows");
    munmap(moved, 1300 * PAGE);
    munmap(area, PAGES * PAGE);
}

static void breaks(void)
{
    char *start = sbrk(0);
    is(brk(start + 3 * PAGE), 0, "brk");
    start[2 * PAGE] = 1;
    is(sbrk(0) == start + 3 * PAGE, 1, "the new break");
    is(brk(start), 0, "brk back");
    is(sbrk(0) == start, 1, "the old break");
}

static void shared_with_a_child(void)
{
    volatile int *both = map(1, PROT_READ | PROT_WRITE, MAP_SHARED), *own = map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    both[0] = own[0] = 1;
    pid_t child = fork();
    if (child == 0) {
        both[0] = own[0] = 2;
        _exit(0);
    }
    waitpid(child, NULL, 0);
    is(both[0], 2, "a shared map is shared with a child");
    is(own[0], 1, "a private one is copied");
}

static void memory_files(void)
{
    int fd = memfd_create("name", MFD_ALLOW_SEALING);
    ok(fd >= 0, "memfd_create");
    is(ftruncate(fd, PAGE), 0, "its size");
    is(fcntl(fd, F_GET_SEALS), 0, "F_GET_SEALS");
    is(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0, "F_ADD_SEALS");
    fails(ftruncate(fd, 2 * PAGE), EPERM, "growing a sealed one");
    fails(ftruncate(fd, 0), EPERM, "shrinking a sealed one");
    char *area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY, "F_SEAL_WRITE while it is mapped");
    munmap(area, PAGE);
    is(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0, "F_SEAL_WRITE");
    fails(write(fd, "x", 1), EPERM, "write to a sealed one");
    fails(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), EPERM, "a seal after F_SEAL_SEAL");
    is(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL, "all seals");
    close(fd);
    fails(memfd_create("name", 0x1000), EINVAL, "memfd_create with an unknown flag");
    fails(memfd_create(BAD, 0), EFAULT, "memfd_create with a bad address");
    fd = memfd_create("name", 0);
    is(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL, "seals of one made without");
    close(fd);
    ok(syscall(SYS_membarrier, 0, 0, 0) >= 0, "membarrier's query");
    fails(syscall(SYS_membarrier, 0, 7, 0), EINVAL, "membarrier with flags");
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    anonymous();
    fixed();
    moved();
    files();
    whole_files();
    advice();
    large();
    breaks();
    shared_with_a_child();
    memory_files();
    return done();
}
