/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn SECONDS [THREADS]: rounds of what a kernel has to give back again. THREADS (16) are made and joined; each maps memory, writes and
 * checks it and unmaps it, sends bytes through a socket pair, adds to a sum under a lock; a child is forked, writes to what it shares
 * with its parent, and ends with a status. Says at the end how many rounds there were. Exit status 1, after a line, when something is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_LIMIT 256
#define MAPPED_BYTES (1u << 20)
#define PAGE_BYTES 4096u
#define ADDITIONS 100u
#define CHILD_STATUS 42

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long sum; /* mutex */
static volatile unsigned long shared[PAGE_BYTES];

static _Noreturn void wrong(const char *what)
{
    printf("churn: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void memory_turn(uintptr_t mark)
{
    uintptr_t *at = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        wrong("mmap");
    for (size_t i = 0; i < MAPPED_BYTES / sizeof(*at); i += PAGE_BYTES / sizeof(*at))
        at[i] = mark + i;
    for (size_t i = 0; i < MAPPED_BYTES / sizeof(*at); i += PAGE_BYTES / sizeof(*at))
        if (at[i] != mark + i)
            wrong("memory is not what was written");
    if (munmap(at, MAPPED_BYTES) != 0)
        wrong("munmap");
}

static void socket_turn(uintptr_t mark)
{
    uintptr_t got = 0;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        wrong("socketpair");
    if (write(ends[0], &mark, sizeof(mark)) != sizeof(mark) || read(ends[1], &got, sizeof(got)) != sizeof(got) || got != mark)
        wrong("a socket pair's bytes");
    close(ends[0]);
    close(ends[1]);
}

static void *thread_run(void *argument)
{
    uintptr_t mark = (uintptr_t)argument;

    memory_turn(mark);
    socket_turn(mark);
    for (unsigned int i = 0; i < ADDITIONS; i++) {
        pthread_mutex_lock(&mutex);
        sum++;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void child_turn(unsigned long round)
{
    int status;

    shared[round % PAGE_BYTES] = round;
    pid_t pid = fork();
    if (pid < 0)
        wrong("fork");
    if (pid == 0) {
        shared[round % PAGE_BYTES]++;
        _exit(shared[round % PAGE_BYTES] == round + 1 ? CHILD_STATUS : 1);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS)
        wrong("the child's status");
    if (shared[round % PAGE_BYTES] != round)
        wrong("the child wrote into its parent");
}

static void round_run(unsigned long round, unsigned int count)
{
    pthread_t threads[THREADS_LIMIT];
    unsigned long before = sum;

    for (uintptr_t i = 0; i < count; i++)
        if ((errno = pthread_create(&threads[i], NULL, thread_run, (void *)(i << 32 | round))) != 0)
            wrong("pthread_create");
    child_turn(round);
    for (uintptr_t i = 0; i < count; i++) {
        void *result;
        if ((errno = pthread_join(threads[i], &result)) != 0 || result != (void *)(i << 32 | round))
            wrong("pthread_join");
    }
    if (sum != before + count * ADDITIONS)
        wrong("the sum under the lock");
}

int main(int count, char **arguments)
{
    long seconds = count > 1 ? strtol(arguments[1], NULL, 10) : 0;
    long threads = count > 2 ? strtol(arguments[2], NULL, 10) : 16;
    unsigned long rounds = 0;

    if (seconds <= 0 || threads <= 0 || threads > THREADS_LIMIT) {
        fprintf(stderr, "usage: churn SECONDS [THREADS, up to %d]\n", THREADS_LIMIT);
        return 2;
    }
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        round_run(rounds++, (unsigned int)threads);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < seconds);
    printf("churn: %lu rounds of %ld threads, all right\n", rounds, threads);
    return 0;
}
