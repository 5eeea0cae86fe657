/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V interprocess communication: commands, flags and structs of x86-64.
 */
#pragma once

#include "kernel/base/compiler.h"

#define LINUX_IPC_PRIVATE 0
#define LINUX_IPC_CREAT 01000
#define LINUX_IPC_EXCL 02000
#define LINUX_IPC_NOWAIT 04000

#define LINUX_IPC_RMID 0
#define LINUX_IPC_SET 1
#define LINUX_IPC_STAT 2
#define LINUX_IPC_INFO 3

struct linux_ipc_perm {
    int32_t key;
    uint32_t uid, gid, creator_uid, creator_gid, mode;
    uint16_t sequence, padding;
    uint32_t padding2;
    uint64_t unused[2];
};
_Static_assert(sizeof(struct linux_ipc_perm) == 48, "struct ipc64_perm");

#define LINUX_SHM_RDONLY 010000
#define LINUX_SHM_RND 020000
#define LINUX_SHM_REMAP 040000
#define LINUX_SHM_EXEC 0100000
#define LINUX_SHM_HUGETLB 04000
#define LINUX_SHM_LOCK 11
#define LINUX_SHM_UNLOCK 12
#define LINUX_SHM_STAT 13
#define LINUX_SHM_INFO 14
#define LINUX_SHM_STAT_ANY 15
#define LINUX_SHM_DEST 01000
#define LINUX_SHM_LOCKED 02000

struct linux_shmid {
    struct linux_ipc_perm permissions;
    uint64_t size_bytes;
    int64_t attach_time, detach_time, change_time;
    int32_t creator_pid, last_pid;
    uint64_t attached, unused[2];
};
_Static_assert(sizeof(struct linux_shmid) == 112, "struct shmid64_ds");

struct linux_shminfo {
    uint64_t size_most, size_least, segments_most, segments_per_process, pages_most, unused[4];
};
_Static_assert(sizeof(struct linux_shminfo) == 72, "struct shminfo64");

struct linux_shm_info {
    int32_t used_ids, padding;
    uint64_t total_pages, resident_pages, swapped_pages, swap_attempts, swap_successes;
};
_Static_assert(sizeof(struct linux_shm_info) == 48, "struct shm_info");

#define LINUX_SEM_UNDO 010000
#define LINUX_GETPID 11
#define LINUX_GETVAL 12
#define LINUX_GETALL 13
#define LINUX_GETNCNT 14
#define LINUX_GETZCNT 15
#define LINUX_SETVAL 16
#define LINUX_SETALL 17
#define LINUX_SEM_STAT 18
#define LINUX_SEM_INFO 19
#define LINUX_SEM_STAT_ANY 20

struct linux_sembuf {
    uint16_t index;
    int16_t change, flags;
};
_Static_assert(sizeof(struct linux_sembuf) == 6, "struct sembuf");

struct linux_semid {
    struct linux_ipc_perm permissions;
    int64_t operation_time;
    uint64_t unused1;
    int64_t change_time;
    uint64_t unused2, count, unused3[2];
};
_Static_assert(sizeof(struct linux_semid) == 104, "struct semid64_ds");

struct linux_seminfo {
    int32_t map, sets_most, all_most, undo_structs, per_set_most, operations_most, undo_entries, undo_bytes, value_most, adjust_most;
};
_Static_assert(sizeof(struct linux_seminfo) == 40, "struct seminfo");

#define LINUX_MSG_NOERROR 010000
#define LINUX_MSG_EXCEPT 020000
#define LINUX_MSG_COPY 040000
#define LINUX_MSG_STAT 11
#define LINUX_MSG_INFO 12
#define LINUX_MSG_STAT_ANY 13

struct linux_msqid {
    struct linux_ipc_perm permissions;
    int64_t send_time, receive_time, change_time;
    uint64_t bytes, count, bytes_most;
    int32_t last_send_pid, last_receive_pid;
    uint64_t unused[2];
};
_Static_assert(sizeof(struct linux_msqid) == 120, "struct msqid64_ds");

struct linux_msginfo {
    int32_t pool_kib, map, message_most, queue_bytes, queues_most, segment_bytes, messages_all;
    uint16_t segments_most;
};
_Static_assert(sizeof(struct linux_msginfo) == 32, "struct msginfo");
