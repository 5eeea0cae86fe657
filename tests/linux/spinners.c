/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spinners [N]: N threads (4) count without end, under a lock now and then. Twice a second a line says how many CPUs there are, on which
 * ones (a mask) threads were seen since the last line, and how far the slowest thread got. SIGTERM ends it, after a last line that
 * says whether all counts add up.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <time.h>

#define THREADS_LIMIT 64
#define LOCK_EACH 1024

static struct {
    atomic_ulong count, locked;
} threads[THREADS_LIMIT];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long locked_sum; /* mutex */
static _Atomic uint64_t seen;
static atomic_bool ended;

static void *spin(void *argument)
{
    uintptr_t own = (uintptr_t)argument;

    while (!ended) {
        if (++threads[own].count % LOCK_EACH != 0)
            continue;
        seen |= 1ull << (sched_getcpu() & 63);
        pthread_mutex_lock(&mutex);
        locked_sum++;
        pthread_mutex_unlock(&mutex);
        threads[own].locked++;
    }
    return NULL;
}

static void tell(unsigned int count)
{
    static unsigned long before[THREADS_LIMIT];
    unsigned long least = ~0ul;

    for (unsigned int i = 0; i < count; i++) {
        unsigned long now = threads[i].count;
        least = now - before[i] < least ? now - before[i] : least;
        before[i] = now;
    }
    printf("cpus %d used %llx %s\n", get_nprocs(), (unsigned long long)atomic_exchange(&seen, 0), least > 0 ? "all go on" : "some stand");
    fflush(stdout);
}

int main(int argc, char **arguments)
{
    unsigned int count = argc > 1 ? (unsigned int)atoi(arguments[1]) : 4;
    const struct timespec half = { .tv_nsec = 500000000 };
    pthread_t handles[THREADS_LIMIT];
    unsigned long sum = 0;
    sigset_t set;

    if (count < 1 || count > THREADS_LIMIT)
        return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (uintptr_t i = 0; i < count; i++)
        if (pthread_create(&handles[i], NULL, spin, (void *)i) != 0)
            return 1;
    while (sigtimedwait(&set, NULL, &half) != SIGTERM)
        tell(count);
    ended = true;
    for (unsigned int i = 0; i < count; i++) {
        pthread_join(handles[i], NULL);
        sum += threads[i].locked;
    }
    printf("ended, the sum is %s\n", sum == locked_sum && sum > 0 ? "right" : "wrong");
    return sum == locked_sum ? 0 : 1;
}
