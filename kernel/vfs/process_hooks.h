/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/vfs must ask of processes, which live above it: kernel/process registers these call-backs once at boot.
 * Before that, and for kernel threads, the defaults of process_hooks.c answer (no process, no limit, no signal).
 */
#pragma once

#include "kernel/base/compiler.h"

struct process_identity {
    int pid, group_id, session_id;
};

struct vfs_process_hooks {
    /* A signal to the current thread's process (SIGPIPE, SIGXFSZ). Thread context. */
    void (*signal_current)(int number);
    /* A signal to a process group, as the terminal sends them. Any context but event context. */
    void (*signal_group)(int group_id, int number);
    /* SIGIO and F_SETSIG: pid > 0 a process, < 0 a group; band is the poll events. Any context but event context. */
    void (*signal_owner)(int owner, int number, int fd, uint32_t band);
    /* Whose thread this is; false for a kernel thread. */
    bool (*identity)(struct process_identity *identity);
    /* True where the current process ignores or blocks the signal (job control of background readers and writers). */
    bool (*signal_ignored)(int number);
    /* True where the group has no living member with a parent outside it in its session. */
    bool (*group_orphaned)(int group_id);
    /* True where that group exists in that session (TIOCSPGRP). */
    bool (*group_in_session)(int group_id, int session_id);
    /* RLIMIT_FSIZE of the current process, bytes; UINT64_MAX: none. */
    uint64_t (*file_size_limit)(void);
};

extern const struct vfs_process_hooks *vfs_process;

void vfs_process_hooks_set(const struct vfs_process_hooks *hooks);
