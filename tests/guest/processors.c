/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several CPUs at once: threads kept on and moved between CPUs, locks whose protected sums are checked, wakes and timers across CPUs,
 * translations that must be gone everywhere when a page is replaced, and CPUs that go and come back. With one CPU most of it is trivial.
 */
#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/boot/first_program.h"
#include "kernel/boot/processors.h"
#include "kernel/memory/page.h"
#include "kernel/sched/completion.h"
#include "kernel/sched/cpu_hotplug.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait_queue.h"
#include "tests/guest/tap.h"
#include "tests/guest/workers.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/paging.h"
#include "xen/x86/user_access.h"

#define MS 1000000ull
#define THREADS 12u
#define ADDRESS 0x20000000ull

static atomic_uint wrong;
static uint64_t end_ns;

bool upcall_page_fault(struct trap_frame *frame, uint64_t address, uint64_t error)
{
    (void)frame;
    (void)address;
    (void)error;
    return false;
}

static void start_on(uint64_t cpus, void (*entry)(void *), void *argument)
{
    struct thread *thread = worker_start("worker", cpus, entry, argument);

    if (thread)
        thread_release(thread);
}

static bool all_ended(void)
{
    return workers_ended(50000 * MS);
}

static unsigned int nth_cpu(unsigned int n)
{
    uint64_t rest = cpu_online_mask();

    for (n %= bits_count(rest); n > 0; n--)
        rest &= rest - 1;
    return bits_lowest(rest);
}

/* ---- Affinity ---- */

static void stay(void *argument)
{
    for (int i = 0; i < 20; i++) {
        wrong += cpu_current()->number != (uintptr_t)argument;
        if (i % 4 == 0)
            thread_pause(MS);
        else
            thread_yield();
    }
    worker_leave();
}

static void wander(void *argument)
{
    for (unsigned int i = 0; i < 60; i++) {
        unsigned int cpu = nth_cpu(i + (unsigned int)(uintptr_t)argument);
        wrong += thread_set_cpu_mask(thread_current(), 1ull << cpu) != 0;
        wrong += cpu_current()->number != cpu;
    }
    worker_leave();
}

static void tell_cpu(void *argument)
{
    atomic_store((atomic_uint *)argument, cpu_current()->number);
    worker_leave();
}

/* Other CPUs may take one that they see waiting, as they happen to look; they are not to be woken for it. */
static void here_test(void)
{
    unsigned int here = 0, turns = 40;

    for (unsigned int turn = 0; turn < turns; turn++) {
        struct thread *thread;
        atomic_uint cpu = CPU_LIMIT;
        if (thread_create(&thread, "worker", tell_cpu, &cpu) != 0)
            break;
        unsigned int own = cpu_current()->number;
        worker_run_here(thread);
        bool ended = all_ended();
        here += ended && atomic_load(&cpu) == own;
        thread_release(thread);
        if (!ended)
            break; /* it has our stack's word */
    }
    tap_case(here > turns / 2, "who is waited for at once runs where it was started (%u of %u)", here, turns);
}

/* Moved by others, while it runs, waits and sleeps. */
static struct thread *_Atomic pushed;

static void be_pushed(void *argument)
{
    unsigned int turn = 0;

    while (clock_monotonic_ns() < end_ns) {
        if (++turn % 64 == 0)
            thread_pause(MS / 4);
        thread_yield_if_due();
    }
    thread_take(thread_current());
    atomic_store(&pushed, NULL);
    worker_leave();
}

