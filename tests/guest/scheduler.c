/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler on a real processor's terms: shares by nice level, sleeps and timers to their deadlines, interrupts, locks under
 * contention, deferred work, many threads; and nothing left over.
 */
#include "kernel/base/error.h"
#include "kernel/boot/first_program.h"
#include "kernel/boot/processors.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/completion.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait_queue.h"
#include "tests/guest/tap.h"
#include "tests/guest/workers.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"

#define MS 1000000ull

/* All on CPU 0: what is tested is how threads share one. Several CPUs are processors.c's. */
static struct thread *start(const char *name, void (*entry)(void *), void *argument)
{
    return worker_start(name, 1, entry, argument);
}

static bool all_ended(void)
{
    return workers_ended(60000 * MS);
}

static void pause_for(uint64_t duration_ns)
{
    struct completion never;
    completion_init(&never);
    completion_wait(&never, clock_monotonic_ns() + duration_ns, false);
}

/* ---- Shares ---- */

static uint64_t hogs_end_ns;

static void hog(void *argument)
{
    while (clock_monotonic_ns() < hogs_end_ns)
        thread_yield_if_due();
    worker_leave();
}

static uint64_t hog_share(struct thread *const hogs[], unsigned int i)
{
    return thread_run_time_ns(hogs[i]) / MS;
}

/* One measurement; whether the shares are as the weights: 1024, 1024, 336: 43%, 43%, 14%. */
static bool shares_measure(uint64_t shares[3], uint64_t *switches)
{
    struct thread *hogs[3];

    hogs_end_ns = clock_monotonic_ns() + 1200 * MS;
    for (int i = 0; i < 3; i++) {
        hogs[i] = start("hog", hog, NULL);
        thread_set_nice(hogs[i], i == 2 ? 5 : 0);
    }
    bool good = all_ended();
    for (unsigned int i = 0; i < 3; i++)
        shares[i] = hog_share(hogs, i);
    *switches = hogs[0]->switches_involuntary;
    for (int i = 0; i < 3; i++)
        thread_release(hogs[i]);
    uint64_t a = shares[0], b = shares[1], c = shares[2];
    return good && a * 10 < b * 13 && b * 10 < a * 13 && c * 2 < a && c * 5 > a;
}

static void shares_test(void)
{
    uint64_t shares[3], switches;

    /* A host that is busy itself takes the CPU away within a slice, and the slice's owner pays: such a measurement is not the scheduler's. */
    bool good = shares_measure(shares, &switches);
    for (int again = 0; again < 4 && !good; again++)
        good = shares_measure(shares, &switches);
    tap_case(good, "nice 0, 0 and 5 ran %llu, %llu and %llu ms", (unsigned long long)shares[0], (unsigned long long)shares[1],
             (unsigned long long)shares[2]);
    tap_case(switches > 5, "slices end: %llu times for one of them", (unsigned long long)switches);
}

/* Who comes to a thread that has run alone for long has no more than its share from then on. */
static bool newcomer_measure(uint64_t *old_ms, uint64_t *new_ms)
{
    uint64_t start_ns = clock_monotonic_ns();

    hogs_end_ns = start_ns + 900 * MS;
    struct thread *old = start("old hog", hog, NULL);
    pause_for(300 * MS); /* nobody else runs, or wakes */
    struct thread *new = start("new hog", hog, NULL);
    uint64_t before_ns = thread_run_time_ns(old);
    bool good = all_ended();
    *old_ms = (thread_run_time_ns(old) - before_ns) / MS;
    *new_ms = thread_run_time_ns(new) / MS;
    thread_release(old);
    thread_release(new);
    return good && *old_ms > 0 && *new_ms < *old_ms * 2 && *old_ms < *new_ms * 2;
}

static void newcomer_test(void)
{
    uint64_t old_ms, new_ms;
    bool good = newcomer_measure(&old_ms, &new_ms);

    for (int again = 0; again < 4 && !good; again++)
        good = newcomer_measure(&old_ms, &new_ms);
    tap_case(good, "who comes late shares: the old thread ran %llu ms from then on, the new one %llu", (unsigned long long)old_ms,
             (unsigned long long)new_ms);
}

