/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/sched's sleeping locks and wait queues, their own files, over the host's threads.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "kernel/base/error.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait_queue.h"
#include "tests/unit/host/host.h"
#include "xen/machine/clock.h"

#define THREAD_COUNT 4
#define ROUNDS 5000

static struct mutex mutex;
static struct rw_lock rw_lock;
static struct wait_queue queue;
static struct spinlock done_lock;
static int done;             /* done_lock */
static int shared, turn;     /* what the test of the moment guards it with */
static atomic_int readers_inside;

static void thread_done(void)
{
    spinlock_lock(&done_lock);
    done++;
    spinlock_unlock(&done_lock);
    wait_queue_wake_all(&queue, 0);
}

static void run_threads(void (*entry)(void *))
{
    spinlock_init(&done_lock, "done", 0);
    wait_queue_init(&queue);
    done = 0;
    for (intptr_t i = 0; i < THREAD_COUNT; i++) {
        struct thread *thread;
        assert_int_equal(thread_create(&thread, "worker", entry, (void *)i), 0);
        thread_start(thread);
        thread_release(thread);
    }
    assert_int_equal(WAIT_UNTIL(&queue, done == THREAD_COUNT, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE), 0);
}

static void count_under_mutex(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&mutex);
        int seen = shared;
        if (i % 64 == 0)
            thread_yield();
        shared = seen + 1;
        mutex_unlock(&mutex);
    }
    thread_done();
}

static void mutex_excludes(void **state)
{
    mutex_init(&mutex, "test", 0);
    shared = 0;
    run_threads(count_under_mutex);
    assert_int_equal(shared, THREAD_COUNT * ROUNDS);
    assert_true(mutex_try_lock(&mutex));
    assert_true(mutex_held(&mutex));
    mutex_unlock(&mutex);
}

static void read_and_write(void *argument)
{
    for (int i = 0; i < ROUNDS / 10; i++) {
        if (i % 4 == (int)(intptr_t)argument) {
            rw_lock_write(&rw_lock);
            assert_int_equal(atomic_load(&readers_inside), 0);
            shared++;
            rw_unlock_write(&rw_lock);
        } else {
            rw_lock_read(&rw_lock);
            atomic_fetch_add(&readers_inside, 1);
            if (i % 16 == 0)
                thread_yield();
            atomic_fetch_sub(&readers_inside, 1);
            rw_unlock_read(&rw_lock);
        }
    }
    thread_done();
}

static void writers_exclude_readers(void **state)
{
    rw_lock_init(&rw_lock, "test", 0);
    shared = 0;
    run_threads(read_and_write);
    assert_int_equal(shared, THREAD_COUNT * (ROUNDS / 10 / 4));
}

/* Each thread waits for its turn and hands it on. */
static void take_turns(void *argument)
{
    int self = (int)(intptr_t)argument;
    for (int i = 0; i < 100; i++) {
        WAIT_UNTIL(&queue, read_once(turn) == self, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        write_once(turn, (self + 1) % THREAD_COUNT);
        wait_queue_wake_all(&queue, 0);
    }
    thread_done();
}

static void no_wake_is_lost(void **state)
{
    turn = 0;
    run_threads(take_turns);
    assert_int_equal(turn, 0);
}

static void waits_end_at_their_deadline(void **state)
{
    wait_queue_init(&queue);
    assert_int_equal(WAIT_UNTIL(&queue, false, clock_monotonic_ns() + 1000000, WAIT_INTERRUPTIBLE), -ETIMEDOUT);
    assert_true(wait_queue_empty(&queue));
    thread_interrupt(thread_current());
    assert_int_equal(WAIT_UNTIL(&queue, false, WAIT_FOREVER, WAIT_INTERRUPTIBLE), -EINTR);
    thread_interrupt_clear();
}

static void lock_mutexes_in_wrong_order(void *argument)
{
    struct mutex low, high;
    mutex_init(&low, "low", 1);
    mutex_init(&high, "high", 2);
    mutex_lock(&high);
    mutex_lock(&low);
}

static void mutex_order_is_checked(void **state)
{
    assert_true(host_panics(lock_mutexes_in_wrong_order, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex_excludes),
        cmocka_unit_test(writers_exclude_readers),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(waits_end_at_their_deadline),
        cmocka_unit_test(mutex_order_is_checked),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
