/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness: pipes, poll, select, epoll level and edge, eventfd, timerfd.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

static int ends[2];

static void pipes(void)
{
    char buffer[8192] = { 0 };
    is(pipe2(ends, O_NONBLOCK), 0, "pipe2");
    fails(read(ends[0], buffer, 1), EAGAIN, "read of an empty pipe");
    long total = 0, bytes;
    while ((bytes = write(ends[1], buffer, 4096)) > 0)
        total += bytes;
    is(total, 65536, "what a pipe holds");
    fails(bytes, EAGAIN, "write to a full pipe");
    is(fcntl(ends[0], F_GETPIPE_SZ), 65536, "F_GETPIPE_SZ");
    for (total = 0; (bytes = read(ends[0], buffer, sizeof(buffer))) > 0;)
        total += bytes;
    is(total, 65536, "what comes out");
    close(ends[1]);
    is(read(ends[0], buffer, 1), 0, "read without a writer");
    close(ends[0]);
    pipe(ends);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    fails(write(ends[1], "x", 1), EPIPE, "write without a reader");
    close(ends[1]);
}

static void polls(void)
{
    struct pollfd items[3];
    pipe(ends);
    items[0] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
    items[1] = (struct pollfd){ .fd = ends[1], .events = POLLOUT };
    items[2] = (struct pollfd){ .fd = -1, .events = POLLIN };
    is(poll(items, 3, 0), 1, "poll");
    is(items[0].revents, 0, "an empty pipe's read end");
    is(items[1].revents, POLLOUT, "its write end");
    is(items[2].revents, 0, "a negative descriptor");
    write(ends[1], "x", 1);
    is(poll(items, 1, -1), 1, "poll of a pipe with a byte");
    is(items[0].revents, POLLIN, "its read end");
    items[2].fd = 99;
    is(poll(items + 2, 1, -1), 1, "poll of a closed descriptor");
    is(items[2].revents, POLLNVAL, "says so");
    close(ends[1]);
    poll(items, 1, 0);
    is(items[0].revents, POLLIN | POLLHUP, "a byte, and no writer");
    char byte;
    read(ends[0], &byte, 1);
    poll(items, 1, 0);
    is(items[0].revents, POLLHUP, "no writer");
    close(ends[0]);
    is(poll(NULL, 0, 1), 0, "poll of nothing");
    fails(poll(BAD, 1, 0), EFAULT, "poll with a bad address");
    fails(poll(items, 1u << 30, 0), EINVAL, "poll of too many");
    struct timespec wrong = { 0, 1000000000 }, zero = { 0, 0 };
    fails(ppoll(items, 0, &wrong, NULL), EINVAL, "ppoll with a billion nanoseconds");
    is(ppoll(items, 0, &zero, NULL), 0, "ppoll");
}

static void selects(void)
{
    fd_set readers, writers;
    struct timeval zero = { 0, 0 }, wrong = { -1, 0 };
    pipe(ends);
    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_SET(ends[0], &readers);
    FD_SET(ends[1], &writers);
    is(select(ends[1] + 1, &readers, &writers, NULL, &zero), 1, "select");
    is(FD_ISSET(ends[0], &readers) != 0, 0, "the read end is not ready");
    is(FD_ISSET(ends[1], &writers) != 0, 1, "the write end is");
    write(ends[1], "x", 1);
    FD_SET(ends[0], &readers);
    is(select(ends[1] + 1, &readers, &writers, NULL, NULL), 2, "select with both ready");
    close(ends[0]);
    FD_ZERO(&readers);
    FD_SET(ends[0], &readers);
    fails(select(ends[0] + 1, &readers, NULL, NULL, &zero), EBADF, "select of a closed descriptor");
    close(ends[1]);
    fails(select(-1, NULL, NULL, NULL, &zero), EINVAL, "select of -1");
    fails(select(0, NULL, NULL, NULL, &wrong), EINVAL, "select with a negative time");
    is(select(0, NULL, NULL, NULL, &zero), 0, "select of nothing");
}

