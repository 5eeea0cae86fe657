/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The futex call: operation and timeout decoded, the work is kernel/process/futex.h's.
 */
#include "kernel/process/futex.h"

#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/clocks.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/process/process.h"
#include "xen/machine/clock.h"
#include "xen/x86/user_access.h"

enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_FD, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI,
       FUTEX_TRYLOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI, FUTEX_LOCK_PI2 };
#define FUTEX_PRIVATE 128
#define FUTEX_CLOCK_REALTIME 256

/* A relative FUTEX_WAIT goes on with its own deadline; the arguments are in restart_data. */
static long wait_restart(struct task *task)
{
    uint64_t deadline_ns = task->restart_data[3];
    long result = futex_wait(task->restart_data[0], task->restart_data[1] & 1, (uint32_t)task->restart_data[2],
                             (uint32_t)(task->restart_data[1] >> 32), deadline_ns);
    if (result == -ERESTARTSYS) {
        task->restart = wait_restart;
        return -ERESTART_RESTARTBLOCK;
    }
    return result;
}

static long wait_relative(uint64_t address, bool shared, uint32_t value, uint64_t deadline_ns)
{
    struct task *task = task_current();
    long result = futex_wait(address, shared, value, FUTEX_BITSET_ANY, deadline_ns);
    if (result != -ERESTARTSYS || deadline_ns == WAIT_FOREVER)
        return result;
    task->restart_data[0] = address;
    task->restart_data[1] = (uint64_t)FUTEX_BITSET_ANY << 32 | shared;
    task->restart_data[2] = value;
    task->restart_data[3] = deadline_ns;
    task->restart = wait_restart;
    return -ERESTART_RESTARTBLOCK;
}

/* WAIT's timeout is relative, all others' absolute; LOCK_PI's is real time whatever the flag says. */
static int futex_deadline(int command, bool real_time, uint64_t timeout, uint64_t *deadline_ns)
{
    uint64_t ns;
    if (timeout == 0) {
        *deadline_ns = WAIT_FOREVER;
        return 0;
    }
    int error = time_argument(timeout, &ns);
    if (error)
        return error;
    if (command == FUTEX_WAIT)
        *deadline_ns = deadline_after(clock_monotonic_ns(), ns);
    else
        *deadline_ns = clock_deadline_ns(real_time || command == FUTEX_LOCK_PI ? LINUX_CLOCK_REALTIME : LINUX_CLOCK_MONOTONIC, ns);
    return 0;
}

long sys_futex(uint64_t address, int operation, uint32_t value, uint64_t timeout, uint64_t address2, uint32_t value3)
{
    int command = operation & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
    bool shared = !(operation & FUTEX_PRIVATE), real_time = (operation & FUTEX_CLOCK_REALTIME) != 0;
    uint64_t deadline_ns = WAIT_FOREVER;
    if (real_time && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET && command != FUTEX_WAIT_REQUEUE_PI && command != FUTEX_LOCK_PI2)
        return -ENOSYS;
    if (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2) {
        int error = futex_deadline(command, real_time, timeout, &deadline_ns);
        if (error)
            return error;
    }
    switch (command) {
    case FUTEX_WAIT:
        return wait_relative(address, shared, value, deadline_ns);
    case FUTEX_WAIT_BITSET:
        return value3 == 0 ? -EINVAL : futex_wait(address, shared, value, value3, deadline_ns);
    case FUTEX_WAKE:
        return futex_wake(address, shared, value, FUTEX_BITSET_ANY);
    case FUTEX_WAKE_BITSET:
        return value3 == 0 ? -EINVAL : futex_wake(address, shared, value, value3);
    case FUTEX_REQUEUE: /* the second count comes in the place of the timeout */
        return (int)value < 0 || (int)timeout < 0 ? -EINVAL : futex_requeue(address, shared, value, address2, (uint32_t)timeout, NULL);
    case FUTEX_CMP_REQUEUE:
        return (int)value < 0 || (int)timeout < 0 ? -EINVAL : futex_requeue(address, shared, value, address2, (uint32_t)timeout, &value3);
    case FUTEX_WAKE_OP:
        return futex_wake_operation(address, shared, value, address2, (uint32_t)timeout, value3);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return futex_lock_pi(address, shared, deadline_ns, false);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(address, shared, WAIT_FOREVER, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(address, shared);
    default:
        return -ENOSYS;
    }
}

struct linux_futex_waitv {
    uint64_t value, address;
    uint32_t flags, reserved;
};
_Static_assert(sizeof(struct linux_futex_waitv) == 24, "struct futex_waitv");
#define FUTEX_WAITV_LIMIT 128
#define FUTEX2_SIZE_U32 2u

/* Waiting on one word is a plain wait; for several at once programs (Wine, mostly) fall back on ENOSYS. */
long sys_futex_waitv(uint64_t waiters, uint32_t count, uint32_t flags, uint64_t timeout, int clock)
{
    struct linux_futex_waitv waiter;
    uint64_t deadline_ns = WAIT_FOREVER, ns;
    if (flags || count == 0 || count > FUTEX_WAITV_LIMIT || waiters == 0)
        return -EINVAL;
    if (timeout) {
        if (clock != LINUX_CLOCK_MONOTONIC && clock != LINUX_CLOCK_REALTIME)
            return -EINVAL;
        int error = time_argument(timeout, &ns);
        if (error)
            return error;
        deadline_ns = clock_deadline_ns(clock, ns);
    }
    if (count > 1)
        return -ENOSYS;
    if (user_load(&waiter, waiters))
        return -EFAULT;
    if ((waiter.flags & ~(FUTEX2_SIZE_U32 | FUTEX_PRIVATE)) || !(waiter.flags & FUTEX2_SIZE_U32) || waiter.reserved)
        return -EINVAL;
    return futex_wait(waiter.address, !(waiter.flags & FUTEX_PRIVATE), (uint32_t)waiter.value, FUTEX_BITSET_ANY, deadline_ns);
}

#define ROBUST_HEAD_BYTES 24

long sys_set_robust_list(uint64_t list, uint64_t length_bytes)
{
    struct task *task = task_current();
    if (length_bytes != ROBUST_HEAD_BYTES)
        return -EINVAL;
    task->robust_list = list;
    task->robust_list_bytes = length_bytes;
    return 0;
}

long sys_get_robust_list(int pid, uint64_t list, uint64_t length_bytes)
{
    struct task *task = pid == 0 ? NULL : task_find(pid);
    uint64_t head, bytes = ROBUST_HEAD_BYTES;
    if (pid != 0 && !task)
        return -ESRCH;
    struct task *whose = task ? task : task_current();
    bool allowed = whose->process == process_current() || task_capable(CAPABILITY_SYS_PTRACE);
    head = whose->robust_list;
    if (task)
        task_release(task);
    if (!allowed)
        return -EPERM;
    return user_store(length_bytes, &bytes) || user_store(list, &head) ? -EFAULT : 0;
}