/* Who keeps its time itself, for which no timer is set, shares as others do. */
static void keeper(void *argument)
{
    thread_keep_time();
    hog(argument);
}

static bool keeper_measure(uint64_t *keeper_ms, uint64_t *hog_ms, uint64_t *switches)
{
    hogs_end_ns = clock_monotonic_ns() + 600 * MS;
    struct thread *keeping = start("keeper", keeper, NULL);
    struct thread *other = start("hog", hog, NULL);
    bool good = all_ended();
    *keeper_ms = thread_run_time_ns(keeping) / MS;
    *hog_ms = thread_run_time_ns(other) / MS;
    *switches = keeping->switches_involuntary;
    thread_release(keeping);
    thread_release(other);
    return good && *hog_ms > 0 && *keeper_ms < *hog_ms * 2 && *hog_ms < *keeper_ms * 2;
}

static void keeper_test(void)
{
    uint64_t keeper_ms, hog_ms, switches;
    bool good = keeper_measure(&keeper_ms, &hog_ms, &switches);

    for (int again = 0; again < 4 && !good; again++)
        good = keeper_measure(&keeper_ms, &hog_ms, &switches);
    tap_case(good && switches > 5, "a thread that keeps its time ran %llu ms, another one %llu; it gave way %llu times", (unsigned long long)keeper_ms,
             (unsigned long long)hog_ms, (unsigned long long)switches);
}

/* A sleeper gets the CPU from a hog when its time comes. */
static uint64_t latest_ns;
static unsigned int times_late; /* where the host gives the processor to others, some are: not all */

static void sleeper(void *argument)
{
    for (int i = 0; i < 20; i++) {
        uint64_t deadline_ns = clock_monotonic_ns() + 10 * MS;
        struct completion never;
        completion_init(&never);
        completion_wait(&never, deadline_ns, false);
        uint64_t late_ns = clock_monotonic_ns() - deadline_ns;
        latest_ns = maximum(latest_ns, late_ns);
        times_late += late_ns > 30 * MS;
    }
    worker_leave();
}

static void latency_test(void)
{
    hogs_end_ns = clock_monotonic_ns() + 400 * MS;
    thread_release(start("hog", hog, NULL));
    thread_release(start("hog", hog, NULL));
    thread_release(start("sleeper", sleeper, NULL));
    bool good = all_ended();
    tap_case(good && times_late < 10, "a sleeper beside two hogs is late by %llu us at most",
             (unsigned long long)latest_ns / 1000);
}

/* ---- Timers ---- */

#define TIMERS 64

static struct timer timers[TIMERS];
static atomic_uint fired, early, disorder;
static uint64_t last_deadline_ns;

static void timer_fired(struct timer *timer)
{
    if (clock_monotonic_ns() < timer->deadline_ns)
        early++;
    if (timer->deadline_ns < last_deadline_ns)
        disorder++;
    last_deadline_ns = timer->deadline_ns;
    fired++;
}

static void timers_test(void)
{
    uint64_t base_ns = clock_monotonic_ns() + 20 * MS;
    unsigned int cancelled = 0;

    for (unsigned int i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], timer_fired);
        timer_start(&timers[i], base_ns + (i * 37 % TIMERS) * MS);
    }
    for (unsigned int i = 0; i < TIMERS; i += 4)
        cancelled += timer_cancel(&timers[i]);
    timer_start(&timers[1], base_ns + 100 * MS); /* moved */
    pause_for(250 * MS);
    tap_case(fired + cancelled == TIMERS && cancelled == TIMERS / 4, "%u timers fired, %u were cancelled", fired, cancelled);
    tap_case(early == 0 && disorder == 0, "none early, all in order");
    tap_case(!timer_cancel(&timers[1]), "a fired one cannot be cancelled");
}

/* ---- Sleeping, waking, interrupting ---- */

static struct wait_queue doors = WAIT_QUEUE_INITIALIZER(doors, "test doors");
static atomic_uint passed, tickets;
static int interrupt_answer;

static bool take_ticket(void)
{
    unsigned int left = atomic_load(&tickets);
    while (left > 0)
        if (atomic_compare_exchange_weak(&tickets, &left, left - 1))
            return true;
    return false;
}

