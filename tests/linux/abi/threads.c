/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads and futexes: waiting, waking, requeueing, timeouts, robust and priority-inheriting mutexes, thread-local storage.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

static _Atomic unsigned int word, word2, woken, running;
static __thread int own = 11;

static long futex(void *address, int operation, unsigned int value, const void *timeout, void *address2, unsigned int value3)
{
    return syscall(SYS_futex, address, operation, value, timeout, address2, value3);
}

static void *waiter(void *argument)
{
    running++;
    long result = futex(&word, FUTEX_WAIT_PRIVATE, (unsigned int)(uintptr_t)argument, NULL, NULL, 0);
    woken += result == 0;
    return NULL;
}

static void until(_Atomic unsigned int *value, unsigned int wanted)
{
    for (unsigned int i = 0; i < 2000 && *value < wanted; i++)
        usleep(1000);
}

static void words(void)
{
    struct timespec zero = { 0, 1000 }, wrong = { 0, 1000000000 }, past = { 1, 0 };
    word = 5;
    fails(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN, "the word differs");
    fails(futex(&word, FUTEX_WAIT, 5, &zero, NULL, 0), ETIMEDOUT, "the time is up");
    fails(futex(&word, FUTEX_WAIT, 5, &wrong, NULL, 0), EINVAL, "a wrong time");
    fails(futex(&word, FUTEX_WAIT_BITSET, 5, &past, NULL, ~0u), ETIMEDOUT, "an absolute time in the past");
    fails(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &past, NULL, ~0u), ETIMEDOUT, "a real time in the past");
    fails(futex(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), EINVAL, "an empty bit set");
    fails(futex((char *)&word + 1, FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL, "an odd address");
    fails(futex(BAD, FUTEX_WAIT, 5, NULL, NULL, 0), EFAULT, "a bad address");
    fails(futex(&word, 99, 5, NULL, NULL, 0), ENOSYS, "an unknown operation");
    is(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0, "a wake of nobody");
}

static void wakes(void)
{
    pthread_t threads[5];
    word = 0;
    for (unsigned int i = 0; i < 5; i++)
        pthread_create(&threads[i], NULL, waiter, NULL);
    until(&running, 5);
    usleep(100000);
    is(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0), 2, "a wake of two");
    until(&woken, 2);
    is(woken, 2, "they woke");
    fails(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &word2, 7), EAGAIN, "a requeue with the wrong value");
    is(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &word2, 0), 3, "a requeue: one woken, two moved");
    is(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 0, "nobody waits at the old word");
    is(futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2, "two at the new one");
    for (unsigned int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    is(woken, 5, "all woke");
    /* add 1 to word2; wake at word2 if it was 0 before */
    is(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)), 0, "FUTEX_WAKE_OP");
    is(word2, 1, "its operation");
}

static void count(pthread_mutex_t *mutex, unsigned int times)
{
    while (times-- > 0) {
        pthread_mutex_lock(mutex);
        word = word + 1; /* not atomic on purpose: the mutex must hold */
        pthread_mutex_unlock(mutex);
    }
}

static void *counts(void *mutex)
{
    count(mutex, 20000);
    return NULL;
}

static void *counts_and_ends(void *mutex)
{
    count(mutex, 3);
    return NULL;
}

static void *dies_holding(void *argument)
{
    pthread_mutex_lock(argument);
    return NULL;
}

static void four(void *(*run)(void *), pthread_mutex_t *mutex)
{
    pthread_t threads[4];
    for (unsigned int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run, mutex);
    for (unsigned int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void mutexes(void)
{
    pthread_t dying;
    pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, special;
    pthread_mutexattr_t attributes;
    word = 0;
    four(counts, &plain);
    is(word, 80000, "a mutex");
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&special, &attributes);
    pthread_create(&dying, NULL, dies_holding, &special);
    pthread_join(dying, NULL);
    is(pthread_mutex_lock(&special), EOWNERDEAD, "a robust mutex whose owner has died");
    is(pthread_mutex_consistent(&special), 0, "made good");
    is(pthread_mutex_unlock(&special), 0, "unlocked");
    is(pthread_mutex_lock(&special), 0, "locked again");
    pthread_mutexattr_init(&attributes);
    is(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0, "a priority-inheriting mutex");
    pthread_mutex_init(&special, &attributes);
    word = 0;
    four(counts, &special);
    is(word, 80000, "it holds");
    word = 0;
    for (unsigned int i = 0; i < 200; i++)
        four(counts_and_ends, &special);
    is(word, 200 * 4 * 3, "its owners end as soon as they have let go");
    struct timespec past = { 1, 0 };
    pthread_mutex_lock(&plain);
    is(pthread_mutex_timedlock(&plain, &past), ETIMEDOUT, "a timed lock");
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    is(pthread_cond_timedwait(&condition, &plain, &past), ETIMEDOUT, "a timed wait for a condition");
    pthread_mutex_unlock(&plain);
}

static void between_processes(void)
{
    sem_t *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(&both[0], 1, 0);
    sem_init(&both[1], 1, 0);
    pid_t child = fork();
    if (child == 0) {
        sem_wait(&both[0]);
        sem_post(&both[1]);
        _exit(0);
    }
    sem_post(&both[0]);
    is(sem_wait(&both[1]), 0, "a semaphore between processes");
    waitpid(child, NULL, 0);
}

static void *looks(void *argument)
{
    int *seen = argument;
    *seen = own;
    own = 22;
    prctl(PR_SET_NAME, "a long name of a thread");
    char name[16];
    prctl(PR_GET_NAME, name);
    seen[1] = strcmp(name, "a long name of ") == 0;
    seen[2] = (int)syscall(SYS_gettid) != getpid();
    return NULL;
}

static void storage(void)
{
    int seen[3] = { 0 };
    pthread_t thread;
    own = 33;
    pthread_create(&thread, NULL, looks, seen);
    pthread_join(thread, NULL);
    is(seen[0], 11, "a thread's own variable is fresh");
    is(own, 33, "the other's is as it was");
    is(seen[1], 1, "a thread's name is cut at 15");
    is(seen[2], 1, "gettid is not getpid");
    is(syscall(SYS_gettid) == getpid(), 1, "but for the first thread");
}

int main(void)
{
    words();
    wakes();
    mutexes();
    between_processes();
    storage();
    return done();
}
