/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of System V objects. An identifier is a sequence number times 32768 plus the slot, as Linux's are: one that was
 * removed is not mistaken for its successor. The table's mutex guards the objects too; each kind drops it to sleep.
 */
#include "kernel/linux/sysv_ipc.h"

#include "kernel/base/error.h"
#include "kernel/linux/abi/time.h"
#include "kernel/linux/arguments.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/machine/clock.h"

#define SLOTS_MOST 32768u
#define SEQUENCE_LIMIT 65535u

void ipc_table_init(struct ipc_table *table, const char *name, uint32_t limit)
{
    mutex_init(&table->lock, name, 0);
    table->limit = minimum(limit, SLOTS_MOST);
    table->ready = true;
}

static struct ipc_object *find_key(struct ipc_table *table, int key)
{
    for (uint32_t slot = 0; slot < table->slot_count; slot++)
        if (table->slots[slot] && table->slots[slot]->key == key)
            return table->slots[slot];
    return NULL;
}

int ipc_get(struct ipc_table *table, int key, int flags, struct ipc_object **object)
{
    *object = key == LINUX_IPC_PRIVATE ? NULL : find_key(table, key);
    if (!*object) {
        if (key != LINUX_IPC_PRIVATE && !(flags & LINUX_IPC_CREAT))
            return -ENOENT;
        return table->used >= table->limit ? -ENOSPC : 1;
    }
    if ((flags & LINUX_IPC_CREAT) && (flags & LINUX_IPC_EXCL))
        return -EEXIST;
    /* Any of the three classes' bits asked for must be granted. */
    return ipc_permission(*object, ((unsigned int)flags >> 6 | (unsigned int)flags >> 3 | (unsigned int)flags) & 6);
}

static int slots_grow(struct ipc_table *table)
{
    uint32_t count = table->slot_count ? minimum(table->slot_count * 2, SLOTS_MOST) : 16;
    struct ipc_object **slots = memory_reallocate(table->slots, count * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (uint32_t slot = table->slot_count; slot < count; slot++)
        slots[slot] = NULL;
    table->slots = slots;
    table->slot_count = count;
    return 0;
}

int ipc_add(struct ipc_table *table, struct ipc_object *object, int key, int flags)
{
    const struct credentials *mine = task_current()->credentials;
    uint32_t slot = 0;
    if (table->used >= table->limit)
        return -ENOSPC;
    if (table->used == table->slot_count) {
        int error = slots_grow(table);
        if (error)
            return error;
    }
    while (table->slots[slot])
        slot++;
    object->id = (int)(table->sequence * SLOTS_MOST + slot);
    table->sequence = (table->sequence + 1) % SEQUENCE_LIMIT;
    object->key = key;
    object->mode = (uint32_t)flags & 0777;
    object->uid = object->creator_uid = mine->euid;
    object->gid = object->creator_gid = mine->egid;
    table->slots[slot] = object;
    table->used++;
    return object->id;
}

void ipc_remove(struct ipc_table *table, struct ipc_object *object)
{
    uint32_t slot = (uint32_t)object->id % SLOTS_MOST;
    if (slot < table->slot_count && table->slots[slot] == object) {
        table->slots[slot] = NULL;
        table->used--;
    }
}

struct ipc_object *ipc_find(struct ipc_table *table, int id)
{
    struct ipc_object *object = id < 0 ? NULL : ipc_find_slot(table, (int)((uint32_t)id % SLOTS_MOST));
    return object && object->id == id ? object : NULL;
}

struct ipc_object *ipc_find_slot(struct ipc_table *table, int slot)
{
    return slot < 0 || (uint32_t)slot >= table->slot_count ? NULL : table->slots[slot];
}

int ipc_highest(struct ipc_table *table)
{
    int slot = (int)table->slot_count - 1;
    while (slot >= 0 && !table->slots[slot])
        slot--;
    return slot;
}

int ipc_permission(const struct ipc_object *object, unsigned int access)
{
    const struct credentials *mine = task_current()->credentials;
    uint32_t granted = object->mode;
    if (mine->euid == object->uid || mine->euid == object->creator_uid)
        granted >>= 6;
    else if (mine->egid == object->gid || mine->egid == object->creator_gid || credentials_in_group(mine, object->gid) || credentials_in_group(mine, object->creator_gid))
        granted >>= 3;
    return (access & ~granted & 7) && !credentials_capable(mine, CAPABILITY_IPC_OWNER) ? -EACCES : 0;
}

int ipc_owner(const struct ipc_object *object)
{
    const struct credentials *mine = task_current()->credentials;
    bool owner = mine->euid == object->uid || mine->euid == object->creator_uid;
    return owner || credentials_capable(mine, CAPABILITY_SYS_ADMIN) ? 0 : -EPERM;
}

void ipc_fill(struct linux_ipc_perm *answer, const struct ipc_object *object)
{
    *answer = (struct linux_ipc_perm){ .key = object->key, .uid = object->uid, .gid = object->gid, .mode = object->mode,
                                       .creator_uid = object->creator_uid, .creator_gid = object->creator_gid,
                                       .sequence = (uint16_t)((uint32_t)object->id / SLOTS_MOST) };
}

void ipc_set(struct ipc_object *object, const struct linux_ipc_perm *wanted)
{
    object->uid = wanted->uid;
    object->gid = wanted->gid;
    object->mode = (object->mode & ~0777u) | (wanted->mode & 0777);
}

int64_t ipc_now_seconds(void)
{
    return (int64_t)(clock_real_ns() / NS_PER_SECOND);
}