static void passer(void *argument)
{
    struct wait_entry entry;

    wait_begin_exclusive(&doors, &entry);
    for (;;) {
        thread_sleep_prepare();
        if (take_ticket())
            break;
        wait_sleep(&entry, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    }
    wait_end(&entry);
    passed++;
    worker_leave();
}

static void interruptible(void *argument)
{
    interrupt_answer = WAIT_UNTIL(&doors, false, WAIT_FOREVER, WAIT_INTERRUPTIBLE);
    thread_interrupt_clear();
    int again = WAIT_UNTIL(&doors, false, clock_monotonic_ns() + 10 * MS, WAIT_INTERRUPTIBLE);
    if (again != -ETIMEDOUT)
        interrupt_answer = 1;
    worker_leave();
}

static void waking_test(void)
{
    for (int i = 0; i < 10; i++)
        thread_release(start("passer", passer, NULL));
    pause_for(20 * MS);
    tap_case(passed == 0 && !wait_queue_empty(&doors), "ten wait");
    for (unsigned int i = 1; i <= 10; i++) {
        tickets++;
        wait_queue_wake_one(&doors, 0);
        /* A busy host may stop us for longer than one pause. */
        for (unsigned int tries = 0; passed < i && tries < 500; tries++)
            pause_for(2 * MS);
        pause_for(2 * MS);
        if (passed != i)
            break;
    }
    tap_case(passed == 10 && all_ended(), "each wake lets one pass");

    struct thread *thread = start("interrupted", interruptible, NULL);
    pause_for(5 * MS);
    thread_interrupt(thread);
    tap_case(all_ended() && interrupt_answer == -EINTR, "an interruptible sleep is interrupted, the next one is not");
    tap_case(thread_set_cpu_mask(thread, 0) == -EINVAL, "no CPU is not allowed");
    thread_release(thread);
}

/* ---- Locks ---- */

static struct mutex contended;
static struct rw_lock shared_lock;
static atomic_bool stop_locking;
static unsigned int greedy_turns, turns_waited, guarded;
static atomic_int readers_inside;
static atomic_uint most_readers, violations;

/* Has the mutex nearly always, and sleeps and yields with it held. */
static void greedy(void *argument)
{
    while (!atomic_load(&stop_locking)) {
        mutex_lock(&contended);
        greedy_turns++;
        thread_yield();
        mutex_unlock(&contended);
    }
    worker_leave();
}

static void humble(void *argument)
{
    for (int i = 0; i < 50; i++) {
        unsigned int before = greedy_turns;
        mutex_lock(&contended);
        turns_waited = maximum(turns_waited, greedy_turns - before);
        mutex_unlock(&contended);
        thread_yield();
    }
    atomic_store(&stop_locking, true);
    worker_leave();
}

static void reader(void *argument)
{
    for (int i = 0; i < 200; i++) {
        rw_lock_read(&shared_lock);
        unsigned int inside = (unsigned int)atomic_fetch_add(&readers_inside, 1) + 1;
        if (inside > most_readers)
            most_readers = inside;
        unsigned int seen = guarded;
        thread_yield();
        violations += guarded != seen;
        atomic_fetch_sub(&readers_inside, 1);
        rw_unlock_read(&shared_lock);
    }
    worker_leave();
}

static void writer(void *argument)
{
    for (int i = 0; i < 100; i++) {
        rw_lock_write(&shared_lock);
        violations += atomic_load(&readers_inside) != 0;
        unsigned int seen = guarded;
        thread_yield();
        guarded = seen + 1;
        if (i % 3 == 0) {
            rw_lock_downgrade(&shared_lock);
            violations += guarded != seen + 1;
            rw_unlock_read(&shared_lock);
        } else {
            rw_unlock_write(&shared_lock);
        }
    }
    worker_leave();
}

static void locks_test(void)
{
    mutex_init(&contended, "contended", 0);
    thread_release(start("greedy", greedy, NULL));
    thread_release(start("greedy", greedy, NULL));
    thread_release(start("humble", humble, NULL));
    bool good = all_ended();
    tap_case(good && turns_waited <= 8, "a waiter gets a contended mutex after %u turns of others at most", turns_waited);

    rw_lock_init(&shared_lock, "shared", 0);
    for (int i = 0; i < 4; i++) {
        thread_release(start("reader", reader, NULL));
        thread_release(start("writer", writer, NULL));
    }
    good = all_ended();
    tap_case(good && guarded == 400 && violations == 0, "readers and writers keep apart (%u at once at most)", most_readers);
    tap_case(most_readers > 1, "readers share");
}

/* ---- Deferred work ---- */

static struct deferred_work slow_work, quick_work;
static atomic_uint slow_runs, slow_at_once, quick_runs;
static atomic_bool overlapped, slow_may_end;

static void slow_run(struct deferred_work *work)
{
    if (atomic_fetch_add(&slow_at_once, 1) != 0)
        overlapped = true;
    do
        pause_for(5 * MS);
    while (!slow_may_end);
    atomic_fetch_sub(&slow_at_once, 1);
    slow_runs++;
}

static void quick_run(struct deferred_work *work)
{
    quick_runs++;
}

static void pause_until(const atomic_uint *counter, unsigned int value)
{
    for (unsigned int tries = 0; tries < 5000 && *counter != value; tries++)
        pause_for(MS);
}

static void deferred_work_test(void)
{
    deferred_work_init(&slow_work, slow_run);
    deferred_work_init(&quick_work, quick_run);
    deferred_work_schedule(&slow_work);
    pause_until(&slow_at_once, 1);
    deferred_work_schedule(&slow_work);
    deferred_work_schedule(&slow_work);
    deferred_work_schedule(&quick_work);
    pause_until(&quick_runs, 1);
    tap_case(quick_runs == 1 && slow_runs == 0, "quick work does not wait for slow work");
    slow_may_end = true;
    pause_until(&slow_runs, 2);
    pause_for(20 * MS); /* one run too many would come now */
    tap_case(slow_runs == 2 && !overlapped, "work asked for while it runs runs once more, afterwards");
    deferred_work_schedule(&slow_work);
    pause_until(&slow_at_once, 1);
    deferred_work_cancel(&slow_work);
    tap_case(slow_runs == 3 && slow_at_once == 0, "cancelling waits for it");
}

/* ---- Many threads ---- */

static void brief(void *argument)
{
    thread_yield();
    worker_leave();
}

static bool many_threads(unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        struct thread *thread = start("brief", brief, NULL);
        if (!thread)
            return false;
        thread_release(thread);
    }
    return all_ended();
}

