/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's stand-ins of the low floors (tests/unit/host), so that the tests built on them can be believed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "tests/unit/host/host.h"
#include "xen/machine/clock.h"
#include "xen/machine/spinlock.h"
#include "xen/x86/user_access.h"

static void pages_come_zeroed_and_go(void **state)
{
    size_t before = host_pages_in_use();
    struct page *page = page_allocate(2, PAGE_KERNEL, PAGE_ALLOCATE_ZERO);
    assert_non_null(page);
    assert_int_equal(host_pages_in_use(), before + 4);
    uint8_t *bytes = page_address(page);
    assert_int_equal(bytes[4 * PAGE_SIZE - 1], 0);
    assert_ptr_equal(page_from_address(bytes), page);
    page_release(page);
    assert_int_equal(host_pages_in_use(), before);
}

static void allocations_fail_when_told(void **state)
{
    size_t before = host_objects_in_use();
    host_fail_allocations_after(1);
    void *first = memory_allocate(10), *second = memory_allocate(10);
    host_fail_allocations_after(-1);
    assert_non_null(first);
    assert_null(second);
    first = memory_reallocate(first, 5000);
    assert_int_equal((uintptr_t)first % PAGE_SIZE, 0);
    memory_free(first);
    assert_int_equal(host_objects_in_use(), before);
}

static void locks_in_wrong_order(void *argument)
{
    struct spinlock low, high;
    spinlock_init(&low, "low", 1);
    spinlock_init(&high, "high", 2);
    spinlock_lock(&high);
    spinlock_lock(&low);
}

static void lock_order_is_checked(void **state)
{
    struct spinlock lock;
    spinlock_init(&lock, "lock", 1);
    spinlock_lock(&lock);
    assert_true(spinlock_held(&lock));
    spinlock_unlock(&lock);
    assert_true(spinlock_try_lock(&lock));
    assert_false(spinlock_try_lock(&lock));
    spinlock_unlock(&lock);
    assert_true(host_panics(locks_in_wrong_order, NULL)); /* last: its lock stays held */
}

static struct thread *sleeper;
static _Atomic int progress;

static void sleep_until_woken(void *argument)
{
    thread_sleep_prepare();
    progress = 1;
    if (thread_sleep(UINT64_MAX, false) == 0)
        progress = 2;
    while (!atomic_load(&thread_current()->context.interrupted))
        thread_yield();
    thread_sleep_prepare();
    if (thread_sleep(UINT64_MAX, true) == -EINTR)
        progress = 3;
}

static void threads_sleep_and_wake(void **state)
{
    assert_int_equal(thread_create(&sleeper, "sleeper", sleep_until_woken, NULL), 0);
    thread_start(sleeper);
    while (progress != 1)
        thread_yield();
    assert_true(thread_wake(sleeper));
    while (progress != 2)
        thread_yield();
    thread_interrupt(sleeper);
    while (progress != 3)
        thread_yield();
    thread_release(sleeper);
    thread_sleep_prepare();
    assert_int_equal(thread_sleep(clock_monotonic_ns() + 1000, false), -ETIMEDOUT);
}

static int expired;

static void expire(struct timer *timer)
{
    expired++;
}

static void run(struct deferred_work *work)
{
    progress = 10;
}

static void timers_and_work_run(void **state)
{
    struct timer timer;
    timer_init(&timer, expire);
    timer_start(&timer, clock_monotonic_ns() + 3600000000000ull);
    host_clock_advance(1);
    assert_int_equal(expired, 0);
    host_clock_advance(3600000000000ull);
    assert_int_equal(expired, 1);
    assert_false(timer_cancel(&timer));

    struct deferred_work work;
    deferred_work_init(&work, run);
    deferred_work_schedule(&work);
    while (progress != 10)
        thread_yield();
    deferred_work_cancel(&work);
}

static void user_faults_are_answered(void **state)
{
    char program[16] = "0123456789", kernel[16];
    assert_int_equal(user_copy_string(kernel, (uintptr_t)program, sizeof(kernel)), 10);
    host_user_forbid((uintptr_t)program + 4, 2);
    assert_int_equal(user_copy_in(kernel, (uintptr_t)program, 8), -EFAULT);
    assert_int_equal(user_copy_in_partial(kernel, (uintptr_t)program, 8), 4);
    assert_int_equal(user_copy_in(kernel, (uintptr_t)program, 4), 0);
    host_user_forbid(0, 0);
    assert_int_equal(user_copy_out(0, kernel, 1), -EFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_come_zeroed_and_go),
        cmocka_unit_test(allocations_fail_when_told),
        cmocka_unit_test(threads_sleep_and_wake),
        cmocka_unit_test(timers_and_work_run),
        cmocka_unit_test(user_faults_are_answered),
        cmocka_unit_test(lock_order_is_checked),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
