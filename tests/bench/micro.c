/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * micro [--rounds N] [--time MS] [--file FILE] [--spawn PROGRAM]: what single things cost a program, one line "name value unit" for each and round.
 *
 * One static program for Linux and Xenolith. A case is a function that does its thing so many times; how often is found out
 * first, by doubling until --time (30 ms) has passed, and is the same in all rounds. Rounds go through all cases in turn, so
 * that what disturbs one case for a while does not disturb all samples of it. Unit ns: nanoseconds for one thing; MB/s: a rate.
 * A case that cannot run here says "name ! reason" once, and the others go on.
 * Cases of switches, threads and processes are in micro_switch.c.
 * System calls are made by syscall(), where the C library could otherwise answer by itself.
 */
#include "tests/bench/micro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096ul
#define NUMBER_OF_NO_CALL 1000
#define SMALL_PAGES 16ul
#define LARGE_PAGES 4096ul
#define BLOCK_BYTES 65536ul

struct micro_case {
    const char *name;
    case_run run;
    uint64_t things; /* that one time of it counts for: pages touched, switches made; 0 for a rate */
    uint64_t bytes; /* that one time of it moves: then a rate is told */
    uint64_t count; /* times a round, found out first */
    bool gone; /* it has failed */
};

static int zero_fd, null_fd, file_fd;
static uint64_t file_bytes;
static unsigned char block[BLOCK_BYTES];

/* Of the case that runs. One that has things to prepare and to clear away starts and stops the watch itself. */
static uint64_t watch_start_ns, watch_stop_ns;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void watch_start(void)
{
    watch_start_ns = now_ns();
}

void watch_stop(void)
{
    watch_stop_ns = now_ns();
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
        getppid();
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
    {"pipe_switch_thread", pipe_switch_thread, .things = 2},
    {"futex_switch", futex_switch, .things = 2},
    {"thread_create_join", thread_create_join, .things = 1},
    {"fork_exit_wait", fork_exit, .things = 1},
    {"fork_exec_wait", fork_exec, .things = 1},
    {"spawn_dynamic_wait", spawn_dynamic, .things = 1},
    {"mmap_touch_64K_page", touch_small, .things = SMALL_PAGES},
    {"mmap_touch_16M_page", touch_large, .things = LARGE_PAGES},
    {"fault_file_page", touch_file, .things = 1},
    {"read_cached_64K", read_cached, .bytes = 1},
};

/* Runs a case count times, timed. Says why and gives it up where it fails. */
static uint64_t case_time(struct micro_case *c, uint64_t count)
{
    watch_stop_ns = 0;
    watch_start();
    int error = c->run(count);
    if (watch_stop_ns == 0)
        watch_stop();

    if (error < 0) {
        printf("%s ! %s\n", c->name, strerror(-error));
        c->gone = true;
    }
    return watch_stop_ns > watch_start_ns ? watch_stop_ns - watch_start_ns : 1;
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
    micro_program_path = arguments[0];
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(arguments[i], "--rounds") == 0)
            rounds = strtol(arguments[i + 1], NULL, 10);
        else if (strcmp(arguments[i], "--time") == 0)
            time_ms = strtol(arguments[i + 1], NULL, 10);
        else if (strcmp(arguments[i], "--file") == 0)
            path = arguments[i + 1];
        else if (strcmp(arguments[i], "--spawn") == 0)
            micro_dynamic_path = arguments[i + 1];
    }
    if (rounds < 1 || time_ms < 1 || files_open(path) < 0)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < cases_count; i++) {
        cases[i].gone = cases[i].run == spawn_dynamic && micro_dynamic_path == NULL;
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
