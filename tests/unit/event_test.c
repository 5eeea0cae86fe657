/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness: poll and epoll over pipes and eventfds, level and edge, one-shot, nested, with threads; timerfds; fifos.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/base/error.h"
#include "kernel/sched/completion.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/pipe.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/host/host.h"
#include "tests/unit/vfs_tree.h"
#include "xen/machine/clock.h"

#define EDGE (1u << 31)
#define ONE_SHOT (1u << 30)
#define EXCLUSIVE (1u << 28)
#define MILLISECOND 1000000ull
enum { ADD = 1, REMOVE = 2, MODIFY = 3 };

static struct fs_context root;
static struct credentials *credentials;
static int signals;

static void count_signal(int number)
{
    signals += number == 13;
}

static int start(void **state)
{
    static struct vfs_process_hooks hooks;
    assert_int_equal(vfs_init(), 0);
    hooks = *vfs_process;
    hooks.signal_current = count_signal;
    vfs_process_hooks_set(&hooks);
    vfs_tree_start(&root);
    credentials = root.credentials;
    return 0;
}

static long put(struct file *file, const void *bytes, size_t length)
{
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, (void *)(uintptr_t)bytes, length);
    return file_write(file, &vector, NULL);
}

static long get(struct file *file, void *bytes, size_t length)
{
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, bytes, length);
    return file_read(file, &vector, NULL);
}

static void make_pipe(struct file **read_end, struct file **write_end)
{
    assert_int_equal(pipe_create(FILE_NONBLOCK, credentials, read_end, write_end), 0);
}

static struct file *make_epoll(void)
{
    struct file *epoll;

    assert_int_equal(epoll_create(0, credentials, &epoll), 0);
    return epoll;
}

static int control(struct file *epoll, int operation, struct file *target, uint32_t events, uint64_t data)
{
    struct epoll_event_kernel event = {.events = events, .data = data};

    return epoll_control(epoll, operation, 3, target, &event);
}

static int now(struct file *epoll, struct epoll_event_kernel *events, int limit)
{
    return epoll_wait_events(epoll, events, limit, 0);
}

static void pipes(void **state)
{
    static char big[70000], back[70000];
    struct file *in, *out;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 31 >> 3);
    make_pipe(&in, &out);
    assert_int_equal(get(in, back, 1), -EAGAIN);
    assert_int_equal(put(out, big, sizeof(big)), 65536);
    assert_int_equal(put(out, big, 1), -EAGAIN);
    assert_int_equal(get(in, back, 100), 100);
    assert_int_equal(put(out, big, 4096), -EAGAIN); /* whole or not at all */
    assert_int_equal(get(in, back + 100, 70000), 65436);
    assert_memory_equal(back, big, 65536);
    assert_int_equal(pipe_set_size(out, 4096), 4096);
    assert_int_equal(put(out, big, 5000), 4096);
    assert_int_equal(pipe_set_size(out, 100000), 131072);
    assert_int_equal(put(out, big, 5000), 5000);
    assert_int_equal(pipe_set_size(out, 4096), -EBUSY);
    file_release(out);
    assert_int_equal(get(in, back, 70000), 9096);
    assert_int_equal(get(in, back, 1), 0);
    assert_int_equal(file_poll(in, NULL) & POLL_HANGUP, POLL_HANGUP);
    file_release(in);
    make_pipe(&in, &out);
    file_release(in);
    signals = 0;
    assert_int_equal(put(out, big, 1), -EPIPE);
    assert_int_equal(signals, 1);
    assert_int_equal(file_poll(out, NULL) & POLL_ERROR, POLL_ERROR);
    file_release(out);
}

