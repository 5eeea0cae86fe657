/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the three kinds of System V objects (shared memory, semaphores, messages) have in common: keys, identifiers that
 * tell a new object from the old one in the same slot, owners and permissions.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/linux/abi/ipc.h"
#include "kernel/sched/mutex.h"

/* Embedded first in each kind's object. Locks: t its table's lock; f fixed. */
struct ipc_object {
    int id;                          /* f */
    int key;                         /* t LINUX_IPC_PRIVATE once removed or marked so */
    uint32_t uid, gid, mode;         /* t */
    uint32_t creator_uid, creator_gid; /* f */
};

/* One kind's objects. Locks: l lock. Nothing of the program's memory is touched while it is held. */
struct ipc_table {
    struct mutex lock;
    struct ipc_object **slots;       /* l */
    uint32_t slot_count, used;       /* l */
    uint32_t sequence;               /* l */
    uint32_t limit;                  /* fixed: objects at most */
    bool ready;
};

void ipc_table_init(struct ipc_table *table, const char *name, uint32_t limit);

/*
 * The get calls' rules, with table->lock held: 0 and *object (found, permitted for `flags`'s mode bits), 1: make a new one, or
 * -ENOENT, -EEXIST, -EACCES, -ENOSPC.
 */
int ipc_get(struct ipc_table *table, int key, int flags, struct ipc_object **object);
/* Fills the object's common part and puts it in the table: its id, or -ENOMEM, -ENOSPC. Lock held. */
int ipc_add(struct ipc_table *table, struct ipc_object *object, int key, int flags);
void ipc_remove(struct ipc_table *table, struct ipc_object *object);
/* By id; NULL. By slot number, for the *_STAT commands. Lock held. */
struct ipc_object *ipc_find(struct ipc_table *table, int id);
struct ipc_object *ipc_find_slot(struct ipc_table *table, int slot);
/* The highest slot in use, -1: none (what the *_INFO commands answer, with 0 for none). */
int ipc_highest(struct ipc_table *table);

/* 0 or -EACCES for access bits 4 read, 2 write. */
int ipc_permission(const struct ipc_object *object, unsigned int access);
/* IPC_SET and IPC_RMID: owner, creator or privileged; else -EPERM. */
int ipc_owner(const struct ipc_object *object);
void ipc_fill(struct linux_ipc_perm *answer, const struct ipc_object *object);
/* IPC_SET's common part. */
void ipc_set(struct ipc_object *object, const struct linux_ipc_perm *wanted);
int64_t ipc_now_seconds(void);

/* Once, at boot. */
int shared_memory_init(void);
int semaphores_init(void);
int messages_init(void);