static void affinity_test(void)
{
    for (unsigned int i = 0; i < cpu_online_count() * 2; i++)
        start_on(1ull << nth_cpu(i), stay, (void *)(uintptr_t)nth_cpu(i));
    tap_case(all_ended() && wrong == 0, "threads stay on their CPUs");
    for (uintptr_t i = 0; i < 4; i++)
        start_on(~0ull, wander, (void *)i);
    tap_case(all_ended() && wrong == 0, "threads go where they are sent, at once");

    end_ns = clock_monotonic_ns() + 300 * MS;
    struct thread *thread;
    if (thread_create(&thread, "pushed", be_pushed, NULL) != 0)
        return;
    atomic_store(&pushed, thread);
    worker_run(thread);
    unsigned int moves = 0;
    while (atomic_load(&pushed) != NULL) {
        thread_set_cpu_mask(thread, 1ull << nth_cpu(moves++));
        thread_pause(MS / 2);
    }
    tap_case(all_ended(), "a thread is moved %u times while it runs and sleeps", moves);
    thread_release(thread);
    thread_release(thread);
}

/* ---- Locks ---- */

#define TURNS 3000u

static struct spinlock spinlock = SPINLOCK_INITIALIZER("test", 0);
static struct mutex mutex;
static struct rw_lock rw_lock;
static unsigned long spun, slept, written, torn[2];
static atomic_ulong added;

static void locker(void *argument)
{
    for (unsigned int i = 0; i < TURNS; i++) {
        spinlock_lock(&spinlock);
        spun++;
        spinlock_unlock(&spinlock);
        mutex_lock(&mutex);
        slept++;
        mutex_unlock(&mutex);
        atomic_fetch_add(&added, 1);
        if (i % 8 == 0) {
            rw_lock_write(&rw_lock);
            torn[0]++;
            written++;
            torn[1]++;
            rw_unlock_write(&rw_lock);
        } else {
            rw_lock_read(&rw_lock);
            wrong += torn[0] != torn[1];
            rw_unlock_read(&rw_lock);
        }
    }
    worker_leave();
}

static void locks_test(void)
{
    uint64_t before_ns = clock_monotonic_ns();

    mutex_init(&mutex, "test", 0);
    rw_lock_init(&rw_lock, "test", 0);
    for (unsigned int i = 0; i < THREADS; i++)
        start_on(~0ull, locker, NULL);
    bool good = all_ended();
    unsigned long all = THREADS * TURNS;
    tap_case(good && spun == all && slept == all && added == all && written == all / 8 && wrong == 0,
             "sums under locks are right: %lu %lu %lu %lu, %u torn (%llu ms)", spun, slept, (unsigned long)added, written,
             wrong, (unsigned long long)(clock_monotonic_ns() - before_ns) / MS);
}

/* ---- Waking each other ---- */

static struct wait_queue turns = WAIT_QUEUE_INITIALIZER(turns, "test turns");
static atomic_uint turn;

