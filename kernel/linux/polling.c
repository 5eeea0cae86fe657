/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll and select: descriptor lists made into struct poll_request, waited on by kernel/vfs, and answered as each call has it.
 *
 * Signal masks given with a call hold from its start to the delivery that ends it (signal_mask_temporary). ppoll and
 * pselect6 write the remaining time back, as Linux's do.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/abi/poll.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/vfs/poll.h"
#include "xen/machine/clock.h"
#include "xen/x86/user_access.h"

#define FEW 16 /* requests kept on the stack */
#define ALWAYS (POLL_ERROR | POLL_HANGUP)

static uint64_t deadline_from_ms(int timeout_ms)
{
    return timeout_ms < 0 ? WAIT_FOREVER : deadline_from_timeout((uint64_t)timeout_ms * NS_PER_MILLISECOND);
}

static void requests_release(struct poll_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (requests[i].file)
            file_release(requests[i].file);
}

/* The descriptors' files into requests; a bad one is ready at once with POLL_INVALID. Answers how many are bad. */
static int poll_prepare(const struct linux_pollfd *items, struct poll_request *requests, size_t count)
{
    int bad = 0;
    for (size_t i = 0; i < count; i++) {
        requests[i] = (struct poll_request){ .events = (uint16_t)items[i].events | ALWAYS };
        if (items[i].fd >= 0 && file_argument(items[i].fd, &requests[i].file) != 0) {
            requests[i].file = NULL;
            requests[i].ready = POLL_INVALID;
            bad++;
        }
    }
    return bad;
}

static long poll_wait_for(struct linux_pollfd *items, struct poll_request *requests, size_t count, uint64_t deadline_ns)
{
    int bad = poll_prepare(items, requests, count);
    long ready = poll_requests(requests, count, bad ? 0 : deadline_ns);
    requests_release(requests, count);
    if (ready < 0)
        return ready;
    ready = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].fd >= 0 && !requests[i].file)
            requests[i].ready = POLL_INVALID;
        items[i].returned = (int16_t)(items[i].fd < 0 ? 0 : requests[i].ready & (requests[i].events | POLL_INVALID));
        ready += items[i].returned != 0;
    }
    return ready;
}

/* Only `returned` is written back, as a program may change the rest meanwhile. */
static int poll_answer(uint64_t address, const struct linux_pollfd *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (user_store(address + i * sizeof(items[0]) + offsetof(struct linux_pollfd, returned), &items[i].returned))
            return -EFAULT;
    return 0;
}

static long poll_run(uint64_t address, uint32_t count, uint64_t deadline_ns)
{
    struct linux_pollfd few_items[FEW], *items = few_items;
    struct poll_request few_requests[FEW], *requests = few_requests;
    if (count > process_limit(process_current(), LIMIT_NOFILE))
        return -EINVAL;
    long result = -ENOMEM;
    if (count > FEW) {
        items = memory_allocate(count * sizeof(*items));
        requests = memory_allocate(count * sizeof(*requests));
        if (!items || !requests)
            goto out;
    }
    result = user_copy_in(items, address, count * sizeof(*items));
    if (!result)
        result = poll_wait_for(items, requests, count, deadline_ns);
    if (result >= 0 && poll_answer(address, items, count))
        result = -EFAULT;
out:
    if (count > FEW) {
        memory_free(items);
        memory_free(requests);
    }
    return result;
}

static long poll_restart(struct task *task)
{
    long result = poll_run(task->restart_data[0], (uint32_t)task->restart_data[1], task->restart_data[2]);
    if (result != -EINTR)
        return result;
    task->restart = poll_restart;
    return -ERESTART_RESTARTBLOCK;
}

long sys_poll(uint64_t requests, uint32_t count, int timeout_ms)
{
    struct task *task = task_current();
    uint64_t deadline_ns = deadline_from_ms(timeout_ms);
    long result = poll_run(requests, count, deadline_ns);
    if (result != -EINTR)
        return result;
    task->restart_data[0] = requests;
    task->restart_data[1] = count;
    task->restart_data[2] = deadline_ns;
    task->restart = poll_restart;
    return -ERESTART_RESTARTBLOCK;
}

