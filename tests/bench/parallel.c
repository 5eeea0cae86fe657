/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parallel THREADS: so many threads share one piece of pure arithmetic, and one line says how long it took, "parallel N ms". The
 * piece is the same whatever the number, so that on as many CPUs it takes that part of the time.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_LIMIT 64
#define STEPS (UINT64_C(1) << 28)

static uint64_t share;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Each step needs the one before: there is nothing for a compiler to save. */
static void *work(void *argument)
{
    uint64_t value = (uintptr_t)argument;

    for (uint64_t i = 0; i < share; i++)
        value = value * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (void *)(uintptr_t)value;
}

int main(int count, char **arguments)
{
    pthread_t threads[THREADS_LIMIT];
    long wanted = count == 2 ? strtol(arguments[1], NULL, 10) : 0;

    if (wanted < 1 || wanted > THREADS_LIMIT) {
        fprintf(stderr, "usage: parallel THREADS, 1 to %d\n", THREADS_LIMIT);
        return 2;
    }
    share = STEPS / (uint64_t)wanted;
    uint64_t start_ns = now_ns();
    for (long i = 0; i < wanted; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0) {
            printf("parallel ! no thread %ld\n", i);
            return 1;
        }
    for (long i = 0; i < wanted; i++)
        pthread_join(threads[i], NULL);
    printf("parallel %.3f ms\n", (double)(now_ns() - start_ns) / 1e6);
    return 0;
}
