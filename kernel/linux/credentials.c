/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User and group ids and capabilities, with Linux's rules: who may change which id to what, and what a change does to
 * the capabilities. A change copies the task's credentials, edits the copy and hands it to kernel/process.
 *
 * An id of -1 means "leave as it is" in the calls that take several.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/abi/capability.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define ID_KEEP UINT32_MAX

static const struct credentials *mine(void)
{
    return task_current()->credentials;
}

static struct credentials *copy_mine(void)
{
    return credentials_copy(mine(), mine()->group_count);
}

long sys_getuid(void)
{
    return mine()->uid;
}

long sys_geteuid(void)
{
    return mine()->euid;
}

long sys_getgid(void)
{
    return mine()->gid;
}

long sys_getegid(void)
{
    return mine()->egid;
}

static long answer_three(uint64_t first_address, uint64_t second_address, uint64_t third_address, uint32_t first, uint32_t second, uint32_t third)
{
    if (user_store(first_address, &first) || user_store(second_address, &second) || user_store(third_address, &third))
        return -EFAULT;
    return 0;
}

long sys_getresuid(uint64_t ruid, uint64_t euid, uint64_t suid)
{
    return answer_three(ruid, euid, suid, mine()->uid, mine()->euid, mine()->suid);
}

long sys_getresgid(uint64_t rgid, uint64_t egid, uint64_t sgid)
{
    return answer_three(rgid, egid, sgid, mine()->gid, mine()->egid, mine()->sgid);
}

/* capabilities(7), "Effect of user ID changes on capabilities". */
static void capabilities_follow_uids(struct credentials *fresh, const struct credentials *old)
{
    bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool has_root = fresh->uid == 0 || fresh->euid == 0 || fresh->suid == 0;
    if (fresh->secure_bits & SECURE_NO_SETUID_FIXUP)
        return;
    if (had_root && !has_root) {
        if (!(fresh->secure_bits & SECURE_KEEP_CAPS))
            fresh->permitted = fresh->effective = 0;
        fresh->ambient = 0;
    }
    if (old->euid == 0 && fresh->euid != 0)
        fresh->effective = 0;
    if (old->euid != 0 && fresh->euid == 0)
        fresh->effective = fresh->permitted;
}

static void capabilities_follow_fsuid(struct credentials *fresh, const struct credentials *old)
{
    if (fresh->secure_bits & SECURE_NO_SETUID_FIXUP)
        return;
    if (old->fsuid == 0 && fresh->fsuid != 0)
        fresh->effective &= ~CAPABILITY_FILE_SET;
    if (old->fsuid != 0 && fresh->fsuid == 0)
        fresh->effective |= fresh->permitted & CAPABILITY_FILE_SET;
}

static long commit_uids(struct credentials *fresh)
{
    fresh->fsuid = fresh->euid;
    capabilities_follow_uids(fresh, mine());
    task_set_credentials(fresh);
    return 0;
}

static long commit_gids(struct credentials *fresh)
{
    fresh->fsgid = fresh->egid;
    task_set_credentials(fresh);
    return 0;
}

static long refuse(struct credentials *fresh, int error)
{
    credentials_release(fresh);
    return error;
}

long sys_setuid(uint32_t uid)
{
    struct credentials *fresh;
    if (uid == ID_KEEP)
        return -EINVAL;
    if (!(fresh = copy_mine()))
        return -ENOMEM;
    if (task_capable(CAPABILITY_SETUID))
        fresh->uid = fresh->suid = uid;
    else if (uid != fresh->uid && uid != fresh->suid)
        return refuse(fresh, -EPERM);
    fresh->euid = uid;
    return commit_uids(fresh);
}

long sys_setgid(uint32_t gid)
{
    struct credentials *fresh;
    if (gid == ID_KEEP)
        return -EINVAL;
    if (!(fresh = copy_mine()))
        return -ENOMEM;
    if (task_capable(CAPABILITY_SETGID))
        fresh->gid = fresh->sgid = gid;
    else if (gid != fresh->gid && gid != fresh->sgid)
        return refuse(fresh, -EPERM);
    fresh->egid = gid;
    return commit_gids(fresh);
}

long sys_setreuid(uint32_t ruid, uint32_t euid)
{
    struct credentials *fresh = copy_mine();
    const struct credentials *old = mine();
    bool free = task_capable(CAPABILITY_SETUID);
    if (!fresh)
        return -ENOMEM;
    if (ruid != ID_KEEP) {
        if (!free && ruid != old->uid && ruid != old->euid)
            return refuse(fresh, -EPERM);
        fresh->uid = ruid;
    }
    if (euid != ID_KEEP) {
        if (!free && euid != old->uid && euid != old->euid && euid != old->suid)
            return refuse(fresh, -EPERM);
        fresh->euid = euid;
    }
    if (ruid != ID_KEEP || (euid != ID_KEEP && euid != old->uid))
        fresh->suid = fresh->euid;
    return commit_uids(fresh);
}