static void event_files(void **state)
{
    struct file *event;
    uint64_t value = 3;

    assert_int_equal(event_file_create(5, false, FILE_NONBLOCK, credentials, &event), 0);
    assert_int_equal(put(event, &value, 8), 8);
    assert_int_equal(get(event, &value, 8), 8);
    assert_int_equal(value, 8);
    assert_int_equal(get(event, &value, 8), -EAGAIN);
    assert_int_equal(get(event, &value, 7), -EINVAL);
    value = UINT64_MAX;
    assert_int_equal(put(event, &value, 8), -EINVAL);
    value = UINT64_MAX - 1;
    assert_int_equal(put(event, &value, 8), 8);
    value = 1;
    assert_int_equal(put(event, &value, 8), -EAGAIN);
    assert_int_equal(file_poll(event, NULL), POLL_IN | POLL_READ_NORMAL);
    file_release(event);
    assert_int_equal(event_file_create(2, true, FILE_NONBLOCK, credentials, &event), 0);
    assert_int_equal(get(event, &value, 8), 8);
    assert_int_equal(value, 1);
    assert_int_equal(get(event, &value, 8), 8);
    assert_int_equal(get(event, &value, 8), -EAGAIN);
    file_release(event);
}

static void level_and_edge(void **state)
{
    struct epoll_event_kernel events[4];
    struct file *in, *out, *level = make_epoll(), *edge = make_epoll();
    char byte;

    make_pipe(&in, &out);
    assert_int_equal(control(level, ADD, in, POLL_IN, 1), 0);
    assert_int_equal(control(level, ADD, in, POLL_IN, 1), -EEXIST);
    assert_int_equal(control(edge, ADD, in, POLL_IN | EDGE, 2), 0);
    assert_int_equal(now(level, events, 4), 0);
    put(out, "ab", 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(now(level, events, 4), 1);
        assert_int_equal(events[0].events, POLL_IN);
        assert_int_equal(events[0].data, 1);
    }
    assert_int_equal(now(edge, events, 4), 1);
    assert_int_equal(events[0].data, 2);
    assert_int_equal(now(edge, events, 4), 0);
    get(in, &byte, 1);
    assert_int_equal(now(edge, events, 4), 0);
    put(out, "c", 1); /* an edge although it was not empty */
    assert_int_equal(now(edge, events, 4), 1);
    get(in, &byte, 1);
    get(in, &byte, 1);
    assert_int_equal(now(level, events, 4), 0);
    assert_int_equal(control(edge, MODIFY, in, POLL_IN | EDGE, 7), 0);
    put(out, "d", 1);
    assert_int_equal(now(edge, events, 4), 1);
    assert_int_equal(events[0].data, 7);
    assert_int_equal(control(edge, MODIFY, in, POLL_IN | EDGE, 8), 0); /* a change asks anew */
    assert_int_equal(now(edge, events, 4), 1);
    file_release(out); /* the other end goes: HANGUP is always told */
    assert_int_equal(now(level, events, 4), 1);
    assert_int_equal(events[0].events, POLL_IN | POLL_HANGUP);
    assert_int_equal(control(level, REMOVE, in, 0, 0), 0);
    assert_int_equal(control(level, REMOVE, in, 0, 0), -ENOENT);
    assert_int_equal(now(level, events, 4), 0);
    file_release(in); /* takes itself out of `edge` */
    assert_int_equal(now(edge, events, 4), 0);
    file_release(level);
    file_release(edge);
}

static void one_shot_and_order(void **state)
{
    struct epoll_event_kernel events[4];
    struct file *epoll = make_epoll(), *event[3];
    uint64_t one = 1;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(event_file_create(1, false, FILE_NONBLOCK, credentials, &event[i]), 0);
        assert_int_equal(control(epoll, ADD, event[i], POLL_IN | (i == 2 ? ONE_SHOT : 0), (uint64_t)i), 0);
    }
    /* Two at a time: nobody is left out. */
    assert_int_equal(now(epoll, events, 2), 2);
    assert_int_equal(events[0].data + events[1].data, 1);
    assert_int_equal(now(epoll, events, 2), 2);
    assert_int_equal(events[0].data, 2);
    assert_int_equal(now(epoll, events, 4), 2);
    put(event[2], &one, 8);
    assert_int_equal(now(epoll, events, 4), 2); /* spent */
    assert_int_equal(control(epoll, MODIFY, event[2], POLL_IN | ONE_SHOT, 9), 0);
    assert_int_equal(now(epoll, events, 4), 3);
    assert_int_equal(control(epoll, MODIFY, event[0], POLL_IN | EXCLUSIVE, 0), -EINVAL);
    /* Room for more than there is: each is told once. */
    struct epoll_event_kernel many[16];
    assert_int_equal(now(epoll, many, 16), 2);
    file_release(epoll); /* before its files */
    for (int i = 0; i < 3; i++)
        file_release(event[i]);
}

