/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memfd: a file in memory without a name, whose inode belongs to an internal file system and whose pages live in a cache
 * without a source. Seals are kept with the inode and checked where size, content or mappings change. Lock: inode->lock.
 */
#include "kernel/vfs/memory_file.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/file_map.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/regular_file.h"

#define SEAL_SEAL 1u
#define SEAL_SHRINK 2u
#define SEAL_GROW 4u
#define SEAL_WRITE 8u
#define SEAL_FUTURE_WRITE 16u
#define SEAL_EXECUTE 32u
#define SEALS_ALL 63u
#define CREATE_ALLOW_SEALING 2u
#define CREATE_NO_EXECUTE_SEAL 8u
#define ALLOCATE_KEEP_SIZE 1
#define ALLOCATE_PUNCH_HOLE 2
#define NAME_LIMIT 249

/* inode->data. Locks: i inode->lock; f fixed. */
struct memory_file {
    uint32_t seals;             /* i */
    char name[NAME_LIMIT + 1];  /* f */
};

static struct file_system memory_file_system;
static struct mount *memory_mount;
static _Atomic uint64_t next_number = 1;
static const struct file_operations memory_file_operations;

static struct memory_file *memory_file_of(const struct inode *inode)
{
    return inode->data;
}

/* Regular files' own would note the time of access by the mount's rules. */
static long memory_file_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    long answer = page_cache_read(&file->inode->cache, *position, vector);

    if (answer > 0)
        *position += (uint64_t)answer;
    return answer;
}

static long memory_file_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    uint32_t seals = read_once(memory_file_of(file->inode)->seals);

    if (seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))
        return -EPERM;
    if ((seals & SEAL_GROW) && *position + vector->remaining_bytes > file->inode->size_bytes) {
        if (*position >= file->inode->size_bytes)
            return -EPERM;
        size_t over = (size_t)(*position + vector->remaining_bytes - file->inode->size_bytes);

        vector->remaining_bytes -= over;
        long answer = regular_file_operations.write(file, vector, position);
        vector->remaining_bytes += over;
        return answer;
    }
    return regular_file_operations.write(file, vector, position);
}

static int memory_file_map(struct file *file, struct area_request *request)
{
    uint32_t seals = read_once(memory_file_of(file->inode)->seals);

    if ((request->flags & AREA_SHARED) && (seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))) {
        if (request->protection & PAGING_WRITE)
            return -EPERM;
        request->flags &= ~AREA_MAY_WRITE;
    }
    return file_map_cache(file, request);
}

static int memory_file_synchronize(struct file *file, uint64_t first_byte, uint64_t last_byte, bool data_only)
{
    return 0;
}

static size_t memory_file_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "/memfd:%s (deleted)", memory_file_of(file->inode)->name);
}

static const struct file_operations memory_file_operations = {
    .read = memory_file_read,
    .write = memory_file_write,
    .map = memory_file_map,
    .synchronize = memory_file_synchronize,
    .describe = memory_file_describe,
};

static int memory_file_resize(struct inode *inode, uint64_t size_bytes)
{
    uint32_t seals = memory_file_of(inode)->seals;

    if ((size_bytes > inode->size_bytes && (seals & SEAL_GROW)) || (size_bytes < inode->size_bytes && (seals & SEAL_SHRINK)))
        return -EPERM;
    int error = page_cache_resize(&inode->cache, size_bytes);
    if (!error)
        inode->size_bytes = size_bytes;
    return error;
}

static int memory_file_set_attributes(struct inode *inode, const struct inode_attributes *attributes)
{
    if (attributes->valid & ATTRIBUTE_SIZE) {
        int error = memory_file_resize(inode, attributes->size_bytes);

        if (error)
            return error;
    }
    if ((attributes->valid & ATTRIBUTE_MODE) && (memory_file_of(inode)->seals & SEAL_EXECUTE) &&
        ((inode->mode ^ attributes->mode) & 0111))
        return -EPERM;
    inode_apply_attributes(inode, attributes);
    return 0;
}

static void zero_part(struct inode *inode, uint64_t offset, uint64_t end)
{
    struct page *page;

    if (offset >= end || page_cache_get_present(&inode->cache, offset / PAGE_SIZE, &page, 1) == 0)
        return;
    memset((char *)page_address(page) + offset % PAGE_SIZE, 0, (size_t)(end - offset));
    page_release(page);
}

static void punch_hole(struct inode *inode, uint64_t offset, uint64_t end)
{
    uint64_t first = round_up(offset, (uint64_t)PAGE_SIZE), last = round_down(end, (uint64_t)PAGE_SIZE);

    if (first > last) {
        zero_part(inode, offset, end);
        return;
    }
    zero_part(inode, offset, first);
    zero_part(inode, last, end);
    if (first < last)
        page_cache_punch(&inode->cache, first / PAGE_SIZE, (last - first) / PAGE_SIZE);
}

