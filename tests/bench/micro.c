/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * micro [--rounds N] [--time MS] [--file FILE]: what single things cost a program, one line "name value unit" for each and round.
 *
 * One static program for Linux and Xenolith. A case is a function that does its thing so many times; how often is found out
 * first, by doubling until --time (30 ms) has passed, and is the same in all rounds. Rounds go through all cases in turn, so
 * that what disturbs one case for a while does not disturb all samples of it. Unit ns: nanoseconds for one thing; MB/s: a rate.
 * A case that cannot run here says "name ! reason" once, and the others go on.
 * System calls are made by syscall(), where the C library could otherwise answer by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096ul
#define NUMBER_OF_NO_CALL 1000
#define SMALL_PAGES 16ul
#define LARGE_PAGES 4096ul
#define BLOCK_BYTES 65536ul

/* Does the thing count times. Returns 0, or a negative errno. */
typedef int (*case_run)(uint64_t count);

struct micro_case {
    const char *name;
    case_run run;
    uint64_t things; /* that one time of it counts for: pages touched, switches made; 0 for a rate */
    uint64_t bytes; /* that one time of it moves: then a rate is told */
    uint64_t count; /* times a round, found out first */
    bool gone; /* it has failed */
};

static const char *program_path;
static int zero_fd, null_fd, file_fd;
static uint64_t file_bytes;
static unsigned char block[BLOCK_BYTES];

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Calls ------------------------------------------------------------------------------------------------------- */

static int null_call(uint64_t count)
{
    while (count-- > 0)
        syscall(NUMBER_OF_NO_CALL);
    return errno == ENOSYS ? 0 : -EEXIST;
}

static int getppid_call(uint64_t count)
{
    while (count-- > 0)
        syscall(SYS_getppid);
    return 0;
}

static int read_zero(uint64_t count)
{
    while (count-- > 0)
        if (read(zero_fd, block, 1) != 1)
            return -errno;
    return 0;
}

static int write_null(uint64_t count)
{
    while (count-- > 0)
        if (write(null_fd, block, 1) != 1)
            return -errno;
    return 0;
}

static int read_file_byte(uint64_t count)
{
    while (count-- > 0)
        if (pread(file_fd, block, 1, (off_t)(count % file_bytes)) != 1)
            return -errno;
    return 0;
}

static int clock_library(uint64_t count)
{
    struct timespec now;

    while (count-- > 0)
        if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
            return -errno;
    return 0;
}

static int clock_call(uint64_t count)
{
    struct timespec now;

    while (count-- > 0)
        if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) < 0)
            return -errno;
    return 0;
}

/* ---- Switches: two threads of execution on one CPU, each waits for the other -------------------------------------- */

