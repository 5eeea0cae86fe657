/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers while there are no processes.
 */
#include "kernel/vfs/process_hooks.h"

static void no_signal_current(int number)
{
}

static void no_signal_group(int group_id, int number)
{
}

static void no_signal_owner(int owner, int number, int fd, uint32_t band)
{
}

static bool no_identity(struct process_identity *identity)
{
    return false;
}

static bool no_signal_ignored(int number)
{
    return true;
}

static bool no_group(int group_id)
{
    return true;
}

static bool no_group_in_session(int group_id, int session_id)
{
    return false;
}

static uint64_t no_limit(void)
{
    return UINT64_MAX;
}

static const struct vfs_process_hooks no_processes = {
    .signal_current = no_signal_current,
    .signal_group = no_signal_group,
    .signal_owner = no_signal_owner,
    .identity = no_identity,
    .signal_ignored = no_signal_ignored,
    .group_orphaned = no_group,
    .group_in_session = no_group_in_session,
    .file_size_limit = no_limit,
};

const struct vfs_process_hooks *vfs_process = &no_processes;

/* Once, at boot, before the first program. */
void vfs_process_hooks_set(const struct vfs_process_hooks *hooks)
{
    vfs_process = hooks;
}