static void nested(void **state)
{
    struct epoll_event_kernel events[4];
    struct file *chain[6], *in, *out;

    make_pipe(&in, &out);
    for (int i = 0; i < 6; i++)
        chain[i] = make_epoll();
    assert_int_equal(control(chain[0], ADD, chain[0], POLL_IN, 0), -EINVAL);
    assert_int_equal(control(chain[0], ADD, in, POLL_IN, 0), 0);
    for (int i = 1; i < 5; i++)
        assert_int_equal(control(chain[i], ADD, chain[i - 1], POLL_IN, 0), 0);
    assert_int_equal(control(chain[5], ADD, chain[4], POLL_IN, 0), -ELOOP); /* too deep */
    assert_int_equal(control(chain[0], ADD, chain[4], POLL_IN, 0), -ELOOP); /* a loop */
    assert_int_equal(now(chain[4], events, 4), 0);
    put(out, "x", 1);
    assert_int_equal(now(chain[4], events, 4), 1);
    assert_int_equal(now(chain[0], events, 4), 1);
    char byte;
    get(in, &byte, 1);
    assert_int_equal(now(chain[4], events, 4), 0);
    file_release(chain[2]); /* the middle goes */
    put(out, "x", 1);
    assert_int_equal(now(chain[4], events, 4), 0);
    assert_int_equal(now(chain[1], events, 4), 1);
    file_release(in);
    file_release(out);
    for (int i = 0; i < 6; i++)
        if (i != 2)
            file_release(chain[i]);
}

/* From the top down: the limit holds this way as well. */
static void nested_downwards(void **state)
{
    struct file *chain[7];
    int error = 0, depth = 0;

    for (int i = 0; i < 7; i++)
        chain[i] = make_epoll();
    while (!error && depth < 6) {
        error = control(chain[depth], ADD, chain[depth + 1], POLL_IN, 0);
        depth++;
    }
    assert_int_equal(error, -ELOOP);
    assert_int_equal(depth, 5);
    for (int i = 0; i < 7; i++)
        file_release(chain[i]);
}

static void files_without_poll(void **state)
{
    struct file *epoll = make_epoll(), *file;

    assert_int_equal(file_open(&root, NULL, "regular", FILE_CREATE | FILE_READ_WRITE, 0644, &file), 0);
    assert_int_equal(control(epoll, ADD, file, POLL_IN, 0), -EPERM);
    struct poll_request request = {.file = file, .events = POLL_IN | POLL_OUT};
    assert_int_equal(poll_requests(&request, 1, 0), 1);
    assert_int_equal(request.ready, POLL_IN | POLL_OUT);
    file_release(file);
    file_release(epoll);
}

struct waiter {
    struct file *file;
    struct completion done;
    int result;
    bool use_poll;
};

static void wait_main(void *argument)
{
    struct waiter *waiter = argument;
    struct epoll_event_kernel event;
    struct poll_request request = {.file = waiter->file, .events = POLL_IN};
    uint64_t timeout = 5000 * MILLISECOND;

    waiter->result = waiter->use_poll ? poll_requests(&request, 1, clock_monotonic_ns() + timeout) : epoll_wait_events(waiter->file, &event, 1, timeout);
    completion_complete(&waiter->done);
}

static void waiter_start(struct waiter *waiter, struct file *file, bool use_poll)
{
    struct thread *thread;

    *waiter = (struct waiter){.file = file, .use_poll = use_poll};
    completion_init(&waiter->done);
    assert_int_equal(thread_create(&thread, "waiter", wait_main, waiter), 0);
    thread_start(thread);
    thread_release(thread);
}