long sys_setregid(uint32_t rgid, uint32_t egid)
{
    struct credentials *fresh = copy_mine();
    const struct credentials *old = mine();
    bool free = task_capable(CAPABILITY_SETGID);
    if (!fresh)
        return -ENOMEM;
    if (rgid != ID_KEEP) {
        if (!free && rgid != old->gid && rgid != old->egid)
            return refuse(fresh, -EPERM);
        fresh->gid = rgid;
    }
    if (egid != ID_KEEP) {
        if (!free && egid != old->gid && egid != old->egid && egid != old->sgid)
            return refuse(fresh, -EPERM);
        fresh->egid = egid;
    }
    if (rgid != ID_KEEP || (egid != ID_KEEP && egid != old->gid))
        fresh->sgid = fresh->egid;
    return commit_gids(fresh);
}

static bool one_of(uint32_t id, uint32_t first, uint32_t second, uint32_t third)
{
    return id == ID_KEEP || id == first || id == second || id == third;
}

long sys_setresuid(uint32_t ruid, uint32_t euid, uint32_t suid)
{
    struct credentials *fresh = copy_mine();
    const struct credentials *old = mine();
    if (!fresh)
        return -ENOMEM;
    if (!task_capable(CAPABILITY_SETUID) && !(one_of(ruid, old->uid, old->euid, old->suid) && one_of(euid, old->uid, old->euid, old->suid) && one_of(suid, old->uid, old->euid, old->suid)))
        return refuse(fresh, -EPERM);
    fresh->uid = ruid == ID_KEEP ? fresh->uid : ruid;
    fresh->euid = euid == ID_KEEP ? fresh->euid : euid;
    fresh->suid = suid == ID_KEEP ? fresh->suid : suid;
    return commit_uids(fresh);
}

long sys_setresgid(uint32_t rgid, uint32_t egid, uint32_t sgid)
{
    struct credentials *fresh = copy_mine();
    const struct credentials *old = mine();
    if (!fresh)
        return -ENOMEM;
    if (!task_capable(CAPABILITY_SETGID) && !(one_of(rgid, old->gid, old->egid, old->sgid) && one_of(egid, old->gid, old->egid, old->sgid) && one_of(sgid, old->gid, old->egid, old->sgid)))
        return refuse(fresh, -EPERM);
    fresh->gid = rgid == ID_KEEP ? fresh->gid : rgid;
    fresh->egid = egid == ID_KEEP ? fresh->egid : egid;
    fresh->sgid = sgid == ID_KEEP ? fresh->sgid : sgid;
    return commit_gids(fresh);
}

/* Both answer the old id whether they changed it or not. */
long sys_setfsuid(uint32_t uid)
{
    const struct credentials *old = mine();
    uint32_t before = old->fsuid;
    struct credentials *fresh;
    if (uid == ID_KEEP || uid == before || !(task_capable(CAPABILITY_SETUID) || uid == old->uid || uid == old->euid || uid == old->suid))
        return before;
    if (!(fresh = copy_mine()))
        return before;
    fresh->fsuid = uid;
    capabilities_follow_fsuid(fresh, old);
    task_set_credentials(fresh);
    return before;
}

long sys_setfsgid(uint32_t gid)
{
    const struct credentials *old = mine();
    uint32_t before = old->fsgid;
    struct credentials *fresh;
    if (gid == ID_KEEP || gid == before || !(task_capable(CAPABILITY_SETGID) || gid == old->gid || gid == old->egid || gid == old->sgid))
        return before;
    if (!(fresh = copy_mine()))
        return before;
    fresh->fsgid = gid;
    task_set_credentials(fresh);
    return before;
}

long sys_getgroups(int count, uint64_t groups)
{
    const struct credentials *own = mine();
    if (count < 0)
        return -EINVAL;
    if (count == 0)
        return own->group_count;
    if ((uint32_t)count < own->group_count)
        return -EINVAL;
    if (user_copy_out(groups, own->groups, own->group_count * sizeof(own->groups[0])))
        return -EFAULT;
    return own->group_count;
}

/* Shell sort: short lists, and no stack for long ones. */
static void groups_sort(uint32_t *groups, uint32_t count)
{
    for (uint32_t gap = count / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < count; i++) {
            uint32_t group = groups[i], j = i;
            for (; j >= gap && groups[j - gap] > group; j -= gap)
                groups[j] = groups[j - gap];
            groups[j] = group;
        }
}

long sys_setgroups(int count, uint64_t groups)
{
    if (!task_capable(CAPABILITY_SETGID))
        return -EPERM;
    if ((uint32_t)count > CREDENTIALS_GROUP_LIMIT)
        return -EINVAL;
    struct credentials *fresh = credentials_copy(mine(), (uint32_t)count);
    if (!fresh)
        return -ENOMEM;
    if (user_copy_in(fresh->groups, groups, (size_t)count * sizeof(fresh->groups[0])))
        return refuse(fresh, -EFAULT);
    for (int i = 0; i < count; i++)
        if (fresh->groups[i] == ID_KEEP)
            return refuse(fresh, -EINVAL);
    groups_sort(fresh->groups, (uint32_t)count);
    task_set_credentials(fresh);
    return 0;
}
