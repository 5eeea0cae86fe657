/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V shared memory: shmget, shmat, shmdt, shmctl over kernel/vm's shared anonymous objects.
 *
 *   made (the table refers to the backing) --IPC_RMID--> marked (only areas do) --last unmapped--> backing_destroy: gone
 *
 * The number of attachments is the number of areas that map the backing. A segment's backing carries a copy of its own
 * operations whose destroy ends the segment; it may run with an address space locked for writing, so the table's lock is
 * inner to that one, and is never held around a call of kernel/vm that takes it.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/linux/sysv_ipc.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define PAGE_BYTES 4096ull
#define SEGMENTS_MOST 4096u

/* Locks: t table.lock; f fixed. */
struct segment {
    struct ipc_object object;                   /* t */
    struct area_backing *backing;               /* f alive as long as the segment; a reference of it until marked */
    struct area_backing_operations operations;  /* f */
    const struct area_backing_operations *inherited; /* f */
    uint64_t size_bytes;                        /* f */
    bool marked;                                /* t removed, lives on while attached */
    int64_t attach_time, detach_time, change_time; /* t */
    int creator_pid, last_pid;                  /* t */
};

static struct ipc_table table;

int shared_memory_init(void)
{
    ipc_table_init(&table, "System V shared memory", SEGMENTS_MOST);
    return 0;
}

static struct segment *segment_of(const struct area_backing *backing)
{
    return container_of(backing->operations, struct segment, operations);
}

/* The last area, or IPC_RMID's reference, is gone. */
static void backing_destroy(struct area_backing *backing)
{
    struct segment *segment = segment_of(backing);
    const struct area_backing_operations *inherited = segment->inherited;
    mutex_lock(&table.lock);
    ipc_remove(&table, &segment->object);
    mutex_unlock(&table.lock);
    backing->operations = inherited;
    memory_free(segment);
    inherited->destroy(backing);
}

static size_t backing_describe(struct area_backing *backing, char *name, size_t size_bytes, uint64_t *device, uint64_t *inode)
{
    const struct segment *segment = segment_of(backing);
    *device = 1;
    *inode = (uint64_t)segment->object.id;
    return (size_t)format_string(name, size_bytes, "/SYSV%08x", (unsigned int)segment->object.key);
}