static void waking(void **state)
{
    struct file *event, *epoll = make_epoll(), *outer = make_epoll();
    struct waiter waiters[3];
    uint64_t one = 1;

    assert_int_equal(event_file_create(0, false, FILE_NONBLOCK, credentials, &event), 0);
    assert_int_equal(control(epoll, ADD, event, POLL_IN, 0), 0);
    assert_int_equal(control(outer, ADD, epoll, POLL_IN, 0), 0);
    for (int round = 0; round < 50; round++) {
        waiter_start(&waiters[0], epoll, false);
        waiter_start(&waiters[1], outer, false);
        waiter_start(&waiters[2], epoll, true);
        if (round % 2)
            thread_yield();
        put(event, &one, 8);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(completion_wait(&waiters[i].done, clock_monotonic_ns() + 10000 * MILLISECOND, false), 0);
            assert_int_equal(waiters[i].result, 1);
        }
        get(event, &one, 8);
        one = 1;
    }
    struct epoll_event_kernel none;
    assert_int_equal(epoll_wait_events(epoll, &none, 1, MILLISECOND), 0);
    file_release(outer);
    file_release(epoll);
    file_release(event);
}

/* Edge-triggered, two threads: each of many events is taken once, none is lost. */
struct taker {
    struct file *epoll, *event;
    struct completion done;
    uint64_t taken;
};
static _Atomic uint64_t all_taken;

static void taker_main(void *argument)
{
    struct taker *taker = argument;
    struct epoll_event_kernel event;
    uint64_t value;

    while (atomic_load(&all_taken) < 2000) {
        int count = epoll_wait_events(taker->epoll, &event, 1, 20 * MILLISECOND);

        if (count == 1 && get(taker->event, &value, 8) == 8)
            atomic_fetch_add(&all_taken, value);
    }
    completion_complete(&taker->done);
}

static void many_edges(void **state)
{
    struct taker takers[2];
    struct file *event, *epoll = make_epoll();
    struct thread *thread;
    uint64_t one = 1;

    atomic_store(&all_taken, 0);
    assert_int_equal(event_file_create(0, false, FILE_NONBLOCK, credentials, &event), 0);
    assert_int_equal(control(epoll, ADD, event, POLL_IN | EDGE, 0), 0);
    for (int i = 0; i < 2; i++) {
        takers[i] = (struct taker){.epoll = epoll, .event = event};
        completion_init(&takers[i].done);
        assert_int_equal(thread_create(&thread, "taker", taker_main, &takers[i]), 0);
        thread_start(thread);
        thread_release(thread);
    }
    for (int i = 0; i < 2000; i++)
        put(event, &one, 8);
    for (int i = 0; i < 2; i++)
        assert_int_equal(completion_wait(&takers[i].done, clock_monotonic_ns() + 20000 * MILLISECOND, false), 0);
    assert_int_equal(atomic_load(&all_taken), 2000);
    file_release(event);
    file_release(epoll);
}

static void timers(void **state)
{
    struct file *timer;
    uint64_t value, interval, ticks, old_value, old_interval;

    assert_int_equal(timer_file_create(1, FILE_NONBLOCK, credentials, &timer), 0);
    assert_int_equal(get(timer, &ticks, 8), -EAGAIN);
    assert_int_equal(timer_file_set(timer, false, false, 10 * MILLISECOND, 5 * MILLISECOND, &old_value, &old_interval), 0);
    assert_int_equal(old_value, 0);
    assert_int_equal(timer_file_get(timer, &value, &interval), 0);
    assert_int_equal(interval, 5 * MILLISECOND);
    assert_in_range(value, 1, 10 * MILLISECOND);
    assert_int_equal(file_poll(timer, NULL), 0);
    host_clock_advance(31 * MILLISECOND);
    assert_int_equal(file_poll(timer, NULL), POLL_IN | POLL_READ_NORMAL);
    assert_int_equal(get(timer, &ticks, 8), 8);
    assert_in_range(ticks, 5, 20); /* at 10, 15, 20, 25, 30, and what the host's clock adds */
    host_clock_advance(5 * MILLISECOND);
    assert_int_equal(get(timer, &ticks, 8), 8);
    assert_int_equal(timer_file_set(timer, false, false, 0, 0, &old_value, &old_interval), 0);
    assert_int_equal(old_interval, 5 * MILLISECOND);
    host_clock_advance(100 * MILLISECOND);
    assert_int_equal(get(timer, &ticks, 8), -EAGAIN);
    assert_int_equal(timer_file_set(timer, true, false, 1, 0, &old_value, &old_interval), 0); /* long ago */
    host_clock_advance(1);
    assert_int_equal(get(timer, &ticks, 8), 8);
    assert_int_equal(ticks, 1);
    file_release(timer);
}