static void switch_cost_test(void)
{
    uint64_t before_ns = clock_monotonic_ns();
    struct thread *self = thread_current();
    uint64_t switches = self->switches_voluntary;

    hogs_end_ns = before_ns + 100 * MS;
    thread_release(start("hog", hog, NULL));
    while (clock_monotonic_ns() < hogs_end_ns)
        thread_yield();
    (void)all_ended();
    tap_case(true, "%llu yields in 100 ms", (unsigned long long)(self->switches_voluntary - switches));
}

void first_program_run(void)
{
    uint64_t load[3];
    unsigned int runnable, total, before;

    processors_wait();
    thread_set_cpu_mask(thread_current(), 1);
    deferred_work_test(); /* its workers stay */
    (void)many_threads(100);
    pause_for(20 * MS);
    scheduler_load(load, &runnable, &before);
    tap_count_resources();
    shares_test();
    newcomer_test();
    keeper_test();
    latency_test();
    timers_test();
    waking_test();
    locks_test();
    switch_cost_test();
    tap_case(many_threads(100), "100 threads at once");
    for (int again = 0; again < 50 && (again == 0 || runnable > 1); again++) { /* deferred work gives stacks back */
        pause_for(20 * MS);
        scheduler_load(load, &runnable, &total);
    }
    tap_case(total == before && runnable == 1, "all threads are gone: %u, %u runnable", total, runnable);
    uint64_t busy_ns, idle_ns;
    scheduler_cpu_times(0, &busy_ns, &idle_ns);
    tap_case(idle_ns > 100 * MS && idle_ns < clock_monotonic_ns(), "idle for %llu ms", (unsigned long long)idle_ns / MS);
    tap_check_leaks();
    tap_done();
}
