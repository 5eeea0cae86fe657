/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capget and capset: 64-bit capability sets as two (version 1: one) 32-bit halves.
 */
#include "kernel/base/error.h"
#include "kernel/linux/abi/capability.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

/* Number of halves for the header's version; an unknown one is answered with the version we prefer. */
static int halves_of(uint64_t header_address, struct linux_capability_header *header)
{
    if (user_load(header, header_address))
        return -EFAULT;
    if (header->version == LINUX_CAPABILITY_VERSION_1)
        return 1;
    if (header->version == LINUX_CAPABILITY_VERSION_2 || header->version == LINUX_CAPABILITY_VERSION_3)
        return 2;
    uint32_t preferred = LINUX_CAPABILITY_VERSION_3;
    return user_store(header_address, &preferred) ? -EFAULT : -EINVAL;
}

static int sets_of(int pid, uint64_t sets[3])
{
    struct task *task = pid == 0 || pid == task_current()->tid ? NULL : task_find(pid);
    if (pid < 0)
        return -EINVAL;
    if (pid != 0 && pid != task_current()->tid && !task)
        return -ESRCH;
    struct task *whose = task ? task : task_current();
    spinlock_lock(&whose->process->lock);
    sets[0] = whose->credentials->effective;
    sets[1] = whose->credentials->permitted;
    sets[2] = whose->credentials->inheritable;
    spinlock_unlock(&whose->process->lock);
    if (task)
        task_release(task);
    return 0;
}

long sys_capget(uint64_t header_address, uint64_t data_address)
{
    struct linux_capability_header header;
    struct linux_capability_data data[2];
    uint64_t sets[3];
    int halves = halves_of(header_address, &header);
    if (halves < 0)
        return data_address == 0 && halves == -EINVAL ? 0 : halves;
    int error = sets_of(header.pid, sets);
    if (error)
        return error;
    if (data_address == 0)
        return 0;
    for (int i = 0; i < halves; i++)
        data[i] = (struct linux_capability_data){ (uint32_t)(sets[0] >> (32 * i)), (uint32_t)(sets[1] >> (32 * i)), (uint32_t)(sets[2] >> (32 * i)) };
    return user_copy_out(data_address, data, sizeof(data[0]) * (size_t)halves);
}

long sys_capset(uint64_t header_address, uint64_t data_address)
{
    struct linux_capability_header header;
    struct linux_capability_data data[2] = { 0 };
    int halves = halves_of(header_address, &header);
    if (halves < 0)
        return halves;
    if (header.pid != 0 && header.pid != task_current()->tid)
        return -EPERM;
    if (user_copy_in(data, data_address, sizeof(data[0]) * (size_t)halves))
        return -EFAULT;
    const struct credentials *old = task_current()->credentials;
    uint64_t effective = (data[0].effective | (uint64_t)data[1].effective << 32) & CAPABILITY_ALL;
    uint64_t permitted = (data[0].permitted | (uint64_t)data[1].permitted << 32) & CAPABILITY_ALL;
    uint64_t inheritable = (data[0].inheritable | (uint64_t)data[1].inheritable << 32) & CAPABILITY_ALL;
    if (!credentials_capable(old, CAPABILITY_SETPCAP) && (inheritable & ~(old->inheritable | old->permitted)))
        return -EPERM;
    if ((inheritable & ~(old->inheritable | old->bounding)) || (permitted & ~old->permitted) || (effective & ~permitted))
        return -EPERM;
    struct credentials *fresh = credentials_copy(old, old->group_count);
    if (!fresh)
        return -ENOMEM;
    fresh->effective = effective;
    fresh->permitted = permitted;
    fresh->inheritable = inheritable;
    fresh->ambient &= permitted & inheritable;
    task_set_credentials(fresh);
    return 0;
}