static int memory_file_allocate(struct inode *inode, int mode, uint64_t offset, uint64_t length_bytes)
{
    if (mode & ALLOCATE_PUNCH_HOLE) {
        if (mode != (ALLOCATE_PUNCH_HOLE | ALLOCATE_KEEP_SIZE))
            return -EOPNOTSUPP;
        if (memory_file_of(inode)->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))
            return -EPERM;
        punch_hole(inode, offset, offset + length_bytes);
        return 0;
    }
    if (mode & ~ALLOCATE_KEEP_SIZE)
        return -EOPNOTSUPP;
    if ((mode & ALLOCATE_KEEP_SIZE) || offset + length_bytes <= inode->size_bytes)
        return 0;
    return memory_file_resize(inode, offset + length_bytes);
}

static const struct inode_operations memory_file_inode_operations = {
    .set_attributes = memory_file_set_attributes,
    .allocate = memory_file_allocate,
};

static void memory_file_release_inode(struct inode *inode)
{
    memory_free(inode->data);
}

static const struct file_system_operations memory_file_system_operations = {.release_inode = memory_file_release_inode};

int memory_file_init(void)
{
    int error = file_system_init(&memory_file_system, "memfd", &memory_file_system_operations, NULL);

    if (error)
        return error;
    memory_mount = mount_create_internal(&memory_file_system);
    return memory_mount ? 0 : -ENOMEM;
}

static int memory_inode_create(const char *name, uint32_t seals, uint32_t mode, const struct credentials *credentials,
                               struct inode **result)
{
    struct memory_file *memory = memory_allocate(sizeof(*memory));
    struct inode *inode;
    bool fresh;

    if (!memory)
        return -ENOMEM;
    memory->seals = seals;
    format_string(memory->name, sizeof(memory->name), "%s", name);
    int error = inode_get(&memory_file_system, atomic_fetch_add(&next_number, 1), &inode, &fresh);
    if (error) {
        memory_free(memory);
        return error;
    }
    inode->data = memory;
    inode->mode = MODE_REGULAR | mode;
    inode->uid = credentials->fsuid;
    inode->gid = credentials->fsgid;
    inode->links = 0; /* it never had a name */
    inode->operations = &memory_file_inode_operations;
    inode->file_operations = &memory_file_operations; /* also where it is opened anew through /proc/self/fd */
    inode->access_time = inode->modify_time = inode->change_time = inode->birth_time = inode_now();
    inode_init_cache(inode, NULL);
    inode_ready(inode);
    *result = inode;
    return 0;
}

int memory_file_create(const char *name, unsigned int memfd_flags, struct credentials *credentials, struct file **file)
{
    uint32_t seals = memfd_flags & CREATE_NO_EXECUTE_SEAL ? SEAL_EXECUTE : memfd_flags & CREATE_ALLOW_SEALING ? 0 : SEAL_SEAL;
    struct inode *inode;
    int error = memory_inode_create(name, seals, memfd_flags & CREATE_NO_EXECUTE_SEAL ? 0666 : 0777, credentials, &inode);

    if (error)
        return error;
    struct path path;
    error = mount_internal_path(memory_mount, inode, &path);
    if (error)
        return error;
    error = file_create_anonymous(&memory_file_operations, NULL, FILE_READ_WRITE | FILE_LARGE, credentials, file);
    if (error) {
        path_release(&path);
        return error;
    }
    (*file)->path = path; /* holds the inode */
    (*file)->inode = inode;
    (*file)->seekable = true;
    return 0;
}

static bool is_mapped_writable(struct page_cache *cache)
{
    bool mapped = false;
    struct area *area;

    mutex_lock(&cache->lock);
    list_for_each(area, &cache->areas, cache_link)
        mapped |= (area->flags & AREA_SHARED) && (area->flags & AREA_MAY_WRITE);
    mutex_unlock(&cache->lock);
    return mapped;
}

int memory_file_add_seals(struct file *file, unsigned int seals)
{
    int error = 0;

    if (file->operations != &memory_file_operations || (seals & ~SEALS_ALL))
        return -EINVAL;
    if (!file->writable)
        return -EPERM;

    struct inode *inode = file->inode;
    struct memory_file *memory = memory_file_of(inode);
    rw_lock_write(&inode->lock);
    if (memory->seals & SEAL_SEAL)
        error = -EPERM;
    else if ((seals & ~memory->seals & SEAL_WRITE) && is_mapped_writable(&inode->cache))
        error = -EBUSY;
    else if ((seals & SEAL_EXECUTE) && (inode->mode & 0111))
        seals |= SEAL_SHRINK | SEAL_GROW | SEAL_WRITE | SEAL_FUTURE_WRITE;
    if (!error)
        write_once(memory->seals, memory->seals | seals);
    rw_unlock_write(&inode->lock);
    return error;
}

long memory_file_get_seals(struct file *file)
{
    return file->operations == &memory_file_operations ? (long)read_once(memory_file_of(file->inode)->seals) : -EINVAL;
}
