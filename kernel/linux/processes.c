/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes and threads are made (clone and its kin) and waited for. Flags are checked in Linux's order; kernel/process does it.
 */
#include "kernel/process/process.h"

#include "kernel/base/error.h"
#include "kernel/linux/abi/clone.h"
#include "kernel/linux/abi/system.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/times.h"
#include "kernel/linux/abi/wait.h"
#include "xen/x86/user_access.h"

static int clone_flags_check(uint64_t flags)
{
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_CLEAR_SIGHAND) && (flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_PIDFD) && (flags & CLONE_DETACHED))
        return -EINVAL;
    if (flags & CLONE_NEW_SPACES)
        return -EPERM;
    if (flags & CLONE_INTO_CGROUP)
        return -EINVAL;
    return 0;
}

static long clone_run(const struct clone_request *request)
{
    int error = clone_flags_check(request->flags);
    return error ? error : process_clone(request);
}

long sys_clone(uint64_t flags, uint64_t stack, uint64_t parent_tid, uint64_t child_tid, uint64_t tls)
{
    uint64_t wanted = flags & UINT32_MAX & ~(uint64_t)CLONE_SIGNAL_MASK;
    struct clone_request request = { .flags = wanted, .exit_signal = (int)(flags & CLONE_SIGNAL_MASK), .stack = stack, .tls = tls,
                                     .parent_tid = parent_tid, .child_tid = child_tid };
    if (wanted & CLONE_PIDFD) {
        if (wanted & CLONE_PARENT_SETTID)
            return -EINVAL;
        request.pidfd = parent_tid;
    }
    return clone_run(&request);
}

long sys_fork(void)
{
    return clone_run(&(struct clone_request){ .exit_signal = SIGNAL_CHLD });
}

long sys_vfork(void)
{
    return clone_run(&(struct clone_request){ .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGNAL_CHLD });
}

/* The first version of the struct ends before set_tid; later members are zero for older programs. */
static int clone_args_copy(struct linux_clone_args *arguments, uint64_t address, uint64_t size_bytes)
{
    if (size_bytes > 4096)
        return -E2BIG;
    if (size_bytes < CLONE_ARGS_FIRST_BYTES)
        return -EINVAL;
    for (uint64_t offset = sizeof(*arguments); offset < size_bytes; offset++) {
        uint8_t byte;
        if (user_load(&byte, address + offset))
            return -EFAULT;
        if (byte)
            return -E2BIG;
    }
    *arguments = (struct linux_clone_args){ 0 };
    return user_copy_in(arguments, address, minimum(size_bytes, (uint64_t)sizeof(*arguments)));
}

static int clone_args_check(const struct linux_clone_args *arguments)
{
    if (arguments->flags & ~(CLONE_LEGACY_FLAGS | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP))
        return -EINVAL;
    if (arguments->flags & (CLONE_DETACHED | CLONE_SIGNAL_MASK))
        return -EINVAL;
    if (arguments->exit_signal > SIGNAL_COUNT)
        return -EINVAL;
    if ((arguments->flags & (CLONE_THREAD | CLONE_PARENT)) && arguments->exit_signal)
        return -EINVAL;
    if ((arguments->stack == 0) != (arguments->stack_bytes == 0))
        return -EINVAL;
    if (arguments->stack && !user_range_valid(arguments->stack, arguments->stack_bytes))
        return -EINVAL;
    if (arguments->set_tid_count > 1 || (arguments->set_tid != 0) != (arguments->set_tid_count != 0))
        return -EINVAL;
    return 0;
}

long sys_clone3(uint64_t address, uint64_t size_bytes)
{
    struct linux_clone_args arguments;
    struct clone_request request;
    int32_t set_tid = 0;
    int error = clone_args_copy(&arguments, address, size_bytes);
    if (!error)
        error = clone_args_check(&arguments);
    if (error)
        return error;
    if (arguments.set_tid_count) {
        if (user_load(&set_tid, arguments.set_tid))
            return -EFAULT;
        if (set_tid <= 0)
            return -EINVAL;
        if (!task_capable(CAPABILITY_SYS_ADMIN))
            return -EPERM;
    }
    request = (struct clone_request){
        .flags = arguments.flags, .exit_signal = (int)arguments.exit_signal, .tls = arguments.tls,
        .stack = arguments.stack ? arguments.stack + arguments.stack_bytes : 0,
        .parent_tid = arguments.parent_tid, .child_tid = arguments.child_tid, .pidfd = arguments.pidfd, .set_tid = set_tid,
    };
    return clone_run(&request);
}

