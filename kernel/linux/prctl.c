/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prctl and arch_prctl: an option each, a function each where it takes more than a line.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/abi/capability.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

enum { PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG = 2, PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4, PR_GET_KEEPCAPS = 7, PR_SET_KEEPCAPS = 8,
       PR_GET_TIMING = 13, PR_SET_TIMING = 14, PR_SET_NAME = 15, PR_GET_NAME = 16, PR_CAPBSET_READ = 23, PR_CAPBSET_DROP = 24,
       PR_GET_TSC = 25, PR_GET_SECUREBITS = 27, PR_SET_SECUREBITS = 28, PR_SET_TIMERSLACK = 29, PR_GET_TIMERSLACK = 30,
       PR_SET_CHILD_SUBREAPER = 36, PR_GET_CHILD_SUBREAPER = 37, PR_SET_NO_NEW_PRIVS = 38, PR_GET_NO_NEW_PRIVS = 39,
       PR_GET_TID_ADDRESS = 40, PR_SET_THP_DISABLE = 41, PR_GET_THP_DISABLE = 42, PR_CAP_AMBIENT = 47 };
enum { AMBIENT_IS_SET = 1, AMBIENT_RAISE = 2, AMBIENT_LOWER = 3, AMBIENT_CLEAR_ALL = 4 };

#define SLACK_DEFAULT_NS 50000
#define TSC_ENABLED 1

static long answer_int(uint64_t address, int32_t value)
{
    return user_store(address, &value);
}

static long name_set(struct task *task, uint64_t address)
{
    char name[16] = { 0 };
    long length = user_copy_string(name, address, sizeof(name));
    if (length == -EFAULT)
        return length;
    name[15] = '\0'; /* a longer one is cut */
    spinlock_lock(&task->process->lock);
    memcpy(task->command, name, sizeof(name));
    memcpy(task->thread->name, name, sizeof(name));
    if (task->tid == task->process->pid)
        memcpy(task->process->command, name, sizeof(name));
    spinlock_unlock(&task->process->lock);
    return 0;
}

static long name_get(struct task *task, uint64_t address)
{
    char name[16];
    spinlock_lock(&task->process->lock);
    memcpy(name, task->command, sizeof(name));
    spinlock_unlock(&task->process->lock);
    return user_copy_out(address, name, sizeof(name));
}

/* A change of the caller's capabilities or secure bits: `edit` answers 0, or why not. */
static long credentials_edit(int (*edit)(struct credentials *fresh, uint64_t argument), uint64_t argument)
{
    const struct credentials *old = task_current()->credentials;
    struct credentials *fresh = credentials_copy(old, old->group_count);
    if (!fresh)
        return -ENOMEM;
    int error = edit(fresh, argument);
    if (error)
        credentials_release(fresh);
    else
        task_set_credentials(fresh);
    return error;
}

static int edit_bounding(struct credentials *fresh, uint64_t capability)
{
    if (!credentials_capable(fresh, CAPABILITY_SETPCAP))
        return -EPERM;
    if (capability > CAPABILITY_LAST)
        return -EINVAL;
    fresh->bounding &= ~(1ull << capability);
    return 0;
}

static int edit_keep(struct credentials *fresh, uint64_t keep)
{
    if (keep > 1)
        return -EINVAL;
    if (fresh->secure_bits & SECURE_KEEP_CAPS_LOCKED)
        return -EPERM;
    fresh->secure_bits = keep ? fresh->secure_bits | SECURE_KEEP_CAPS : fresh->secure_bits & ~SECURE_KEEP_CAPS;
    return 0;
}

/* Each bit has a lock bit above it; a locked bit stays, and a lock is never taken off. */
static int edit_secure_bits(struct credentials *fresh, uint64_t wanted)
{
    uint32_t locked = (fresh->secure_bits & SECURE_ALL_LOCKS) >> 1, changed = fresh->secure_bits ^ (uint32_t)wanted;
    if (wanted & ~(uint64_t)(SECURE_ALL_BITS | SECURE_ALL_LOCKS))
        return -EPERM;
    if ((changed & locked) || (fresh->secure_bits & SECURE_ALL_LOCKS & ~wanted) || !credentials_capable(fresh, CAPABILITY_SETPCAP))
        return -EPERM;
    fresh->secure_bits = (uint32_t)wanted;
    return 0;
}

static int edit_ambient(struct credentials *fresh, uint64_t argument)
{
    uint64_t operation = argument >> 32, bit = 1ull << (argument & 63);
    if (operation == AMBIENT_CLEAR_ALL) {
        fresh->ambient = 0;
    } else if (operation == AMBIENT_LOWER) {
        fresh->ambient &= ~bit;
    } else {
        if (!(fresh->permitted & fresh->inheritable & bit) || (fresh->secure_bits & SECURE_NO_CAP_AMBIENT_RAISE))
            return -EPERM;
        fresh->ambient |= bit;
    }
    return 0;
}