static int segment_create(uint64_t size_bytes, struct segment **segment)
{
    struct segment *fresh = memory_allocate_zeroed(sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    int error = area_backing_create_shared(round_up(size_bytes, PAGE_BYTES), &fresh->backing);
    if (error) {
        memory_free(fresh);
        return error;
    }
    fresh->inherited = fresh->backing->operations;
    fresh->operations = *fresh->inherited;
    fresh->operations.destroy = backing_destroy;
    fresh->operations.describe = backing_describe;
    fresh->backing->operations = &fresh->operations;
    fresh->size_bytes = size_bytes;
    fresh->change_time = ipc_now_seconds();
    fresh->creator_pid = process_current()->pid;
    *segment = fresh;
    return 0;
}

static uint64_t memory_bytes(void)
{
    struct page_statistics pages;
    page_statistics_get(&pages);
    return pages.total_pages * PAGE_BYTES;
}

/* A new segment was wanted: made with the lock dropped, as it allocates, then looked for once more. */
static long segment_make(int key, uint64_t size_bytes, int flags)
{
    struct segment *fresh;
    struct ipc_object *object;
    if (size_bytes == 0)
        return -EINVAL;
    if (size_bytes > memory_bytes())
        return -ENOMEM;
    int error = segment_create(size_bytes, &fresh);
    if (error)
        return error;
    mutex_lock(&table.lock);
    long result = ipc_get(&table, key, flags, &object);
    if (result == 1)
        result = ipc_add(&table, &fresh->object, key, flags);
    else if (result == 0)
        result = object->id;
    bool used = result >= 0 && result == fresh->object.id && ipc_find(&table, (int)result) == &fresh->object;
    mutex_unlock(&table.lock);
    if (!used)
        area_backing_release(fresh->backing);
    return result;
}

long sys_shmget(int key, uint64_t size_bytes, int flags)
{
    struct ipc_object *object;
    if (flags & LINUX_SHM_HUGETLB)
        return -ENOMEM;
    mutex_lock(&table.lock);
    long result = ipc_get(&table, key, flags, &object);
    if (result == 0)
        result = size_bytes > container_of(object, struct segment, object)->size_bytes ? -EINVAL : object->id;
    else if (result == 1) {
        mutex_unlock(&table.lock);
        return segment_make(key, size_bytes, flags);
    }
    mutex_unlock(&table.lock);
    return result;
}

/* The segment's backing, referenced, and what an attach must know of it. */
static int segment_attach(int id, int flags, struct area_backing **backing, uint64_t *size_bytes)
{
    mutex_lock(&table.lock);
    struct ipc_object *object = ipc_find(&table, id);
    struct segment *segment = object ? container_of(object, struct segment, object) : NULL;
    int error = !segment ? -EINVAL : ipc_permission(object, flags & LINUX_SHM_RDONLY ? 4 : 6);
    if (!error && !reference_take_if_alive(&segment->backing->reference))
        error = -EIDRM;
    if (!error) {
        *backing = segment->backing;
        *size_bytes = segment->size_bytes;
        segment->attach_time = ipc_now_seconds();
        segment->last_pid = process_current()->pid;
    }
    mutex_unlock(&table.lock);
    return error;
}

long sys_shmat(int id, uint64_t address, int flags)
{
    struct area_backing *backing;
    uint64_t size_bytes, result;
    if (id < 0)
        return -EINVAL;
    if (address & (PAGE_BYTES - 1)) {
        if (!(flags & LINUX_SHM_RND))
            return -EINVAL;
        address &= ~(PAGE_BYTES - 1);
    }
    if (address == 0 && (flags & LINUX_SHM_REMAP))
        return -EINVAL;
    int error = segment_attach(id, flags, &backing, &size_bytes);
    if (error)
        return error;
    bool read_only = (flags & LINUX_SHM_RDONLY) != 0;
    struct area_request request = {
        .address = address,
        .length_bytes = round_up(size_bytes, PAGE_BYTES),
        .protection = PAGING_READ | (read_only ? 0 : PAGING_WRITE) | (flags & LINUX_SHM_EXEC ? PAGING_EXECUTE : 0),
        .flags = AREA_SHARED | (read_only ? 0 : AREA_MAY_WRITE),
        .backing = backing,
        .fixed = (flags & LINUX_SHM_REMAP) != 0,
        .fixed_no_replace = address != 0 && !(flags & LINUX_SHM_REMAP),
    };
    error = address_space_map(process_current()->space, &request, &result);
    area_backing_release(backing);
    return error ? (error == -EEXIST ? -EINVAL : error) : (long)result;
}

/* Finds the next piece of the attachment at `address` that is still mapped: true and its range. */
static bool attachment_piece(struct address_space *space, uint64_t address, struct area_backing **backing, uint64_t *end_all, uint64_t *start, uint64_t *end)
{
    bool found = false;
    rw_lock_read(&space->lock);
    for (struct area *area = address_space_find(space, address); area && !found; area = area_next(area)) {
        if (*backing && area->start >= *end_all)
            break;
        bool ours = area->backing && area->backing->operations->destroy == backing_destroy && area->start - area->backing_index * PAGE_BYTES == address;
        if (!ours || (*backing && area->backing != *backing)) {
            if (!*backing && area->start > address)
                break;
            continue;
        }
        if (!*backing) {
            *backing = area->backing;
            *end_all = address + round_up(segment_of(area->backing)->size_bytes, PAGE_BYTES);
            area_backing_take(*backing);
        }
        *start = area->start;
        *end = minimum(area->end, *end_all);
        found = true;
    }
    rw_unlock_read(&space->lock);
    return found;
}

long sys_shmdt(uint64_t address)
{
    struct address_space *space = process_current()->space;
    struct area_backing *backing = NULL;
    uint64_t end_all = 0, start = 0, end = 0;
    int error = 0;
    if (address & (PAGE_BYTES - 1))
        return -EINVAL;
    while (!error && attachment_piece(space, address, &backing, &end_all, &start, &end))
        error = address_space_unmap(space, start, end - start);
    if (!backing)
        return -EINVAL;
    mutex_lock(&table.lock);
    segment_of(backing)->detach_time = ipc_now_seconds();
    segment_of(backing)->last_pid = process_current()->pid;
    mutex_unlock(&table.lock);
    area_backing_release(backing);
    return error;
}

static uint64_t areas_count(struct area_backing *backing)
{
    uint64_t count = 0;
    struct list *link;
    mutex_lock(&backing->cache->lock);
    for (link = backing->cache->areas.next; link != &backing->cache->areas; link = link->next)
        count++;
    mutex_unlock(&backing->cache->lock);
    return count;
}

/* IPC_STAT (by id, mode checked), SHM_STAT (by slot) and SHM_STAT_ANY (by slot, unchecked). */
static long segment_status(int id, int command, uint64_t buffer)
{
    struct linux_shmid answer = { 0 };
    struct area_backing *backing = NULL;
    mutex_lock(&table.lock);
    struct ipc_object *object = command == LINUX_IPC_STAT ? ipc_find(&table, id) : ipc_find_slot(&table, id);
    struct segment *segment = object ? container_of(object, struct segment, object) : NULL;
    long result = !segment ? -EINVAL : command == LINUX_SHM_STAT_ANY ? 0 : ipc_permission(object, 4);
    if (!result) {
        ipc_fill(&answer.permissions, object);
        answer.permissions.mode |= segment->marked ? LINUX_SHM_DEST : 0;
        answer.size_bytes = segment->size_bytes;
        answer.attach_time = segment->attach_time;
        answer.detach_time = segment->detach_time;
        answer.change_time = segment->change_time;
        answer.creator_pid = segment->creator_pid;
        answer.last_pid = segment->last_pid;
        result = command == LINUX_IPC_STAT ? 0 : object->id;
        if (reference_take_if_alive(&segment->backing->reference))
            backing = segment->backing;
    }
    mutex_unlock(&table.lock);
    if (backing) {
        answer.attached = areas_count(backing);
        area_backing_release(backing);
    }
    if (result >= 0 && user_store(buffer, &answer))
        return -EFAULT;
    return result;
}

static long segment_change(int id, int command, const struct linux_shmid *wanted)
{
    struct area_backing *drop = NULL;
    mutex_lock(&table.lock);
    struct ipc_object *object = ipc_find(&table, id);
    struct segment *segment = object ? container_of(object, struct segment, object) : NULL;
    int error = !segment ? -EINVAL : command == LINUX_SHM_LOCK || command == LINUX_SHM_UNLOCK ? 0 : ipc_owner(object);
    if (!error && command == LINUX_IPC_SET) {
        ipc_set(object, &wanted->permissions);
        segment->change_time = ipc_now_seconds();
    } else if (!error && command == LINUX_IPC_RMID && !segment->marked) {
        segment->marked = true;
        object->key = LINUX_IPC_PRIVATE;
        drop = segment->backing;
    } else if (!error && command != LINUX_IPC_RMID) {
        /* There is no swap: locked or not, the pages stay; only the right to ask is checked. */
        if (!task_capable(CAPABILITY_IPC_LOCK) && (ipc_owner(object) || process_limit(process_current(), LIMIT_MEMLOCK) == 0))
            error = -EPERM;
        else if (command == LINUX_SHM_LOCK)
            object->mode |= LINUX_SHM_LOCKED;
        else
            object->mode &= ~(uint32_t)LINUX_SHM_LOCKED;
    }
    mutex_unlock(&table.lock);
    if (drop)
        area_backing_release(drop);
    return error;
}

static long table_information(int command, uint64_t buffer)
{
    struct linux_shm_info usage = { 0 };
    struct linux_shminfo limits = { .size_most = UINT64_MAX - (1 << 24), .size_least = 1, .segments_most = SEGMENTS_MOST,
                                    .segments_per_process = SEGMENTS_MOST, .pages_most = UINT64_MAX - (1 << 24) };
    mutex_lock(&table.lock);
    int highest = ipc_highest(&table);
    usage.used_ids = (int32_t)table.used;
    for (int slot = 0; slot <= highest; slot++) {
        struct ipc_object *object = ipc_find_slot(&table, slot);
        if (object)
            usage.total_pages += round_up(container_of(object, struct segment, object)->size_bytes, PAGE_BYTES) / PAGE_BYTES;
    }
    mutex_unlock(&table.lock);
    usage.resident_pages = usage.total_pages;
    int error = command == LINUX_IPC_INFO ? user_store(buffer, &limits) : user_store(buffer, &usage);
    return error ? error : maximum(highest, 0);
}

long sys_shmctl(int id, int command, uint64_t buffer)
{
    struct linux_shmid wanted;
    if (command < 0 || id < 0)
        return -EINVAL;
    switch (command) {
    case LINUX_IPC_STAT:
    case LINUX_SHM_STAT:
    case LINUX_SHM_STAT_ANY:
        return segment_status(id, command, buffer);
    case LINUX_IPC_SET:
        if (user_load(&wanted, buffer))
            return -EFAULT;
        return segment_change(id, command, &wanted);
    case LINUX_IPC_RMID:
    case LINUX_SHM_LOCK:
    case LINUX_SHM_UNLOCK:
        return segment_change(id, command, NULL);
    case LINUX_IPC_INFO:
    case LINUX_SHM_INFO:
        return table_information(command, buffer);
    default:
        return -EINVAL;
    }
}