static void fifos(void **state)
{
    struct file *in, *out;
    char byte;

    assert_int_equal(path_make_node(&root, NULL, "fifo", MODE_FIFO | 0666, 0), 0);
    assert_int_equal(file_open(&root, NULL, "fifo", FILE_WRITE_ONLY | FILE_NONBLOCK, 0, &out), -ENXIO);
    assert_int_equal(file_open(&root, NULL, "fifo", FILE_READ_ONLY | FILE_NONBLOCK, 0, &in), 0);
    assert_int_equal(file_poll(in, NULL), 0); /* no writer yet is no end */
    assert_int_equal(file_open(&root, NULL, "fifo", FILE_WRITE_ONLY | FILE_NONBLOCK, 0, &out), 0);
    assert_int_equal(put(out, "x", 1), 1);
    assert_int_equal(get(in, &byte, 1), 1);
    file_release(out);
    assert_int_equal(file_poll(in, NULL), POLL_HANGUP);
    assert_int_equal(get(in, &byte, 1), 0);
    file_release(in);
}

/* What opening /proc/self/fd/N does for a pipe. */
static void pipes_reached_again(void **state)
{
    struct file *in, *out, *again;
    struct path path;
    char byte;

    make_pipe(&in, &out);
    put(out, "ab", 2);
    assert_int_equal(in->operations->make_path(in, &path), 0);
    assert_int_equal(file_open(&root, &path, "", FILE_READ_ONLY | FILE_NONBLOCK, 0, &again), -ENOENT);
    again = in;
    file_release(again);
    assert_int_equal(put(out, "c", 1), -EPIPE);
    file_release(out);
    path_release(&path); /* the last: frees the pipe */
    make_pipe(&in, &out);
    assert_int_equal(out->operations->make_path(out, &path), 0);
    path_release(&path);
    assert_int_equal(put(out, "z", 1), 1);
    assert_int_equal(get(in, &byte, 1), 1);
    file_release(in);
    file_release(out);
}

static void out_of_memory(void **state)
{
    size_t before = host_objects_in_use();
    struct file *file, *in, *out;

    for (long successes = 0; successes < 4; successes++) {
        host_fail_allocations_after(successes);
        if (epoll_create(0, credentials, &file) == 0)
            file_release(file);
        host_fail_allocations_after(successes);
        if (event_file_create(0, false, 0, credentials, &file) == 0)
            file_release(file);
        host_fail_allocations_after(successes);
        if (pipe_create(0, credentials, &in, &out) == 0) {
            file_release(in);
            file_release(out);
        }
        host_fail_allocations_after(-1);
    }
    struct file *epoll = make_epoll();
    make_pipe(&in, &out);
    host_fail_allocations_after(0);
    assert_int_equal(control(epoll, ADD, in, POLL_IN, 0), -ENOMEM);
    host_fail_allocations_after(-1);
    file_release(in);
    file_release(out);
    file_release(epoll);
    assert_int_equal(host_objects_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipes),
        cmocka_unit_test(event_files),
        cmocka_unit_test(level_and_edge),
        cmocka_unit_test(one_shot_and_order),
        cmocka_unit_test(nested),
        cmocka_unit_test(nested_downwards),
        cmocka_unit_test(files_without_poll),
        cmocka_unit_test(waking),
        cmocka_unit_test(many_edges),
        cmocka_unit_test(timers),
        cmocka_unit_test(fifos),
        cmocka_unit_test(pipes_reached_again),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