long sys_unshare(uint64_t flags)
{
    struct task *task = task_current();
    if (flags & CLONE_NEW_SPACES)
        return -EPERM;
    if (flags & ~(uint64_t)(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM))
        return -EINVAL;
    if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && read_once(task->process->task_count) > 1)
        return -EINVAL;
    return task_unshare((flags & CLONE_FILES) != 0, (flags & CLONE_FS) != 0);
}

static int usage_answer(uint64_t address, const struct wait_result *result)
{
    const struct process_times *times = &result->times;
    struct linux_rusage usage = { .user_time = timeval_from_ns(times->user_ns + times->children_user_ns),
                                  .system_time = timeval_from_ns(times->system_ns + times->children_system_ns),
                                  .resident_peak_kib = (int64_t)result->peak_pages * 4 };
    return address ? user_store(address, &usage) : 0;
}

long sys_wait4(int pid, uint64_t status, int options, uint64_t usage)
{
    struct wait_result result;
    int type = pid == -1 ? WAIT_TYPE_ALL : pid > 0 ? WAIT_TYPE_PID : WAIT_TYPE_GROUP;
    if (options & ~(int)(WAIT_NO_HANG | WAIT_STOPPED | WAIT_CONTINUED | WAIT_NO_THREAD | WAIT_CLONE | WAIT_ALL_CHILDREN))
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    long found = process_wait(type, type == WAIT_TYPE_PID ? pid : type == WAIT_TYPE_GROUP ? -pid : 0, (unsigned int)options | WAIT_EXITED, &result);
    if (found <= 0)
        return found;
    if (status && user_store(status, &result.wait_status))
        return -EFAULT;
    return usage_answer(usage, &result) ? -EFAULT : found;
}

/* A pidfd names the process to wait for; a non-blocking one does not wait. */
static int wait_pidfd(int fd, int *pid, unsigned int *options)
{
    struct file *file;
    int error = file_argument_any(fd, &file);
    if (error)
        return error;
    struct process *process = process_of_file(file);
    if (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NONBLOCK)
        *options |= WAIT_NO_HANG;
    file_release(file);
    if (!process)
        return -EBADF;
    *pid = process->pid;
    process_release(process);
    return 0;
}

long sys_waitid(int which, int id, uint64_t information, int options, uint64_t usage)
{
    struct wait_result result;
    struct signal_information answer = { 0 };
    unsigned int wanted = (unsigned int)options;
    bool polled = false;
    if (wanted & ~(WAIT_NO_HANG | WAIT_NO_WAIT | WAIT_EXITED | WAIT_STOPPED | WAIT_CONTINUED | WAIT_NO_THREAD | WAIT_CLONE | WAIT_ALL_CHILDREN))
        return -EINVAL;
    if (!(wanted & (WAIT_EXITED | WAIT_STOPPED | WAIT_CONTINUED)))
        return -EINVAL;
    if (which < WAIT_TYPE_ALL || which > WAIT_TYPE_PIDFD || (which == WAIT_TYPE_PID && id <= 0) || (which == WAIT_TYPE_GROUP && id < 0))
        return -EINVAL;
    if (which == WAIT_TYPE_PIDFD) {
        int error = wait_pidfd(id, &id, &wanted);
        if (error)
            return error;
        polled = (wanted & WAIT_NO_HANG) && !((unsigned int)options & WAIT_NO_HANG);
        which = WAIT_TYPE_PID;
    }
    long found = process_wait(which, id, wanted, &result);
    if (found < 0)
        return found;
    if (found == 0 && polled)
        return -EAGAIN;
    if (found > 0) {
        answer = (struct signal_information){ .number = SIGNAL_CHLD, .code = result.code };
        answer.child.pid = result.pid;
        answer.child.uid = (uint32_t)result.uid;
        answer.child.status = result.status;
        if (usage_answer(usage, &result))
            return -EFAULT;
    }
    /* Only the first members are written: si_signo to si_status. */
    return information ? user_copy_out(information, &answer, offsetof(struct signal_information, child.status) + 4) : 0;
}