static long ambient_call(uint64_t operation, uint64_t capability, uint64_t a4, uint64_t a5)
{
    if (a4 || a5 || operation < AMBIENT_IS_SET || operation > AMBIENT_CLEAR_ALL)
        return -EINVAL;
    if (operation == AMBIENT_CLEAR_ALL ? capability != 0 : capability > CAPABILITY_LAST)
        return -EINVAL;
    if (operation == AMBIENT_IS_SET)
        return (task_current()->credentials->ambient >> capability) & 1;
    return credentials_edit(edit_ambient, operation << 32 | capability);
}

static long capability_options(int option, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    const struct credentials *mine = task_current()->credentials;
    switch (option) {
    case PR_GET_KEEPCAPS:
        return (mine->secure_bits & SECURE_KEEP_CAPS) != 0;
    case PR_SET_KEEPCAPS:
        return credentials_edit(edit_keep, a2);
    case PR_CAPBSET_READ:
        return a2 > CAPABILITY_LAST ? -EINVAL : (long)((mine->bounding >> a2) & 1);
    case PR_CAPBSET_DROP:
        return credentials_edit(edit_bounding, a2);
    case PR_GET_SECUREBITS:
        return mine->secure_bits;
    case PR_SET_SECUREBITS:
        return credentials_edit(edit_secure_bits, a2);
    case PR_CAP_AMBIENT:
        return ambient_call(a2, a3, a4, a5);
    default:
        return -EINVAL;
    }
}

long sys_prctl(int option, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct task *task = task_current();
    struct process *process = task->process;
    switch (option) {
    case PR_SET_PDEATHSIG:
        if (a2 > SIGNAL_COUNT)
            return -EINVAL;
        write_once(process->parent_death_signal, (int)a2);
        return 0;
    case PR_GET_PDEATHSIG:
        return answer_int(a2, process->parent_death_signal);
    case PR_GET_DUMPABLE:
        return process->dumpable;
    case PR_SET_DUMPABLE:
        if (a2 > 1)
            return -EINVAL;
        write_once(process->dumpable, a2 == 1);
        return 0;
    case PR_GET_TIMING:
        return 0;
    case PR_SET_TIMING:
        return a2 == 0 ? 0 : -EINVAL; /* statistical timing is the only kind */
    case PR_SET_NAME:
        return name_set(task, a2);
    case PR_GET_NAME:
        return name_get(task, a2);
    case PR_GET_TSC:
        return answer_int(a2, TSC_ENABLED);
    case PR_SET_TIMERSLACK:
        task->timer_slack_ns = a2 == 0 || a2 > INT64_MAX ? SLACK_DEFAULT_NS : a2;
        return 0;
    case PR_GET_TIMERSLACK:
        return (long)(task->timer_slack_ns ? task->timer_slack_ns : SLACK_DEFAULT_NS);
    case PR_SET_CHILD_SUBREAPER:
        write_once(process->child_subreaper, a2 != 0);
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return answer_int(a2, process->child_subreaper);
    case PR_SET_NO_NEW_PRIVS:
        if (a2 != 1 || a3 || a4 || a5)
            return -EINVAL;
        write_once(process->no_new_privileges, true);
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return a2 || a3 || a4 || a5 ? -EINVAL : process->no_new_privileges;
    case PR_GET_TID_ADDRESS:
        return user_store(a2, &task->clear_child_tid);
    case PR_SET_THP_DISABLE:
        if (a3 || a4 || a5)
            return -EINVAL;
        write_once(process->space->no_large_pages, a2 != 0);
        return 0;
    case PR_GET_THP_DISABLE:
        return a2 || a3 || a4 || a5 ? -EINVAL : process->space->no_large_pages;
    default:
        return capability_options(option, a2, a3, a4, a5);
    }
}

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004, ARCH_GET_CPUID = 0x1011,
       ARCH_SET_CPUID = 0x1012 };

long sys_arch_prctl(int option, uint64_t address)
{
    struct context *context = &thread_current()->context;
    switch (option) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (!user_range_valid(address, 0))
            return -EPERM;
        if (option == ARCH_SET_FS) {
            context_set_fs_base(context, address);
            return 0;
        }
        /* Doors find the CPU's block by the base that programs without one of their own have. */
        if (address != 0 && door_stop(task_current()->process->space) != 0)
            return -ENOMEM;
        context_set_gs_base(context, address);
        return 0;
    case ARCH_GET_FS:
        return user_store(address, &context->fs_base);
    case ARCH_GET_GS:
        return user_store(address, &context->gs_base);
    case ARCH_GET_CPUID:
        return 1; /* cpuid is not trapped */
    case ARCH_SET_CPUID:
        return -ENODEV;
    default:
        return -EINVAL;
    }
}

#define PERSONALITY_ASK UINT32_MAX

long sys_personality(uint32_t personality)
{
    struct process *process = process_current();
    uint32_t before = read_once(process->personality);
    if (personality != PERSONALITY_ASK)
        write_once(process->personality, personality);
    return before;
}
