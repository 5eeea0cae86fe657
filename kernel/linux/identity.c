/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who a process is: pids, process groups and sessions. The short ones are the calls that programs measure.
 */
#include "kernel/base/error.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"

long sys_getpid(void)
{
    return process_current()->pid;
}

long sys_gettid(void)
{
    return task_current()->tid;
}

long sys_getppid(void)
{
    return process_parent_id(process_current());
}

long sys_getpgrp(void)
{
    return read_once(process_current()->group_id);
}

long sys_getpgid(int pid)
{
    return pid < 0 ? -ESRCH : process_get_group(pid);
}

long sys_getsid(int pid)
{
    return pid < 0 ? -ESRCH : process_get_session(pid);
}

long sys_setpgid(int pid, int group)
{
    return group < 0 ? -EINVAL : pid < 0 ? -ESRCH : process_set_group(pid, group);
}

long sys_setsid(void)
{
    return process_new_session();
}

long sys_set_tid_address(uint64_t address)
{
    struct task *task = task_current();
    task->clear_child_tid = address;
    return task->tid;
}

long sys_sched_yield(void)
{
    thread_yield();
    return 0;
}

long sys_exit(int code)
{
    task_exit((code & 0xff) << 8);
}

long sys_exit_group(int code)
{
    process_exit_group((code & 0xff) << 8);
}
