/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals as calls: actions, masks, sending, waiting, the alternate stack. Queues and delivery are kernel/process/signal.h's.
 */
#include "kernel/process/signal.h"

#include "kernel/base/error.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "xen/x86/trap_frame.h"
#include "xen/x86/user_access.h"

#define UNBLOCKABLE (SIGNAL_BIT(SIGNAL_KILL) | SIGNAL_BIT(SIGNAL_STOP))

_Static_assert(sizeof(struct signal_action) == sizeof(struct linux_sigaction), "copied as it is");

static bool number_valid(int number)
{
    return number >= 1 && number <= SIGNAL_COUNT;
}

long sys_rt_sigaction(int number, uint64_t action, uint64_t old, uint64_t set_bytes)
{
    struct signal_action fresh, before;
    if (set_bytes != LINUX_SIGSET_BYTES)
        return -EINVAL;
    if (action && user_load(&fresh, action))
        return -EFAULT;
    if (!number_valid(number) || (action && (SIGNAL_BIT(number) & UNBLOCKABLE)))
        return -EINVAL;
    long result = signal_action_set(number, action ? &fresh : NULL, old ? &before : NULL);
    if (!result && old && user_store(old, &before))
        return -EFAULT;
    return result;
}

long sys_rt_sigprocmask(int how, uint64_t set, uint64_t old, uint64_t set_bytes)
{
    uint64_t before = task_current()->signal_mask, wanted = 0;
    if (set_bytes != LINUX_SIGSET_BYTES)
        return -EINVAL;
    if (set) {
        if (user_load(&wanted, set))
            return -EFAULT;
        switch (how) {
        case LINUX_SIG_BLOCK:
            wanted |= before;
            break;
        case LINUX_SIG_UNBLOCK:
            wanted = before & ~wanted;
            break;
        case LINUX_SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
        signal_mask_set(wanted);
    }
    return old ? user_store(old, &before) : 0;
}

long sys_rt_sigreturn(void)
{
    return signal_return(system_call_frame());
}

long sys_rt_sigpending(uint64_t set, uint64_t set_bytes)
{
    uint64_t pending = signal_pending_set();
    return set_bytes > LINUX_SIGSET_BYTES ? -EINVAL : user_copy_out(set, &pending, set_bytes);
}

long sys_rt_sigtimedwait(uint64_t set, uint64_t information, uint64_t timeout, uint64_t set_bytes)
{
    struct signal_information received;
    uint64_t wanted, deadline_ns;
    int error = signal_set_argument(set, set_bytes, &wanted);
    if (!error)
        error = timeout_argument(timeout, &deadline_ns);
    if (error)
        return error;
    long number = signal_wait(wanted & ~UNBLOCKABLE, deadline_ns, &received);
    if (number > 0 && information && user_store(information, &received))
        return -EFAULT;
    return number;
}

long sys_rt_sigsuspend(uint64_t set, uint64_t set_bytes)
{
    uint64_t mask;
    int error = signal_set_argument(set, set_bytes, &mask);
    return error ? error : signal_suspend(mask & ~UNBLOCKABLE);
}

long sys_pause(void)
{
    return signal_suspend(task_current()->signal_mask);
}

long sys_kill(int pid, int number)
{
    if (number < 0 || number > SIGNAL_COUNT)
        return -EINVAL;
    return pid == INT32_MIN ? -ESRCH : signal_kill(pid, number);
}

static void fill_sender(struct signal_information *information, int number, int code)
{
    *information = (struct signal_information){ .number = number, .code = code };
    information->sender.pid = process_current()->pid;
    information->sender.uid = task_current()->credentials->uid;
}

static long kill_task(int pid, int tid, int number)
{
    struct signal_information information;
    if (number < 0 || number > SIGNAL_COUNT)
        return -EINVAL;
    fill_sender(&information, number, SIGNAL_CODE_TKILL);
    return signal_kill_task(pid, tid, number, &information);
}

long sys_tkill(int tid, int number)
{
    return tid <= 0 ? -EINVAL : kill_task(0, tid, number);
}

long sys_tgkill(int pid, int tid, int number)
{
    return pid <= 0 || tid <= 0 ? -EINVAL : kill_task(pid, tid, number);
}

/* A program may not pass for the kernel, or for kill(), towards others. */
static int information_load(struct signal_information *information, uint64_t address, int number, bool to_self)
{
    if (user_load(information, address))
        return -EFAULT;
    information->number = number;
    if ((information->code >= 0 || information->code == SIGNAL_CODE_TKILL) && !to_self)
        return -EPERM;
    return 0;
}

long sys_rt_sigqueueinfo(int pid, int number, uint64_t information)
{
    struct signal_information sent;
    int error = information_load(&sent, information, number, pid == process_current()->pid);
    if (error)
        return error;
    if (number < 0 || number > SIGNAL_COUNT)
        return -EINVAL;
    struct process *process = process_find(pid);
    if (!process)
        return -ESRCH;
    long result = signal_kill(pid, 0);
    if (!result && number != 0)
        result = signal_send_process(process, number, &sent);
    process_release(process);
    return result;
}

long sys_rt_tgsigqueueinfo(int pid, int tid, int number, uint64_t information)
{
    struct signal_information sent;
    if (pid <= 0 || tid <= 0)
        return -EINVAL;
    int error = information_load(&sent, information, number, pid == process_current()->pid);
    if (error)
        return error;
    return number < 0 || number > SIGNAL_COUNT ? -EINVAL : signal_kill_task(pid, tid, number, &sent);
}

static bool on_alternate_stack(const struct task *task)
{
    uint64_t pointer = system_call_frame()->rsp;
    if (task->alternate_stack_flags & LINUX_SS_AUTODISARM)
        return false;
    return pointer > task->alternate_stack && pointer - task->alternate_stack <= task->alternate_stack_bytes;
}

long sys_sigaltstack(uint64_t stack, uint64_t old)
{
    struct task *task = task_current();
    struct linux_stack fresh, before = { .address = task->alternate_stack, .length_bytes = task->alternate_stack_bytes };
    bool on_it = on_alternate_stack(task);
    before.flags = (task->alternate_stack_bytes == 0 ? LINUX_SS_DISABLE : on_it ? LINUX_SS_ONSTACK : 0) | (task->alternate_stack_flags & LINUX_SS_AUTODISARM);
    if (stack) {
        if (user_load(&fresh, stack))
            return -EFAULT;
        uint32_t mode = fresh.flags & ~LINUX_SS_AUTODISARM;
        if (on_it)
            return -EPERM;
        if (mode != 0 && mode != LINUX_SS_DISABLE && mode != LINUX_SS_ONSTACK)
            return -EINVAL;
        if (mode != LINUX_SS_DISABLE && fresh.length_bytes < LINUX_MINSIGSTKSZ)
            return -ENOMEM;
        bool off = mode == LINUX_SS_DISABLE;
        task->alternate_stack = off ? 0 : fresh.address;
        task->alternate_stack_bytes = off ? 0 : fresh.length_bytes;
        task->alternate_stack_flags = fresh.flags;
    }
    return old ? user_store(old, &before) : 0;
}

long sys_signalfd4(int fd, uint64_t mask, uint64_t mask_bytes, int flags)
{
    uint64_t set;
    struct file *file = NULL;
    unsigned int wanted = (unsigned int)flags;
    if (wanted & ~(unsigned int)(FILE_CLOSE_ON_EXEC | FILE_NONBLOCK))
        return -EINVAL;
    int error = signal_set_argument(mask, mask_bytes, &set);
    if (!error)
        error = signal_file_create(set & ~UNBLOCKABLE, wanted & FILE_NONBLOCK, fd, &file);
    if (error || fd != -1)
        return error ? error : fd;
    return file_install(file, (wanted & FILE_CLOSE_ON_EXEC) != 0);
}

long sys_signalfd(int fd, uint64_t mask, uint64_t mask_bytes)
{
    return sys_signalfd4(fd, mask, mask_bytes, 0);
}
