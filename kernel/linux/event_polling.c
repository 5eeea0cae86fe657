/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll and timerfd: the calls. Interest lists, ready lists and timers are kernel/vfs's.
 */
#include "kernel/base/error.h"
#include "kernel/linux/abi/poll.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define EVENTS_MOST (INT32_MAX / (int)sizeof(struct linux_epoll_event))

long sys_epoll_create1(int flags)
{
    struct file *file;
    if (flags & ~FILE_CLOSE_ON_EXEC)
        return -EINVAL;
    int error = epoll_create(0, task_current()->credentials, &file);
    return error ? error : file_install(file, (flags & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

long sys_epoll_ctl(int epoll_fd, int operation, int fd, uint64_t event)
{
    struct epoll_event_kernel wanted = { 0 };
    struct file *epoll, *target;
    if (operation != LINUX_EPOLL_CTL_DEL) {
        struct linux_epoll_event given;
        if (user_load(&given, event))
            return -EFAULT;
        wanted = (struct epoll_event_kernel){ given.events, given.data };
    }
    int error = file_argument(epoll_fd, &epoll);
    if (error)
        return error;
    error = file_argument(fd, &target);
    if (!error) {
        error = epoll == target ? -EINVAL : epoll_control(epoll, operation, fd, target, &wanted);
        file_release(target);
    }
    file_release(epoll);
    return error;
}

static int event_answer(void *context, const struct epoll_event_kernel *event)
{
    uint64_t *address = context;
    struct linux_epoll_event answer = { event->events, event->data };
    if (user_store(*address, &answer))
        return -EFAULT;
    *address += sizeof(answer);
    return 0;
}

static long epoll_run(int fd, uint64_t events, int count, uint64_t timeout_ns)
{
    struct file *epoll;
    if (count <= 0 || count > EVENTS_MOST)
        return -EINVAL;
    if (!user_range_valid(events, (size_t)count * sizeof(struct linux_epoll_event)))
        return -EFAULT;
    long result = file_argument(fd, &epoll);
    if (result)
        return result;
    result = epoll_wait_each(epoll, count, timeout_ns, event_answer, &events);
    file_release(epoll);
    return result;
}

static uint64_t timeout_from_ms(int timeout_ms)
{
    return timeout_ms < 0 ? WAIT_FOREVER : (uint64_t)timeout_ms * NS_PER_MILLISECOND;
}

static long epoll_run_masked(int fd, uint64_t events, int count, uint64_t timeout_ns, uint64_t mask, uint64_t mask_bytes)
{
    if (mask) {
        uint64_t set;
        int error = signal_set_argument(mask, mask_bytes, &set);
        if (error)
            return error;
        signal_mask_temporary(set);
    }
    return epoll_run(fd, events, count, timeout_ns);
}

/* epoll_wait is never restarted: -EINTR is the program's to see. */
long sys_epoll_wait(int fd, uint64_t events, int count, int timeout_ms)
{
    return epoll_run(fd, events, count, timeout_from_ms(timeout_ms));
}

long sys_epoll_pwait(int fd, uint64_t events, int count, int timeout_ms, uint64_t mask, uint64_t mask_bytes)
{
    return epoll_run_masked(fd, events, count, timeout_from_ms(timeout_ms), mask, mask_bytes);
}

long sys_epoll_pwait2(int fd, uint64_t events, int count, uint64_t timeout, uint64_t mask, uint64_t mask_bytes)
{
    uint64_t timeout_ns = WAIT_FOREVER;
    int error = timeout ? time_argument(timeout, &timeout_ns) : 0;
    return error ? error : epoll_run_masked(fd, events, count, timeout_ns, mask, mask_bytes);
}

long sys_timerfd_create(int clock, int flags)
{
    struct file *file;
    unsigned int wanted = (unsigned int)flags;
    if (wanted & ~(unsigned int)(FILE_CLOSE_ON_EXEC | FILE_NONBLOCK))
        return -EINVAL;
    if (clock != LINUX_CLOCK_REALTIME && clock != LINUX_CLOCK_MONOTONIC && clock != LINUX_CLOCK_BOOTTIME &&
        clock != LINUX_CLOCK_REALTIME_ALARM && clock != LINUX_CLOCK_BOOTTIME_ALARM)
        return -EINVAL;
    int error = timer_file_create(clock, wanted & FILE_NONBLOCK, task_current()->credentials, &file);
    return error ? error : file_install(file, (wanted & FILE_CLOSE_ON_EXEC) != 0);
}

static struct linux_itimerspec timer_answer(uint64_t value_ns, uint64_t interval_ns)
{
    return (struct linux_itimerspec){ .value = timespec_from_ns(value_ns), .interval = timespec_from_ns(interval_ns) };
}

long sys_timerfd_settime(int fd, int flags, uint64_t value, uint64_t old)
{
    struct linux_itimerspec wanted;
    struct file *file;
    uint64_t value_ns, interval_ns, old_value_ns = 0, old_interval_ns = 0;
    if (user_load(&wanted, value))
        return -EFAULT;
    if ((flags & ~(LINUX_TIMER_ABSTIME | LINUX_TFD_TIMER_CANCEL_ON_SET)) || timespec_to_ns(&wanted.value, &value_ns) || timespec_to_ns(&wanted.interval, &interval_ns))
        return -EINVAL;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    error = timer_file_set(file, (flags & LINUX_TIMER_ABSTIME) != 0, (flags & LINUX_TFD_TIMER_CANCEL_ON_SET) != 0, value_ns, interval_ns, &old_value_ns, &old_interval_ns);
    file_release(file);
    if (error || old == 0)
        return error;
    struct linux_itimerspec before = timer_answer(old_value_ns, old_interval_ns);
    return user_store(old, &before);
}

long sys_timerfd_gettime(int fd, uint64_t value)
{
    struct file *file;
    uint64_t value_ns = 0, interval_ns = 0;
    int error = file_argument(fd, &file);
    if (error)
        return error;
    error = timer_file_get(file, &value_ns, &interval_ns);
    file_release(file);
    if (error)
        return error;
    struct linux_itimerspec answer = timer_answer(value_ns, interval_ns);
    return user_store(value, &answer);
}