/* Keeps the caller, and whom it makes, on the first CPU that it may use; before gets what was. */
static int cpu_pin(cpu_set_t *before)
{
    cpu_set_t one;
    int cpu = 0;

    if (sched_getaffinity(0, sizeof(*before), before) < 0)
        return -errno;
    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

static void pipe_echo(int in_fd, int out_fd)
{
    char byte;

    while (read(in_fd, &byte, 1) == 1 && write(out_fd, &byte, 1) == 1)
        ;
    _exit(0);
}

static int pipe_switch(uint64_t count)
{
    int there[2], back[2];
    cpu_set_t before;
    char byte = 'x';
    int error = cpu_pin(&before);

    if (error < 0)
        return error;
    if (pipe(there) < 0 || pipe(back) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        close(there[1]);
        close(back[0]);
        pipe_echo(there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    while (error == 0 && count-- > 0)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            error = -EPIPE;
    close(there[1]);
    close(back[0]);
    waitpid(pid, NULL, 0);
    sched_setaffinity(0, sizeof(before), &before);
    return error;
}

static _Atomic uint32_t futex_turn;

static void turn_await(uint32_t wanted)
{
    uint32_t seen;

    while ((seen = atomic_load(&futex_turn)) != wanted)
        syscall(SYS_futex, &futex_turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void turn_give(uint32_t next)
{
    atomic_store(&futex_turn, next);
    syscall(SYS_futex, &futex_turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *futex_echo(void *argument)
{
    for (uint64_t left = *(uint64_t *)argument; left > 0; left--) {
        turn_await(1);
        turn_give(0);
    }
    return NULL;
}

static int futex_switch(uint64_t count)
{
    uint64_t rounds = count;
    cpu_set_t before;
    pthread_t thread;
    int error = cpu_pin(&before);

    if (error < 0)
        return error;
    error = -pthread_create(&thread, NULL, futex_echo, &rounds);
    if (error == 0) {
        while (count-- > 0) {
            turn_give(1);
            turn_await(0);
        }
        pthread_join(thread, NULL);
    }
    sched_setaffinity(0, sizeof(before), &before);
    return error;
}

/* ---- Threads and processes --------------------------------------------------------------------------------------- */

static void *thread_body(void *argument)
{
    return argument;
}

static int thread_create_join(uint64_t count)
{
    pthread_t thread;

    while (count-- > 0) {
        int error = pthread_create(&thread, NULL, thread_body, NULL);
        if (error != 0 || (error = pthread_join(thread, NULL)) != 0)
            return -error;
    }
    return 0;
}

static int child_wait(pid_t pid)
{
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int fork_exit(uint64_t count)
{
    for (int error; count-- > 0;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if ((error = child_wait(pid)) < 0)
            return error;
    }
    return 0;
}

static int fork_exec(uint64_t count)
{
    char *const arguments[] = {(char *)(uintptr_t)program_path, "--nothing", NULL};

    for (int error; count-- > 0;) {
        pid_t pid = fork();
        if (pid == 0) {
            execv(program_path, arguments);
            _exit(127);
        }
        if ((error = child_wait(pid)) < 0)
            return error;
    }
    return 0;
}

/* ---- Memory and files -------------------------------------------------------------------------------------------- */

static int touch_anonymous(uint64_t count, uint64_t pages)
{
    while (count-- > 0) {
        unsigned char *area = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
            return -errno;
        for (uint64_t page = 0; page < pages; page++)
            *(volatile unsigned char *)(area + page * PAGE_BYTES) = 1;
        if (munmap(area, pages * PAGE_BYTES) < 0)
            return -errno;
    }
    return 0;
}

static int touch_small(uint64_t count)
{
    return touch_anonymous(count, SMALL_PAGES);
}

static int touch_large(uint64_t count)
{
    return touch_anonymous(count, LARGE_PAGES);
}

static int touch_file(uint64_t count)
{
    unsigned char sum = 0;

    while (count-- > 0) {
        unsigned char *area = mmap(NULL, file_bytes, PROT_READ, MAP_PRIVATE, file_fd, 0);
        if (area == MAP_FAILED)
            return -errno;
        for (uint64_t at = 0; at < file_bytes; at += PAGE_BYTES)
            sum ^= *(volatile unsigned char *)(area + at);
        if (munmap(area, file_bytes) < 0)
            return -errno;
    }
    block[0] = sum;
    return 0;
}

static int read_cached(uint64_t count)
{
    while (count-- > 0)
        for (uint64_t at = 0; at < file_bytes; at += BLOCK_BYTES)
            if (pread(file_fd, block, BLOCK_BYTES, (off_t)at) != (ssize_t)BLOCK_BYTES)
                return -EIO;
    return 0;
}

/* ---- The table, and the rounds ----------------------------------------------------------------------------------- */

static struct micro_case cases[] = {
    {"null_call", null_call, .things = 1},
    {"getppid", getppid_call, .things = 1},
    {"read_zero", read_zero, .things = 1},
    {"write_null", write_null, .things = 1},
    {"read_file_byte", read_file_byte, .things = 1},
    {"clock_gettime", clock_library, .things = 1},
    {"clock_gettime_call", clock_call, .things = 1},
    {"pipe_switch", pipe_switch, .things = 2},
    {"futex_switch", futex_switch, .things = 2},
    {"thread_create_join", thread_create_join, .things = 1},
    {"fork_exit_wait", fork_exit, .things = 1},
    {"fork_exec_wait", fork_exec, .things = 1},
    {"mmap_touch_64K_page", touch_small, .things = SMALL_PAGES},
    {"mmap_touch_16M_page", touch_large, .things = LARGE_PAGES},
    {"fault_file_page", touch_file, .things = 1},
    {"read_cached_64K", read_cached, .bytes = 1},
};

/* Runs a case count times, timed. Says why and gives it up where it fails. */
static uint64_t case_time(struct micro_case *c, uint64_t count)
{
    uint64_t start_ns = now_ns();
    int error = c->run(count);
    uint64_t end_ns = now_ns();

    if (error < 0) {
        printf("%s ! %s\n", c->name, strerror(-error));
        c->gone = true;
    }
    return end_ns > start_ns ? end_ns - start_ns : 1;
}

static void case_calibrate(struct micro_case *c, uint64_t target_ns)
{
    c->count = 1;
    while (!c->gone && case_time(c, c->count) < target_ns)
        c->count *= 2;
}

static void case_sample(struct micro_case *c)
{
    double took_ns = (double)case_time(c, c->count);

    if (c->gone)
        return;
    if (c->bytes > 0)
        printf("%s %.3f MB/s\n", c->name, (double)(c->count * c->bytes) * 1000 / took_ns);
    else
        printf("%s %.2f ns\n", c->name, took_ns / (double)(c->count * c->things));
}

static int files_open(const char *path)
{
    zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    file_fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t length = file_fd < 0 ? -1 : lseek(file_fd, 0, SEEK_END);
    file_bytes = length < 0 ? 0 : (uint64_t)length / BLOCK_BYTES * BLOCK_BYTES;
    if (zero_fd >= 0 && null_fd >= 0 && file_bytes > 0)
        return 0;
    fprintf(stderr, "micro: /dev/zero, /dev/null and a file of at least %lu bytes are wanted (--file %s)\n", BLOCK_BYTES, path);
    return -1;
}

int main(int count, char **arguments)
{
    const char *path = "/bench/data";
    long rounds = 3, time_ms = 30;
    const size_t cases_count = sizeof(cases) / sizeof(cases[0]);

    if (count == 2 && strcmp(arguments[1], "--nothing") == 0)
        return 0;
    program_path = arguments[0];
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(arguments[i], "--rounds") == 0)
            rounds = strtol(arguments[i + 1], NULL, 10);
        else if (strcmp(arguments[i], "--time") == 0)
            time_ms = strtol(arguments[i + 1], NULL, 10);
        else if (strcmp(arguments[i], "--file") == 0)
            path = arguments[i + 1];
    }
    if (rounds < 1 || time_ms < 1 || files_open(path) < 0)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < cases_count; i++) {
        if (cases[i].run == touch_file)
            cases[i].things = file_bytes / PAGE_BYTES;
        if (cases[i].bytes > 0)
            cases[i].bytes = file_bytes;
        case_calibrate(&cases[i], (uint64_t)time_ms * 1000000u);
    }
    for (long round = 0; round < rounds; round++)
        for (size_t i = 0; i < cases_count; i++)
            if (!cases[i].gone)
                case_sample(&cases[i]);
    return 0;
}