static void epolls(void)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x123456789abcdef }, got[4];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    ok(epoll >= 0, "epoll_create1");
    fails(epoll_create1(1), EINVAL, "epoll_create1 with an unknown flag");
    fails(epoll_create(0), EINVAL, "epoll_create of 0");
    pipe(ends);
    is(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0, "add");
    fails(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), EEXIST, "add again");
    fails(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[1], &event), ENOENT, "change of one not added");
    fails(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event), EINVAL, "add of itself");
    fails(epoll_ctl(epoll, EPOLL_CTL_ADD, 99, &event), EBADF, "add of a closed one");
    fails(epoll_ctl(epoll, 77, ends[0], &event), EINVAL, "an unknown operation");
    fails(epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &event), EINVAL, "epoll_ctl of a pipe");
    int file = open("/proc/self/exe", O_RDONLY);
    fails(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event), EPERM, "add of a regular file");
    close(file);
    is(epoll_wait(epoll, got, 4, 0), 0, "nothing is ready");
    write(ends[1], "xy", 2);
    is(epoll_wait(epoll, got, 4, -1), 1, "one is");
    is(got[0].events, EPOLLIN, "its event");
    ok(got[0].data.u64 == 0x123456789abcdef, "its data");
    is(epoll_wait(epoll, got, 4, 0), 1, "level: still ready");
    event.events = EPOLLIN | EPOLLET;
    is(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event), 0, "change to edge");
    is(epoll_wait(epoll, got, 4, 0), 1, "edge: ready once after the change");
    is(epoll_wait(epoll, got, 4, 0), 0, "and not again");
    write(ends[1], "z", 1);
    is(epoll_wait(epoll, got, 4, 0), 1, "edge: ready after more");
    event.events = EPOLLIN | EPOLLONESHOT;
    epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event);
    is(epoll_wait(epoll, got, 4, 0), 1, "one shot");
    is(epoll_wait(epoll, got, 4, 0), 0, "is over");
    event.events = EPOLLIN;
    epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event);
    close(ends[1]);
    epoll_wait(epoll, got, 4, 0);
    is(got[0].events, EPOLLIN | EPOLLHUP, "hang-up");
    int outer = epoll_create1(0);
    is(epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event), 0, "an epoll in an epoll");
    is(epoll_wait(outer, got, 4, 0), 1, "is ready when it has something");
    fails(epoll_ctl(epoll, EPOLL_CTL_ADD, outer, &event), ELOOP, "a ring of epolls");
    is(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL), 0, "delete");
    fails(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL), ENOENT, "delete again");
    fails(epoll_wait(epoll, got, 0, 0), EINVAL, "a wait for 0 events");
    fails(epoll_wait(ends[0], got, 1, 0), EINVAL, "epoll_wait of a pipe");
    pipe(ends);
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &(struct epoll_event){ .events = EPOLLOUT });
    close(ends[0]);
    close(ends[1]);
    is(epoll_wait(epoll, got, 4, 0), 0, "a closed file leaves by itself");
    close(outer);
    close(epoll);
}

static void counters(void)
{
    uint64_t value = 0;
    int fd = eventfd(3, EFD_NONBLOCK);
    is(read(fd, &value, 8), 8, "read of an eventfd");
    is((long)value, 3, "its value");
    fails(read(fd, &value, 8), EAGAIN, "read of an empty one");
    fails(read(fd, &value, 4), EINVAL, "read of 4 bytes");
    value = 5;
    write(fd, &value, 8);
    write(fd, &value, 8);
    read(fd, &value, 8);
    is((long)value, 10, "the sum");
    value = UINT64_MAX;
    fails(write(fd, &value, 8), EINVAL, "write of the greatest number");
    value = UINT64_MAX - 1;
    is(write(fd, &value, 8), 8, "write of one less");
    value = 1;
    fails(write(fd, &value, 8), EAGAIN, "write to a full one");
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE);
    read(fd, &value, 8);
    is((long)value, 1, "a semaphore gives one at a time");
    close(fd);
    fails(syscall(SYS_eventfd2, 0, 0x10000), EINVAL, "eventfd2 with an unknown flag");
}

static void timers(void)
{
    uint64_t times = 0;
    struct itimerspec setting = { .it_value = { 0, 1000000 } }, now;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    ok(fd >= 0, "timerfd_create");
    fails(read(fd, &times, 8), EAGAIN, "read of a timer that is off");
    is(timerfd_settime(fd, 0, &setting, NULL), 0, "timerfd_settime");
    struct pollfd item = { .fd = fd, .events = POLLIN };
    is(poll(&item, 1, 2000), 1, "it becomes ready");
    is(read(fd, &times, 8), 8, "read");
    is((long)times, 1, "it has expired once");
    is(timerfd_gettime(fd, &now), 0, "timerfd_gettime");
    is(now.it_value.tv_sec + now.it_value.tv_nsec, 0, "it is off");
    setting = (struct itimerspec){ .it_value = { 100, 0 }, .it_interval = { 5, 6 } };
    timerfd_settime(fd, 0, &setting, NULL);
    timerfd_settime(fd, 0, &(struct itimerspec){ 0 }, &now);
    is(now.it_interval.tv_sec * 10 + now.it_interval.tv_nsec, 56, "the old interval");
    ok(now.it_value.tv_sec == 99 || now.it_value.tv_sec == 100, "the old time left");
    setting.it_value.tv_nsec = 1000000000;
    fails(timerfd_settime(fd, 0, &setting, NULL), EINVAL, "a billion nanoseconds");
    fails(timerfd_create(77, 0), EINVAL, "an unknown clock");
    fails(timerfd_gettime(0, &now), EINVAL, "timerfd_gettime of another file");
    close(fd);
}

int main(void)
{
    pipes();
    polls();
    selects();
    epolls();
    counters();
    timers();
    return done();
}