/* A mask of the call's, 0: none. */
static int mask_install(uint64_t mask, uint64_t mask_bytes)
{
    uint64_t set;
    if (mask == 0)
        return 0;
    int error = signal_set_argument(mask, mask_bytes, &set);
    if (!error)
        signal_mask_temporary(set);
    return error;
}

/* What is left of the timeout; a program that gave a constant one must not fail for it, so a bad store is ignored. */
static void remaining_answer(uint64_t address, uint64_t deadline_ns, bool microseconds)
{
    if (address == 0 || deadline_ns == WAIT_FOREVER)
        return;
    uint64_t now_ns = clock_monotonic_ns();
    struct linux_timespec left = timespec_from_ns(deadline_ns > now_ns ? deadline_ns - now_ns : 0);
    if (microseconds)
        left.nanoseconds /= (int64_t)NS_PER_MICROSECOND;
    if (user_store(address, &left))
        return;
}

long sys_ppoll(uint64_t requests, uint32_t count, uint64_t timeout, uint64_t mask, uint64_t mask_bytes)
{
    uint64_t deadline_ns;
    int error = timeout_argument(timeout, &deadline_ns);
    if (!error)
        error = mask_install(mask, mask_bytes);
    if (error)
        return error;
    long result = poll_run(requests, count, deadline_ns);
    remaining_answer(timeout, deadline_ns, false);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/* select: three bit sets, of which each descriptor that is in any makes one request. */
#define SELECT_READ (POLL_IN | POLL_READ_NORMAL | POLL_READ_BAND | POLL_HANGUP | POLL_ERROR)
#define SELECT_WRITE (POLL_OUT | POLL_WRITE_NORMAL | POLL_WRITE_BAND | POLL_ERROR)
#define SELECT_EXCEPT POLL_PRIORITY
#define SELECT_LIMIT 1048576

struct select_sets {
    uint64_t addresses[3];
    uint64_t *words[3]; /* one block of memory: in, then answers in the same place */
    size_t word_count;
};

static const uint32_t select_asked[3] = { POLL_IN | POLL_READ_NORMAL | POLL_READ_BAND, POLL_OUT | POLL_WRITE_NORMAL | POLL_WRITE_BAND, POLL_PRIORITY };
static const uint32_t select_means[3] = { SELECT_READ, SELECT_WRITE, SELECT_EXCEPT };

static int sets_load(struct select_sets *sets)
{
    for (unsigned int s = 0; s < 3; s++)
        if (sets->addresses[s] && user_copy_in(sets->words[s], sets->addresses[s], sets->word_count * 8))
            return -EFAULT;
    return 0;
}

static bool set_has(const struct select_sets *sets, unsigned int s, size_t fd)
{
    return (sets->words[s][fd / 64] >> (fd % 64)) & 1;
}

static uint32_t sets_events(const struct select_sets *sets, size_t fd)
{
    uint32_t events = 0;
    for (unsigned int s = 0; s < 3; s++)
        events |= set_has(sets, s, fd) ? select_asked[s] : 0;
    return events;
}

static size_t sets_count(const struct select_sets *sets)
{
    size_t count = 0;
    for (size_t word = 0; word < sets->word_count; word++)
        count += (size_t)__builtin_popcountll(sets->words[0][word] | sets->words[1][word] | sets->words[2][word]);
    return count;
}

/* Requests in order of descriptor; -EBADF as soon as one is not open. */
static int select_prepare(const struct select_sets *sets, int count, struct poll_request *requests, size_t *used)
{
    *used = 0;
    for (int fd = 0; fd < count; fd++) {
        uint32_t events = sets_events(sets, (size_t)fd);
        if (events == 0)
            continue;
        requests[*used] = (struct poll_request){ .events = events | ALWAYS };
        if (file_argument(fd, &requests[*used].file))
            return -EBADF;
        (*used)++;
    }
    return 0;
}

/* Turns the sets into the answers; the sum of all bits set is what select answers. */
static long select_collect(struct select_sets *sets, int count, const struct poll_request *requests)
{
    long bits = 0;
    for (int fd = 0; fd < count; fd++) {
        if (sets_events(sets, (size_t)fd) == 0)
            continue;
        for (unsigned int s = 0; s < 3; s++) {
            if (!set_has(sets, s, (size_t)fd))
                continue;
            if (requests->ready & select_means[s])
                bits++;
            else
                sets->words[s][fd / 64] &= ~(1ull << (fd % 64));
        }
        requests++;
    }
    return bits;
}

static long select_wait(struct select_sets *sets, int count, uint64_t deadline_ns)
{
    struct poll_request few[FEW], *requests = few;
    size_t most = sets_count(sets), used;
    if (most > FEW) {
        requests = memory_allocate(most * sizeof(*requests));
        if (!requests)
            return -ENOMEM;
    }
    long result = select_prepare(sets, count, requests, &used);
    if (!result)
        result = poll_requests(requests, used, deadline_ns);
    requests_release(requests, used);
    if (result >= 0)
        result = select_collect(sets, count, requests);
    if (requests != few)
        memory_free(requests);
    return result;
}

static long select_run(int count, const uint64_t addresses[3], uint64_t deadline_ns)
{
    uint64_t few_words[3 * 16], *words = few_words;
    if (count < 0)
        return -EINVAL;
    count = minimum(count, SELECT_LIMIT);
    struct select_sets sets = { .word_count = ((size_t)count + 63) / 64 };
    if (sets.word_count > 16) {
        words = memory_allocate(3 * sets.word_count * 8);
        if (!words)
            return -ENOMEM;
    }
    memset(words, 0, 3 * sets.word_count * 8);
    for (unsigned int s = 0; s < 3; s++) {
        sets.addresses[s] = addresses[s];
        sets.words[s] = words + s * sets.word_count;
    }
    long result = sets_load(&sets);
    /* Bits at and above `count` are not asked about. */
    if (!result && count % 64)
        for (unsigned int s = 0; s < 3; s++)
            sets.words[s][sets.word_count - 1] &= (1ull << (count % 64)) - 1;
    if (!result)
        result = select_wait(&sets, count, deadline_ns);
    for (unsigned int s = 0; s < 3 && result >= 0; s++)
        if (addresses[s] && user_copy_out(addresses[s], sets.words[s], sets.word_count * 8))
            result = -EFAULT;
    if (words != few_words)
        memory_free(words);
    return result;
}

long sys_select(int count, uint64_t read_set, uint64_t write_set, uint64_t except_set, uint64_t timeout)
{
    const uint64_t addresses[3] = { read_set, write_set, except_set };
    uint64_t deadline_ns = WAIT_FOREVER, ns;
    if (timeout) {
        struct linux_timeval value;
        if (user_load(&value, timeout))
            return -EFAULT;
        /* select lets microseconds run over into seconds. */
        if (value.microseconds >= 1000000) {
            value.seconds += value.microseconds / 1000000;
            value.microseconds %= 1000000;
        }
        int error = timeval_to_ns(&value, &ns);
        if (error)
            return error;
        deadline_ns = deadline_from_timeout(ns);
    }
    long result = select_run(count, addresses, deadline_ns);
    remaining_answer(timeout, deadline_ns, true);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

long sys_pselect6(int count, uint64_t read_set, uint64_t write_set, uint64_t except_set, uint64_t timeout, uint64_t mask)
{
    const uint64_t addresses[3] = { read_set, write_set, except_set };
    struct linux_sigset_argument set = { 0 };
    uint64_t deadline_ns;
    if (mask && user_load(&set, mask))
        return -EFAULT;
    int error = timeout_argument(timeout, &deadline_ns);
    if (!error)
        error = mask_install(set.address, set.length_bytes);
    if (error)
        return error;
    long result = select_run(count, addresses, deadline_ns);
    remaining_answer(timeout, deadline_ns, false);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}