static void turn_taker(void *argument)
{
    unsigned int own = (unsigned int)(uintptr_t)argument, players = 2;

    for (unsigned int i = 0; i < 1000; i++) {
        WAIT_UNTIL(&turns, atomic_load(&turn) % players == own, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        atomic_fetch_add(&turn, 1);
        wait_queue_wake_all(&turns, 0);
    }
    worker_leave();
}

static void waking_test(void)
{
    uint64_t before_ns = clock_monotonic_ns();

    for (unsigned int i = 0; i < 2; i++)
        start_on(1ull << nth_cpu(i), turn_taker, (void *)(uintptr_t)i);
    bool good = all_ended();
    tap_case(good && turn == 2000, "two threads woke each other 2000 times: %llu us each",
             (unsigned long long)(clock_monotonic_ns() - before_ns) / 2000000);
}

/* ---- Timers ---- */

struct shared_timer {
    struct timer timer;
    atomic_uint fired;
};

static struct shared_timer shared_timers[8];
static atomic_ulong starts, cancels;

static void shared_timer_fired(struct timer *timer)
{
    atomic_fetch_add(&((struct shared_timer *)timer)->fired, 1);
}

/* Anybody starts and cancels any of them, from all CPUs. */
static void timer_player(void *argument)
{
    unsigned int seed = (unsigned int)(uintptr_t)argument;

    while (clock_monotonic_ns() < end_ns) {
        seed = seed * 1103515245 + 12345;
        struct shared_timer *shared = &shared_timers[(seed >> 16) % array_count(shared_timers)];
        if (seed & 0x1000) {
            timer_start(&shared->timer, clock_monotonic_ns() + (seed >> 20) * 1000);
            starts++;
        } else {
            timer_cancel(&shared->timer);
            cancels++;
        }
        thread_yield_if_due();
    }
    worker_leave();
}

static void own_timer(void *argument)
{
    for (int i = 0; i < 20; i++) {
        uint64_t deadline_ns = clock_monotonic_ns() + 3 * MS;
        thread_sleep_prepare();
        wrong += thread_sleep(deadline_ns, false) != -ETIMEDOUT || clock_monotonic_ns() < deadline_ns;
    }
    worker_leave();
}

static void timers_test(void)
{
    unsigned int fired = 0;

    for (size_t i = 0; i < array_count(shared_timers); i++)
        timer_init(&shared_timers[i].timer, shared_timer_fired);
    for (unsigned int i = 0; i < cpu_online_count(); i++)
        start_on(1ull << nth_cpu(i), own_timer, NULL);
    tap_case(all_ended() && wrong == 0, "sleeps end on each CPU, none too early");
    end_ns = clock_monotonic_ns() + 300 * MS;
    for (unsigned int i = 0; i < cpu_online_count(); i++)
        start_on(1ull << nth_cpu(i), timer_player, (void *)(uintptr_t)(i + 1));
    bool good = all_ended();
    for (size_t i = 0; i < array_count(shared_timers); i++) {
        timer_cancel(&shared_timers[i].timer);
        fired += shared_timers[i].fired;
    }
    tap_case(good, "timers shared by all: %lu starts, %lu cancels, %u fired", (unsigned long)starts, (unsigned long)cancels, fired);
}

/* ---- Translations ---- */

#define VERSIONS 300u
#define WINDOW 12u

static struct paging_root root;
static atomic_uint version;     /* what every page of the window says at least */
static atomic_bool stop_reading;
static atomic_ulong reads;

static void translation_reader(void *argument)
{
    for (unsigned int i = 0; !atomic_load(&stop_reading); i++) {
        uint64_t value = 0;
        unsigned int least = atomic_load(&version);
        int error = user_load(&value, ADDRESS + (i % WINDOW) * PAGE_SIZE);
        wrong += error != 0 || value < least;
        reads++;
        thread_yield_if_due();
    }
    worker_leave();
}

static struct page *page_of_version(unsigned int number)
{
    struct page *page = page_allocate(0, PAGE_ANONYMOUS, 0);

    if (page)
        *(uint64_t *)page_address(page) = number;
    return page;
}

/* Replaces all pages of the window; the old ones are overwritten at once, as the next owner would. */
static bool translation_replace(struct page **pages, unsigned int number)
{
    struct paging_entry entries[WINDOW];
    struct page *fresh[WINDOW];

    for (unsigned int i = 0; i < WINDOW; i++) {
        fresh[i] = page_of_version(number);
        if (!fresh[i])
            return false;
        entries[i] = (struct paging_entry){ .pfn = page_pfn(fresh[i]), .flags = PAGING_READ | PAGING_WRITE };
    }
    /* By the one, by a few, all at once: three kinds of flushes. */
    unsigned int run = number % 3 == 0 ? 1 : number % 3 == 1 ? 4 : WINDOW;
    for (unsigned int i = 0; i < WINDOW; i += run)
        if (paging_map(&root, ADDRESS + i * PAGE_SIZE, &entries[i], run) != 0)
            return false;
    atomic_store(&version, number);
    for (unsigned int i = 0; i < WINDOW; i++) {
        if (pages[i]) {
            *(uint64_t *)page_address(pages[i]) = 0;
            page_release(pages[i]);
        }
        pages[i] = fresh[i];
    }
    return true;
}

static void translations_test(void)
{
    struct page *pages[WINDOW] = { NULL };
    struct paging_entry old[512];
    bool good = paging_root_create(&root) == 0;

    good = good && translation_replace(pages, 1);
    for (unsigned int i = 0; i < cpu_online_count(); i++) {
        struct thread *thread;
        if (thread_create(&thread, "reader", translation_reader, NULL) != 0 || thread_make_user(thread, &root, false) != 0)
            return;
        thread_set_cpu_mask(thread, 1ull << nth_cpu(i));
        worker_run(thread);
        thread_release(thread);
    }
    for (unsigned int number = 2; good && number < VERSIONS; number++) {
        good = translation_replace(pages, number);
        if (number % 16 == 0)
            thread_pause(MS / 4);
        thread_yield();
    }
    atomic_store(&stop_reading, true);
    good = all_ended() && good;
    tap_case(good && wrong == 0, "replaced pages are gone on all CPUs: %u times, %lu reads, %u stale", VERSIONS,
             (unsigned long)reads, wrong);
    paging_unmap(&root, ADDRESS, old, array_count(old));
    for (unsigned int i = 0; i < WINDOW; i++)
        page_release(pages[i]);
    paging_root_destroy(&root);
    tap_case(root.cpu_mask == 0, "the root is left by all");
}

/* ---- Shares ---- */

static void sharer(void *argument)
{
    while (clock_monotonic_ns() < end_ns)
        thread_yield_if_due();
    *(uint64_t *)argument = thread_run_time_ns(thread_current());
    worker_leave();
}

/* A busy host takes CPUs away as it likes: then once more. */
static void shares_test(void)
{
    uint64_t shares[CPU_LIMIT + 1], least = 0, most = 0;
    unsigned int count = cpu_online_count() + 1;
    bool good = true;

    for (int again = 0; again < 4 && good && (again == 0 || most >= 2 * least); again++) {
        end_ns = clock_monotonic_ns() + 1200 * MS;
        for (unsigned int i = 0; i < count; i++)
            start_on(~0ull, sharer, &shares[i]);
        good = all_ended();
        least = most = shares[0];
        for (unsigned int i = 1; i < count; i++) {
            least = minimum(least, shares[i]);
            most = maximum(most, shares[i]);
        }
    }
    tap_case(good && most < 2 * least, "%u threads on %u CPUs: the least had %llu ms, the most %llu ms", count, count - 1,
             (unsigned long long)least / MS, (unsigned long long)most / MS);
}

/* ---- Coming and going ---- */

static atomic_ulong hog_turns;

static void hog(void *argument)
{
    while (clock_monotonic_ns() < end_ns) {
        if (++hog_turns % 1024 == 0)
            thread_pause(MS);
        thread_yield_if_due();
    }
    worker_leave();
}

static void hotplug_test(void)
{
    unsigned int last = bits_highest(cpu_online_mask()), count = cpu_online_count();
    bool good = true;

    tap_case(cpu_hotplug_remove(0) == -EINVAL, "CPU 0 stays");
    tap_case(cpu_hotplug_add(CPU_LIMIT - 1) != 0 || count == CPU_LIMIT, "a CPU that is not there does not come");
    end_ns = clock_monotonic_ns() + 600 * MS;
    for (unsigned int i = 0; i < THREADS; i++)
        start_on(i % 3 == 0 ? 1ull << last : ~0ull, hog, NULL);
    for (int i = 0; i < 4 && last != 0; i++) {
        good = good && cpu_hotplug_remove(last) == 0 && cpu_online_count() == count - 1;
        thread_pause(20 * MS);
        good = good && cpu_hotplug_add(last) == 0 && cpu_hotplug_wait(last) == 0 && cpu_online_count() == count;
        thread_pause(20 * MS);
    }
    good = all_ended() && good;
    tap_case(good, "CPU %u goes and comes back under load", last);
}

void first_program_run(void)
{
    processors_wait();
    tap_case(true, "%u CPUs", cpu_online_count());
    hotplug_test();
    affinity_test();
    tap_count_resources();
    affinity_test();
    here_test();
    locks_test();
    waking_test();
    timers_test();
    shares_test();
    translations_test();
    hotplug_test();
    tap_check_leaks();
    tap_done();
}
